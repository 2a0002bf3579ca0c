//! A matched line restarts its container, and the records say so.

use serde_json::{Value, json};

use super::{assert_answer, assert_started, eventually_restarted, healing};
use crate::support::engine::Spec;
use crate::support::healer::{Executor, SAMPLE, Setup, by_id, by_name, now, oom};

#[test]
fn a_matched_line_restarts_its_container_and_the_report_files_say_so() {
    let Some((engine, executor, container)) = healing("restart", &Spec::app(), Setup::with_http)
    else {
        return;
    };
    let started_before = container.started_at();
    let from = now().as_secs();

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(&answer, "restart", "", "");
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
    let log = executor.log();
    assert!(
        log.contains(&format!("Restarting container '{}' ...", container.name)),
        "{log}"
    );
    assert!(log.contains("Restart complete."), "{log}");
    assert!(!log.contains(SAMPLE), "log text in the executor's own log");

    let name = &container.name;
    let last: Value = serde_json::from_str(&executor.report("last_restart.json")).expect("JSON");
    let epoch = last["timestamp"].as_u64().expect("seconds");
    assert!((from..=now().as_secs()).contains(&epoch), "{last}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux");
    let original = json!({
        "timestamp": epoch, "iso_time": iso(epoch), "host": host.trim(), "target": name,
        "container_id": &container.id[..12], "cooldown_sec": 1, "window_sec": 60, "window_count": 1,
    });
    for (key, value) in original.as_object().expect("an object") {
        assert_eq!(&last[key], value, "{key} in {last}");
    }
    let marker = format!("restart-{name}-{epoch}.marker");
    let mut files = vec![
        "last_restart.json".to_owned(),
        "restarts.log".to_owned(),
        marker,
    ];
    files.extend(["last_restart", "restart_hist"].map(|suffix| format!("{name}.{suffix}")));
    files.sort();
    assert_counted(&executor, epoch);
    assert_eq!(executor.reports(), files);
    let log: Value = serde_json::from_str(&executor.report("restarts.log")).expect("one line");
    assert_eq!(log, last);
    assert_eq!(
        executor.report(&format!("{name}.last_restart")).trim_end(),
        epoch.to_string()
    );
    assert_eq!(
        executor.report(&format!("{name}.restart_hist")).trim_end(),
        epoch.to_string()
    );
    for file in executor.reports() {
        assert!(
            !executor.report(&file).contains("sample-7f3a"),
            "log text in {file}"
        );
    }
}

fn assert_counted(executor: &Executor, epoch: u64) {
    let (status, metrics) = executor.http("/metrics");
    assert_eq!(status, 200);
    for line in [
        "healer_intents_received_total 1",
        r#"healer_decisions_total{decision="restart",gate=""} 1"#,
        r#"healer_attempts_total{outcome="recovered"} 1"#,
        "healer_attempts_in_flight 0",
        "healer_attempt_duration_seconds_count 1",
        &format!("healer_last_restart_timestamp_seconds {epoch}"),
        "healer_targets_pending 0",
        "healer_targets_held 0",
        "healer_journal_errors_total 0",
        "healer_engine_up 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in\n{metrics}"
        );
    }
}

/// By `date`, so that the time is not written by what is being tested.
fn iso(epoch: u64) -> String {
    let out = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("date runs");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

#[test]
fn an_intent_sent_again_is_answered_again_and_restarts_nothing_more() {
    let Some((engine, mut executor, container)) = healing("again", &Spec::app(), |setup| {
        setup.set("defaults.cooldown", 0)
    }) else {
        return;
    };
    let started_before = container.started_at();
    let intent = oom(by_id(&container.id));

    assert_answer(&executor.decide(&intent), "restart", "", "");
    assert_answer(&executor.decide(&intent), "restart", "", "");
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_answer(&executor.decide(&intent), "restart", "", "");
    executor.kill();
    executor.start_again();
    assert_answer(&executor.decide(&intent), "restart", "", "");

    assert_started(engine, &container, 2);
    let restarts = executor.report("restarts.log");
    assert_eq!(restarts.lines().count(), 1, "{restarts}");
}

#[test]
fn one_id_from_many_senders_at_once_is_one_decision() {
    let Some((engine, executor, container)) = healing("at-once", &Spec::app(), |setup| {
        setup.set("defaults.cooldown", 0)
    }) else {
        return;
    };
    let started_before = container.started_at();
    let intent = oom(by_id(&container.id));

    let answers: Vec<Value> = std::thread::scope(|scope| {
        let send = || scope.spawn(|| executor.decide(&intent));
        let senders: Vec<_> = (0..20).map(|_| send()).collect();
        let answer = |sender: std::thread::ScopedJoinHandle<'_, Value>| sender.join();
        senders
            .into_iter()
            .map(|sender| answer(sender).expect("an answer"))
            .collect()
    });

    for answer in answers {
        assert_answer(&answer, "restart", "", "");
    }
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
}

#[test]
fn a_target_is_found_by_name_short_id_process_and_cgroup() {
    let Some((_, executor, container)) = healing("names", &Spec::app(), |setup| {
        setup.set("defaults.cooldown", 0)
    }) else {
        return;
    };
    let cgroup = || cgroup_of(container.pid());
    let targets: [(&str, &dyn Fn() -> Value); 4] = [
        ("name", &|| by_name(&container.name)),
        ("short id", &|| by_id(&container.id[..12])),
        ("pid", &|| json!({"pid": container.pid()})),
        ("cgroup", &|| json!({"cgroup": cgroup()})),
    ];
    for (what, target) in targets {
        let started_before = container.started_at();
        let answer = executor.decide(&oom(target()));
        assert_eq!(answer["decision"], "restart", "by {what}: {answer}");
        eventually_restarted(&container, &started_before);
        executor.eventually_is(&container.name, "idle");
    }
}

fn cgroup_of(pid: u32) -> String {
    let file = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let paths = file.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths
        .max_by_key(|path| path.len())
        .expect("a path")
        .to_owned()
}
