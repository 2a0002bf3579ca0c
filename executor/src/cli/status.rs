//! `healer status`: what the executor knows of its targets, as tables.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use executor_api::{
    AdminAnswer, AdminRequest, ExitCode, HeldBack, Status, Storm, TargetStatus, Window,
};
use policy::Gate;

use super::Settings;
use super::admin::{ask_running, show};
use super::output::{Failure, printable};
use super::table::{table, utc};
use crate::config::show_duration_ms;

/// Most characters of a detail in a table.
const DETAIL_CHARS_MAX: usize = 200;
/// Most targets of a storm, patterns of a window, or failing checks of a target that are named.
const NAMED_MAX: usize = 8;

/// No time and no `healer resume` ends these.
const NEVER: [Gate; 3] = [Gate::Protected, Gate::Orchestrated, Gate::NotEnabled];

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn status(settings: &Settings, args: &StatusArgs) -> Result<ExitCode, Failure> {
    let answer = ask_running(&settings.load()?, &AdminRequest::Status {})?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    show(&answer, args.json, |answer| {
        match serde_json::from_value::<Status>(answer.data.clone()) {
            Ok(status) => draw_status(&status, now),
            Err(_) => plain(answer),
        }
    })
}

/// The answer's own words, where its data has a shape from another version.
pub(super) fn plain(answer: &AdminAnswer) -> String {
    format!("{}\n", answer.message.trim_end())
}

fn draw_status(status: &Status, now: u64) -> String {
    let ready = match status.faults.is_empty() {
        true => "ready",
        false => "not ready",
    };
    let mut text = format!("healer {}: {ready}\n", status.version);
    for fault in &status.faults {
        text.push_str(&format!("  {}\n", shown(fault)));
    }
    if !status.engine.is_empty() {
        text.push_str(&format!("engine: {}\n", shown(&status.engine)));
    }
    if status.dry_run {
        text.push_str("dry run: nothing is restarted\n");
    }
    if let Some(pause) = &status.paused {
        let until = pause
            .until
            .map_or("until `healer resume`".to_owned(), |until| {
                format!("until {}", utc(until))
            });
        let why = because(&pause.reason);
        text.push_str(&format!("all targets are paused {until}{why}\n"));
    }
    if let Some(storm) = &status.storm {
        text.push_str(&draw_storm(storm));
    }
    for window in &status.windows {
        text.push_str(&draw_window(window));
    }
    text.push_str(&draw_held_back(&status.held_back));
    if status.targets.is_empty() {
        text.push_str(
            "no targets yet: list one in healer.toml, or label a container healer.enable=true\n",
        );
        return text;
    }
    let rows: Vec<_> = status.targets.iter().map(|t| row(t, now)).collect();
    text.push('\n');
    let headings = [
        "TARGET",
        "STATE",
        "RULE",
        "BUDGET LEFT",
        "LAST RESTART",
        "OUTCOME",
        "NEXT",
        "DETAIL",
    ];
    text.push_str(&table(headings, &rows));
    text
}

/// `: reason`, where there is one.
fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(": {}", shown(reason)),
    }
}

fn draw_storm(storm: &Storm) -> String {
    format!(
        "storm since {}: {}\n  targets: {}\n  restarts of all targets are stopped until all is \
         clear, {} at the earliest, or `healer resume`\n",
        utc(storm.since),
        shown(&storm.why),
        names(&storm.targets),
        utc(storm.quiet_at)
    )
}

/// Nothing of one that does not open in the coming days.
fn draw_window(window: &Window) -> String {
    let when = match (window.until, window.next) {
        (Some(until), _) => format!("is open until {}", utc(until)),
        (None, Some(next)) => format!("opens {}", utc(next)),
        (None, None) => return String::new(),
    };
    let of = match window.targets.is_empty() {
        true => "all targets".to_owned(),
        false => names(&window.targets),
    };
    let (name, why) = (shown(&window.name), because(&window.reason));
    format!("maintenance '{name}' {when} for {of}{why}\n")
}

fn draw_held_back(all: &[HeldBack]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let row = |one: &HeldBack| {
        [
            shown(&one.target),
            shown(&one.rule),
            utc(one.since),
            one.matches.to_string(),
            one.decided_at.map_or("not by itself".to_owned(), utc),
            shown(&one.detail),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let headings = ["TARGET", "RULE", "SINCE", "MATCHES", "DECIDED AGAIN", "BY"];
    format!("\nheld back by maintenance:\n{}", table(headings, &rows))
}

/// The first few, and how many more.
fn names(all: &[String]) -> String {
    let mut text: Vec<String> = all.iter().take(NAMED_MAX).map(|name| shown(name)).collect();
    if all.len() > NAMED_MAX {
        text.push(format!("and {} more", all.len() - NAMED_MAX));
    }
    text.join(", ")
}

fn row(target: &TargetStatus, now: u64) -> [String; 8] {
    let gate = target.blocked_by.as_deref();
    let next = match (target.next_possible, gate) {
        (Some(at), gate) if at > now => {
            let left = show_duration_ms((at - now) * 1000);
            let gate = gate.map(|gate| format!(" ({gate})"));
            format!("in {left}{}", gate.unwrap_or_default())
        }
        (None, Some(gate)) if NEVER.iter().any(|never| never.as_str() == gate) => {
            format!("never ({gate})")
        }
        (None, Some(gate)) => format!("not now ({gate})"),
        _ => "now".to_owned(),
    };
    let detail = match target.detail.is_empty() {
        true => &target.last_detail,
        false => &target.detail,
    };
    let failing = match target.failing.is_empty() {
        true => String::new(),
        false => format!("failing: {}", names(&target.failing)),
    };
    let detail = [failing, shown(detail)]
        .into_iter()
        .filter(|part| !part.is_empty());
    let detail = detail.collect::<Vec<_>>().join("; ");
    [
        shown(&target.name),
        target.state.clone(),
        target.rule.as_deref().map_or("-".to_owned(), shown),
        format!("{} of {}", target.budget_left, target.max_per_window),
        target.last_restart.map_or("never".to_owned(), utc),
        target.last_outcome.clone().unwrap_or("-".to_owned()),
        next,
        detail,
    ]
}

pub(super) fn shown(text: &str) -> String {
    printable(text.as_bytes(), DETAIL_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_drawn() {
        let status = Status {
            version: "0.1.0".into(),
            faults: vec!["engine: connection refused".into()],
            engine: "Docker 20.10.24, API 1.41".into(),
            dry_run: true,
            paused: Some(executor_api::Pause {
                until: Some(0),
                reason: "new driver".into(),
            }),
            storm: Some(executor_api::Storm {
                why: "the last 5 attempts did not cure".into(),
                since: 0,
                targets: (0..10).map(|n| format!("app{n}")).collect(),
                quiet_at: 600,
            }),
            windows: vec![
                Window {
                    name: "nightly".into(),
                    reason: "backups".into(),
                    targets: vec!["app*".into()],
                    until: Some(60),
                    next: Some(86_400),
                },
                Window {
                    name: "weekly".into(),
                    next: Some(120),
                    ..Window::default()
                },
                Window {
                    name: "over".into(),
                    ..Window::default()
                },
            ],
            held_back: vec![
                HeldBack {
                    target: "app".into(),
                    rule: "cuda-oom".into(),
                    since: 30,
                    matches: 3,
                    detail: "Maintenance 'nightly' for another 30s".into(),
                    decided_at: Some(60),
                },
                HeldBack {
                    target: "db".into(),
                    rule: "hang".into(),
                    since: 31,
                    matches: 1,
                    detail: "Label healer.maintenance of 'db'".into(),
                    decided_at: None,
                },
            ],
            targets: vec![
                TargetStatus {
                    name: "app".into(),
                    state: "pending".into(),
                    failing: Vec::new(),
                    detail: "Cooldown active (45s < 300s)".into(),
                    last_restart: Some(1_760_978_852),
                    last_outcome: Some("recovered".into()),
                    used: 2,
                    max_per_window: 4,
                    cooldown_sec: 300,
                    uncured: 0,
                    next_possible: Some(1_255),
                    budget_left: 2,
                    blocked_by: Some("cooldown".into()),
                    rule: Some("cuda-oom".into()),
                    last_detail: "healthy for 60s".into(),
                },
                TargetStatus {
                    name: "cache".into(),
                    state: "held".into(),
                    blocked_by: Some("held".into()),
                    last_detail: "it matched again".into(),
                    ..TargetStatus::default()
                },
                TargetStatus {
                    name: "db".into(),
                    state: "idle".into(),
                    max_per_window: 4,
                    budget_left: 4,
                    ..TargetStatus::default()
                },
            ],
        };
        assert_eq!(
            draw_status(&status, 1_000),
            "\
healer 0.1.0: not ready
  engine: connection refused
engine: Docker 20.10.24, API 1.41
dry run: nothing is restarted
all targets are paused until 1970-01-01T00:00:00Z: new driver
storm since 1970-01-01T00:00:00Z: the last 5 attempts did not cure
  targets: app0, app1, app2, app3, app4, app5, app6, app7, and 2 more
  restarts of all targets are stopped until all is clear, 1970-01-01T00:10:00Z at the earliest, or `healer resume`
maintenance 'nightly' is open until 1970-01-01T00:01:00Z for app*: backups
maintenance 'weekly' opens 1970-01-01T00:02:00Z for all targets

held back by maintenance:
TARGET  RULE      SINCE                 MATCHES  DECIDED AGAIN         BY
app     cuda-oom  1970-01-01T00:00:30Z  3        1970-01-01T00:01:00Z  Maintenance 'nightly' for another 30s
db      hang      1970-01-01T00:00:31Z  1        not by itself         Label healer.maintenance of 'db'

TARGET  STATE    RULE      BUDGET LEFT  LAST RESTART          OUTCOME    NEXT                  DETAIL
app     pending  cuda-oom  2 of 4       2025-10-20T16:47:32Z  recovered  in 4m 15s (cooldown)  Cooldown active (45s < 300s)
cache   held     -         0 of 0       never                 -          not now (held)        it matched again
db      idle     -         4 of 4       never                 -          now
"
        );
    }

    #[test]
    fn what_is_off_is_never_restarted_and_what_fails_is_named() {
        let off = |gate: &str| TargetStatus {
            state: "off".into(),
            blocked_by: Some(gate.into()),
            ..TargetStatus::default()
        };
        let next = |target: &TargetStatus| row(target, 1_000)[6].clone();
        assert_eq!(next(&off("not-enabled")), "never (not-enabled)");
        assert_eq!(next(&off("protected")), "never (protected)");
        assert_eq!(next(&off("orchestrated")), "never (orchestrated)");
        assert_eq!(next(&off("maintenance")), "not now (maintenance)");
        let failing = |names: &[&str], detail: &str| TargetStatus {
            failing: names.iter().map(ToString::to_string).collect(),
            detail: detail.into(),
            ..TargetStatus::default()
        };
        let detail = |target: &TargetStatus| row(target, 1_000)[7].clone();
        let all = ["no-beat", "probe-api"];
        assert_eq!(
            detail(&failing(&all, "held")),
            "failing: no-beat, probe-api; held"
        );
        assert_eq!(detail(&failing(&all[..1], "")), "failing: no-beat");
        assert_eq!(detail(&failing(&[], "held")), "held");
        let many = ["probe-x"; NAMED_MAX + 2];
        let shown = detail(&failing(&many, "held"));
        assert!(shown.ends_with("probe-x, and 2 more; held"), "{shown}");
    }
}
