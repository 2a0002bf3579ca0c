//! `healer status` and `healer history`: what the executor knows, as tables.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use executor_api::{AdminAnswer, AdminRequest, ExitCode, HistoryEntry, Status, TargetStatus};

use super::Settings;
use super::admin::{ask_running, show};
use super::output::{Failure, printable};
use super::table::{table, utc};
use crate::config::show_duration_ms;

/// Most characters of a detail in a table.
const DETAIL_CHARS_MAX: usize = 200;
/// Most characters of a path.
const PATH_CHARS_MAX: usize = 4096;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// One container only, by its name
    target: Option<String>,
    /// How many entries, the newest
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
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

pub(super) fn history(settings: &Settings, args: &HistoryArgs) -> Result<ExitCode, Failure> {
    let request = AdminRequest::History {
        target: args.target.clone(),
        limit: args.limit,
    };
    let answer = ask_running(&settings.load()?, &request)?;
    show(&answer, args.json, |answer| {
        match serde_json::from_value::<Vec<HistoryEntry>>(answer.data.clone()) {
            Ok(entries) => draw_history(&entries),
            Err(_) => plain(answer),
        }
    })
}

/// The answer's own words, where its data has a shape from another version.
fn plain(answer: &AdminAnswer) -> String {
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
        text.push_str(&format!(
            "storm since {}: restarts of all targets are stopped until all is clear, {} at the \
             earliest, or `healer resume`\n",
            utc(storm.since),
            utc(storm.quiet_at)
        ));
    }
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
        "BUDGET",
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

fn row(target: &TargetStatus, now: u64) -> [String; 7] {
    let next = match target.next_possible {
        Some(at) if at > now => format!("in {}", show_duration_ms((at - now) * 1000)),
        _ => "now".to_owned(),
    };
    [
        shown(&target.name),
        target.state.clone(),
        format!("{} of {}", target.used, target.max_per_window),
        target.last_restart.map_or("never".to_owned(), utc),
        target.last_outcome.clone().unwrap_or("-".to_owned()),
        next,
        shown(&target.detail),
    ]
}

fn draw_history(entries: &[HistoryEntry]) -> String {
    if entries.is_empty() {
        return "nothing yet\n".to_owned();
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let what = match &entry.gate {
                Some(gate) => format!("{} ({gate})", entry.what),
                None => entry.what.clone(),
            };
            [
                utc(entry.at),
                match entry.target.is_empty() {
                    true => "-".to_owned(),
                    false => shown(&entry.target),
                },
                what,
                entry.rule.clone().unwrap_or("-".to_owned()),
                shown(&entry.detail),
            ]
        })
        .collect();
    let mut text = table(["TIME", "TARGET", "WHAT", "RULE", "DETAIL"], &rows);
    let with_evidence = entries
        .iter()
        .filter_map(|e| Some((e, e.evidence.as_ref()?)));
    for (at, (entry, path)) in with_evidence.enumerate() {
        if at == 0 {
            text.push_str("\nEVIDENCE\n");
        }
        text.push_str(&format!(
            "{}  {}\n",
            utc(entry.at),
            printable(path.as_bytes(), PATH_CHARS_MAX)
        ));
    }
    text
}

fn shown(text: &str) -> String {
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
                targets: vec!["app".into()],
                quiet_at: 600,
            }),
            targets: vec![
                TargetStatus {
                    name: "app".into(),
                    state: "pending".into(),
                    detail: "Cooldown active (45s < 300s)".into(),
                    last_restart: Some(1_760_978_852),
                    last_outcome: Some("recovered".into()),
                    used: 2,
                    max_per_window: 4,
                    cooldown_sec: 300,
                    uncured: 0,
                    next_possible: Some(1_255),
                },
                TargetStatus {
                    name: "db".into(),
                    state: "idle".into(),
                    max_per_window: 4,
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
storm since 1970-01-01T00:00:00Z: restarts of all targets are stopped until all is clear, 1970-01-01T00:10:00Z at the earliest, or `healer resume`

TARGET  STATE    BUDGET  LAST RESTART          OUTCOME    NEXT       DETAIL
app     pending  2 of 4  2025-10-20T16:47:32Z  recovered  in 4m 15s  Cooldown active (45s < 300s)
db      idle     0 of 4  never                 -          now
"
        );
    }

    #[test]
    fn a_history_is_drawn() {
        let entries = [
            HistoryEntry {
                at: 1_760_978_852,
                target: "app".into(),
                what: "refused".into(),
                gate: Some("cooldown".into()),
                rule: Some("cuda-oom".into()),
                detail: "Cooldown active\n(45s < 300s)".into(),
                ..HistoryEntry::default()
            },
            HistoryEntry {
                at: 1_760_978_860,
                target: "app".into(),
                what: "recovered".into(),
                evidence: Some("/state/evidence/1760978860-7-app.json".into()),
                ..HistoryEntry::default()
            },
        ];
        assert_eq!(
            draw_history(&entries),
            "\
TIME                  TARGET  WHAT                RULE      DETAIL
2025-10-20T16:47:32Z  app     refused (cooldown)  cuda-oom  Cooldown active (45s < 300s)
2025-10-20T16:47:40Z  app     recovered           -

EVIDENCE
2025-10-20T16:47:40Z  /state/evidence/1760978860-7-app.json
"
        );
        assert_eq!(draw_history(&[]), "nothing yet\n");
    }
}
