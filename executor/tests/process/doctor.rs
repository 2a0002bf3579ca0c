//! `healer check` on what targets wait for: names that lead nowhere, beats that cannot come.

use std::io::Write as _;

use super::run::Running;
use super::support::{Place, out, run};

/// What is said, under this configuration beside the place's own.
fn said(place: &Place, more: &str) -> String {
    add(place, more);
    out(&run(&mut place.healer(&["check"]), b""))
}

fn add(place: &Place, more: &str) {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(place.path("healer.toml"))
        .unwrap();
    file.write_all(more.as_bytes()).unwrap();
}

fn lines(said: &str, about: &str) -> Vec<String> {
    let mut all = said.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = all.next() {
        if line
            .get(6..)
            .is_some_and(|rest| rest.starts_with(&format!("{about}: ")))
        {
            let advice = all.next_if(|next| next.starts_with("      -> "));
            found.push(format!(
                "{line}{}",
                advice.map_or("", |advice| &advice[5..])
            ));
        }
    }
    found
}

#[test]
fn remedies_of_rules_that_there_are_not_are_named_with_the_nearest() {
    let said = said(
        &Place::new(),
        "[defaults.remedies]\nunhealty = 'escalate'\nprobe-api = 'note'\n'*' = 'escalate'\n\
         [targets.web.remedies]\ncuda-oom = 'note'\ncuda-omm = 'note'\nprobe-ap = 'note'\n\
         silent = 'note'\n\
         [[targets.web.probes]]\nname = 'api'\ntype = 'tcp'\nport = 1\n\
         [targets.db.remedies]\nprobe-api = 'restart'\nzzzzzzzzzz = 'note'\n",
    );
    assert_eq!(
        lines(&said, "remedies"),
        [
            ("defaults", "unhealty", "did you mean unhealthy?"),
            (
                "targets.db",
                "zzzzzzzzzz",
                "see `healer rules list`, and docs/triggers.md for the triggers"
            ),
            ("targets.web", "cuda-omm", "did you mean cuda-oom?"),
            ("targets.web", "probe-ap", "did you mean probe-api?"),
        ]
        .map(|(place, rule, advice)| format!(
            "warn  remedies: {place}.remedies names {rule}, which is no rule, trigger or probe: it \
             changes nothing -> {advice}"
        ))
    );
}

#[test]
fn beats_that_cannot_arrive_are_told() {
    let activity = "[targets.backup.activity]\nwithin = '25h'\n";
    let place = Place::new();
    let text = said(&place, activity);
    let found = lines(&text, "activity");
    assert_eq!(found.len(), 1, "{text}");
    let nobody = "FAIL  activity: backup needs a beat within 1d 1h, and none can arrive: the intents \
                  socket takes no connection, and beats over HTTP are off ([beats] has no token)";
    assert!(found[0].starts_with(nobody), "{text}");
    assert_eq!(lines(&text, "beats"), [""; 0]);

    let _running = Running::start(&place, &[]);
    let text = out(&run(&mut place.healer(&["check"]), b""));
    let socket = place.path("intents.sock");
    assert_eq!(
        lines(&text, "activity"),
        [format!(
            "ok    activity: backup needs a beat within 1d 1h: by `healer beat backup` at {}",
            socket.display()
        )]
    );
}

#[test]
fn a_token_that_cannot_be_used_is_told() {
    let place = Place::new();
    let token = place.path("token");
    let beats = |listen: &str| {
        let mut check = place.healer(&["check"]);
        check.env("HEALER_HTTP_LISTEN", listen);
        lines(&out(&run(&mut check, b"")), "beats")
    };
    add(
        &place,
        &format!("[beats]\ntoken_file = '{}'\n", token.display()),
    );
    let off = beats("off");
    assert!(
        off[0].starts_with("warn  beats: a token is set, and http.listen is off"),
        "{off:?}"
    );
    let absent = beats("127.0.0.1:1");
    assert!(
        absent[0].starts_with("FAIL  beats: beats.token_file: "),
        "{absent:?}"
    );
    std::fs::write(&token, "short").unwrap();
    let short = beats("127.0.0.1:1");
    assert!(short[0].starts_with("FAIL  beats: beats: "), "{short:?}");
    std::fs::write(&token, "long-enough-for-a-token").unwrap();
    assert_eq!(
        beats("127.0.0.1:1"),
        ["ok    beats: over HTTP at 127.0.0.1:1, with the token"]
    );
}

#[test]
fn silence_is_said_with_where_it_is_seen() {
    let said = said(
        &Place::new(),
        "[targets.worker.silence]\npattern = 'Processed batch'\n\
         [targets.zeta.silence]\nany = true\nsource = 'plugin'\n",
    );
    let found = lines(&said, "silence");
    assert_eq!(
        found[0],
        "ok    silence: worker has to print progress \"Processed batch\", seen by the engine's log stream"
    );
    assert!(
        found[1].contains("zeta has to print any output, seen by the Fluent Bit plugin"),
        "{said}"
    );
}
