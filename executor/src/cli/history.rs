//! `healer history`: attempts, refusals and what people did, as a table.

use clap::Args;
use executor_api::{AdminRequest, ExitCode, HistoryEntry};

use super::Settings;
use super::admin::{ask_running, show};
use super::output::{Failure, bare_name, printable};
use super::since::since;
use super::status::{plain, shown};
use super::table::{table, utc};

/// Most characters of a path.
const PATH_CHARS_MAX: usize = 4096;

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// One container only, by its name
    target: Option<String>,
    /// The same as a flag
    #[arg(long = "target", value_name = "TARGET", conflicts_with = "target")]
    of: Option<String>,
    /// What one rule or trigger called for
    #[arg(long)]
    rule: Option<String>,
    /// One kind of end only
    #[arg(long, value_parser = OUTCOMES)]
    outcome: Option<String>,
    /// Not older than this: a duration such as 24h, or a time (RFC 3339)
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<u64>,
    /// How many entries, the newest
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

/// What an entry can be.
const OUTCOMES: [&str; 15] = [
    "recovered",
    "relapsed",
    "failed",
    "aborted",
    "unknown",
    "stopped",
    "in-progress",
    "verifying",
    "dry-run",
    "refused",
    "held",
    "released",
    "storm",
    "paused",
    "resumed",
];

pub(super) fn history(settings: &Settings, args: &HistoryArgs) -> Result<ExitCode, Failure> {
    let request = AdminRequest::History {
        target: args.target.as_deref().or(args.of.as_deref()).map(bare_name),
        limit: args.limit,
        rule: args.rule.clone(),
        what: args.outcome.clone(),
        since: args.since,
    };
    let answer = ask_running(&settings.load()?, &request)?;
    show(&answer, args.json, |answer| {
        match serde_json::from_value::<Vec<HistoryEntry>>(answer.data.clone()) {
            Ok(entries) => draw_history(&entries),
            Err(_) => plain(answer),
        }
    })
}

fn draw_history(entries: &[HistoryEntry]) -> String {
    if entries.is_empty() {
        return "nothing of that kind is remembered\n".to_owned();
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(draw_history(&[]), "nothing of that kind is remembered\n");
    }
}
