//! `healer replay`: yesterday's log on its own clock, and what another setting
//! would have changed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::support::{Place, err, healer, out, run};

const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB";

/// One line with its time, seconds after 16:40.
fn line(second: u64, text: &str) -> String {
    let (minute, second) = (40 + second / 60, second % 60);
    format!("2025-10-20T16:{minute:02}:{second:02}.500000000Z {text}\n")
}

/// Fails at once, again after 35 s, and once more 310 s after that.
fn log() -> String {
    let fails = [0, 35, 345].map(|second| line(second, OOM));
    format!("{}{}{}{}", line(0, "loading"), fails[0], fails[1], fails[2])
}

fn replay(args: &[&str], log: &str) -> (Vec<Value>, Value) {
    let mut all = vec!["replay", "--json"];
    all.extend(args);
    let output = run(&mut healer(&all), log.as_bytes());
    assert_eq!(err(&output), "");
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let mut last = lines.pop().expect("a summary");
    (lines, last["summary"].take())
}

/// (seconds after 16:40, what, the gate)
fn told(happened: &[Value]) -> Vec<(f64, String, String)> {
    let second = |time: &str| {
        let minutes: f64 = time[14..16].parse().expect("minutes");
        let seconds: f64 = time[17..23].parse().expect("seconds");
        (minutes - 40.0) * 60.0 + seconds
    };
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let row = |one: &Value| {
        let time = second(&text(one, "time"));
        (time, text(one, "what"), text(one, "gate"))
    };
    happened.iter().map(row).collect()
}

fn rows(rows: &[(f64, &str, &str)]) -> Vec<(f64, String, String)> {
    let owned =
        |(at, what, gate): &(f64, &str, &str)| (*at, (*what).to_owned(), (*gate).to_owned());
    rows.iter().map(owned).collect()
}

#[test]
fn the_policy_decides_on_the_logs_own_clock() {
    let (happened, summary) = replay(&[], &log());
    assert_eq!(
        told(&happened),
        rows(&[
            (0.5, "restart", ""),
            (35.5, "relapsed", ""),
            (35.5, "pending", "cooldown"),
            (345.5, "pending", "cooldown"),
            // The cooldown has doubled, and ends after the log.
            (600.5, "restart", ""),
            (660.5, "recovered", ""),
        ])
    );
    let lines: Vec<&Value> = happened.iter().map(|one| &one["line"]).collect();
    assert_eq!(lines[..4], [2, 3, 3, 4].map(Value::from).each_ref());
    assert!(lines[4].is_null());
    let after: Vec<bool> = happened
        .iter()
        .map(|one| one["after_the_log"] == true)
        .collect();
    assert_eq!(after, [false, false, false, false, true, true]);
    let why = happened[2]["why"].as_str().expect("why");
    assert!(why.starts_with("Cooldown active (35s < 600s)"), "{why}");
    assert_eq!(summary["lines"], 4);
    assert_eq!(summary["matching_lines"], 3);
    assert!(summary["what_if"].is_null());
}

#[test]
fn what_if_shows_both() {
    for setting in ["cooldown=30s", "defaults.cooldown=30s"] {
        let (happened, summary) = replay(&["--what-if", setting, "--what-if", "backoff=1"], &log());
        assert_eq!(
            told(&happened),
            rows(&[
                (0.5, "restart", ""),
                (35.5, "relapsed", ""),
                (35.5, "restart", ""),
                (95.5, "recovered", ""),
                (345.5, "restart", ""),
                (405.5, "recovered", ""),
            ])
        );
        let count = |counts: &Value| {
            let counts: BTreeMap<String, u64> =
                serde_json::from_value(counts.clone()).expect("counts");
            (counts["restart"], counts.get("pending cooldown").copied())
        };
        assert_eq!(count(&summary["as_configured"]), (2, Some(2)));
        assert_eq!(count(&summary["what_if"]["counts"]), (3, None));
        assert_eq!(summary["what_if"]["set"][0], setting);
    }
}

#[test]
fn what_if_wins_over_what_the_configuration_says_of_a_target() {
    let place = Place::new();
    let config = place.path("healer.toml");
    std::fs::write(&config, "[targets.web]\ncooldown = '20m'\nbackoff = 1\n").unwrap();
    let file = place.path("app.log");
    std::fs::write(&file, log()).unwrap();
    let restarts = |args: &[&str]| {
        let mut all = vec!["replay", "--json", file.to_str().unwrap()];
        all.extend(args);
        let output = run(&mut place.healer(&all), b"");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let text = out(&output);
        let is_restart = |line: &&str| line.contains("\"what\":\"restart\"");
        // The only one that is listed.
        assert!(text.contains("\"target\":\"web\""), "{text}");
        let during = text
            .lines()
            .filter(|line| line.contains("\"after_the_log\":false"));
        during.filter(is_restart).count()
    };
    assert_eq!(restarts(&[]), 1);
    assert_eq!(restarts(&["--what-if", "cooldown=30s"]), 3);
    assert_eq!(restarts(&["--what-if", "targets.web.cooldown=30s"]), 3);
}

/// What happens under this configuration, in one container called web.
fn under(config: &str, log: &str) -> Vec<(f64, String, String)> {
    let place = Place::new();
    std::fs::write(place.path("healer.toml"), config).unwrap();
    let output = run(
        &mut place.healer(&["replay", "--json", "--target", "web"]),
        log.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines.collect();
    lines.pop();
    told(&lines)
}

#[test]
fn maintenance_windows_are_kept_on_the_logs_own_clock() {
    // A Monday; its end is 600 s after 16:40, in UTC.
    let window = "[[maintenance]]\nname = 'nightly'\ndays = ['mon']\nstart = '18:30'\n\
                  end = '18:50'\ntimezone = 'Europe/Berlin'\n";
    let held_back = rows(&[
        (0.5, "pending", "maintenance"),
        (35.5, "pending", "maintenance"),
        (345.5, "pending", "maintenance"),
        (600.0, "restart", ""),
        (660.0, "recovered", ""),
    ]);
    assert_eq!(under(window, &log()), held_back);
    let once = "[[maintenance]]\nname = 'x'\nfrom = '2025-10-01T00:00:00Z'\n\
                until = '2025-10-20T16:50:00Z'\n";
    assert_eq!(under(once, &log()), held_back);
    // Another container's, and another day's.
    for other in [
        format!("{window}targets = ['train-*']\n"),
        window.replace("mon", "tue"),
    ] {
        assert_eq!(
            under(&other, &log())[0],
            (0.5, "restart".into(), String::new())
        );
    }
}

#[test]
fn windows_are_worked_out_anew_as_the_log_goes_on() {
    let window = "[[maintenance]]\nname = 'nightly'\nstart = '02:00'\nend = '04:00'\n\
                  timezone = 'UTC'\n";
    // A month in silence, then a line in the window, and one on the same day outside of it.
    let log = format!(
        "2025-09-20T12:00:00Z fine\n2025-10-20T03:00:00Z {OOM}\n2025-10-20T16:40:00Z {OOM}\n"
    );
    let what: Vec<(String, String)> = under(window, &log)
        .into_iter()
        .map(|(_, what, gate)| (what, gate))
        .collect();
    let expected = [
        ("pending", "maintenance"),
        // At its end, hours before the next line.
        ("restart", ""),
        ("recovered", ""),
        ("restart", ""),
        ("recovered", ""),
    ];
    assert_eq!(
        what,
        expected.map(|(what, gate)| (what.into(), gate.into()))
    );
    // One that never ends holds back for as long as a replay looks on, and that has an end.
    let always = window.replace("02:00", "00:00").replace("04:00", "24:00");
    let what = under(&always, &log);
    assert!(
        what.iter().all(|(_, what, _)| what != "restart"),
        "{what:?}"
    );
    assert_eq!(what[0].2, "maintenance");
}

#[test]
fn a_table_for_people_says_what_it_assumes() {
    let output = run(
        &mut healer(&["replay", "--target", "web"]),
        log().as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TIME"), "{text}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    let restart = [
        "2025-10-20T16:40:00.500Z",
        "2",
        "web",
        "cuda-oom",
        "restart",
    ];
    assert_eq!(cells[..5], restart, "{text}");
    assert!(lines[3].ends_with("(and 1 more)"), "{text}");
    assert!(text.contains("3 of 4 lines match"), "{text}");
    assert!(text.contains("assumed:\n"), "{text}");
    assert!(text.contains("healer.enable=true: web\n"), "{text}");
    assert!(!text.contains("Tried to allocate"), "log text is not shown");
}

#[test]
fn records_of_several_containers_are_told_apart_by_their_files() {
    let record = |id: char, second: u64| {
        let id = id.to_string().repeat(64);
        format!(
            "{{\"log\":\"{OOM}\\n\",\"time\":\"2025-10-20T16:40:{second:02}Z\",\
             \"filepath\":\"/var/lib/docker/containers/{id}/{id}-json.log\"}}\n"
        )
    };
    let text = [
        record('a', 1),
        record('b', 2),
        record('a', 3),
        record('a', 3),
    ]
    .concat();
    let (happened, summary) = replay(&[], &text);
    let restarted: Vec<&str> = happened
        .iter()
        .filter(|one| one["what"] == "restart" && one["after_the_log"] == false)
        .filter_map(|one| one["target"].as_str())
        .collect();
    assert_eq!(restarted, ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]);
    assert_eq!(summary["matching_lines"], 4);
    assert_eq!(summary["as_configured"]["pending cooldown"], 1, "{summary}");
}

#[test]
fn one_that_is_switched_off_is_refused() {
    let args = ["--set", "targets.web.enabled=false", "--target", "web"];
    let (happened, _) = replay(&args, &log());
    let gates: Vec<&Value> = happened.iter().map(|one| &one["gate"]).collect();
    assert_eq!(gates, ["not-enabled"; 3].map(Value::from).each_ref());
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let text = [line(100, OOM), line(40, OOM), line(101, "x")].concat();
    let (happened, _) = replay(&["--what-if", "cooldown=0"], &text);
    // Both are of one second of the log's clock: one decision.
    assert_eq!(told(&happened)[0], (100.5, "restart".into(), String::new()));
    let restarts = happened.iter().filter(|one| one["what"] == "restart");
    assert_eq!(restarts.count(), 1, "{happened:?}");
}

#[test]
fn without_times_there_is_no_clock_and_without_matches_nothing_happens() {
    let output = run(&mut healer(&["replay"]), OOM.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("docker logs --timestamps"),
        "{}",
        err(&output)
    );
    let output = run(&mut healer(&["replay"]), b"fine\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).starts_with("nothing would have happened"));
    // A stack trace's lines have none: printed with the line before them.
    let text = line(5, "Traceback (most recent call last):") + OOM + "\n";
    let (happened, summary) = replay(&[], &text);
    assert_eq!(told(&happened)[0], (5.5, "restart".into(), String::new()));
    let assumed = summary["assumed"].to_string();
    assert!(
        assumed.contains("1 matching lines have no time"),
        "{assumed}"
    );
}

#[test]
fn wrong_settings_are_named() {
    for (what_if, told) in [
        ("cooldwn=60s", "unknown key"),
        ("cooldown=soon", "cooldown"),
        ("cooldown", "KEY=VALUE"),
    ] {
        let output = run(&mut healer(&["replay", "--what-if", what_if]), b"");
        assert_eq!(output.status.code(), Some(2), "{what_if}");
        assert!(err(&output).contains(told), "{}", err(&output));
    }
    let output = run(&mut healer(&["replay", "/no/such.log"]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("/no/such.log"), "{}", err(&output));
}
