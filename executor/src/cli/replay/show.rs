//! What a replay came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use policy::{Gate, Outcome, Verdict};
use serde_json::{Value, json};

use super::matches::Matches;
use super::world::{Happened, Replayed, What};
use crate::cli::output::{Failure, printable};
use crate::cli::rules::print;
use crate::cli::table;

/// Longest reason in the table, in characters; JSON has all of it.
const WHY_CHARS_MAX: usize = 160;

/// What no log can tell.
const ASSUMED: [&str; 4] = [
    "every container ran all the time, none has a health check, and nobody paused or stopped one \
     (maintenance windows of the configuration are kept)",
    "a restart is done at once and succeeds; what the log says after it, the restarted container said",
    "budgets are unspent and nothing is held when the log begins",
    "each second's matches of a rule arrive together; after the last line nothing matches any more",
];

/// What was replayed.
pub(super) struct Told<'a> {
    pub(super) file: &'a Path,
    pub(super) matches: &'a Matches,
    pub(super) what_if: &'a [(String, String)],
}

pub(super) fn table(
    told: &Told<'_>,
    as_is: &Replayed,
    what_if: Option<&Replayed>,
) -> Result<(), Failure> {
    let mut text = String::new();
    let shown = what_if.unwrap_or(as_is);
    let rows: Vec<[String; 6]> = folded(&shown.happened).iter().map(row).collect();
    let headings = ["TIME", "LINE", "CONTAINER", "RULE", "WHAT", "WHY"];
    if rows.is_empty() {
        text += "nothing would have happened: no line matches a rule\n";
    } else {
        text += &table::table(headings, &rows);
    }
    text.push('\n');
    summary(&mut text, told, as_is, what_if);
    text += "assumed:\n";
    for assumed in assumptions(told, as_is) {
        let _ = writeln!(text, "  - {assumed}");
    }
    print(&text)
}

pub(super) fn json(
    told: &Told<'_>,
    as_is: &Replayed,
    what_if: Option<&Replayed>,
) -> Result<(), Failure> {
    let mut text = String::new();
    for one in &what_if.unwrap_or(as_is).happened {
        text += &event(one).to_string();
        text.push('\n');
    }
    let matches = told.matches;
    let set: Vec<String> = told
        .what_if
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let whole = json!({
        "file": told.file.display().to_string(),
        "lines": matches.lines,
        "matching_lines": matches.matching,
        "from": matches.span_ms.map(|(first, _)| time(first)),
        "to": matches.span_ms.map(|(_, last)| time(last)),
        "as_configured": counts(as_is),
        "what_if": what_if.map(|other| json!({"set": set, "counts": counts(other)})),
        "assumed": assumptions(told, as_is),
    });
    text += &json!({ "summary": whole }).to_string();
    text.push('\n');
    print(&text)
}

fn event(one: &Happened) -> Value {
    let mut event = json!({
        "time": time(one.at_ms),
        "target": one.target,
        "rule": one.rule,
        "what": word(one.what),
        "why": one.why,
        "line": one.line,
        "after_the_log": one.is_after,
    });
    if let What::Decided(_, gate) = one.what {
        event["gate"] = gate.map(Gate::as_str).into();
    }
    event
}

/// Like ones in a row as one, with how many.
fn folded(happened: &[Happened]) -> Vec<(&Happened, u64)> {
    let mut rows: Vec<(&Happened, u64)> = Vec::new();
    // Of each container and rule the newest row, as long as nothing else comes.
    let mut newest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in happened {
        let key = (&*one.target, &*one.rule);
        let is_refusal = matches!(one.what, What::Decided(verdict, Some(_))
            if verdict == Verdict::Refused || verdict == Verdict::Pending);
        let last = newest.get(&key).copied();
        match last.filter(|row| is_refusal && rows[*row].0.what == one.what) {
            Some(row) => rows[row].1 += 1,
            None => {
                newest.retain(|(target, _), _| *target != one.target);
                newest.insert(key, rows.len());
                rows.push((one, 1));
            }
        }
    }
    rows
}

fn row((one, times): &(&Happened, u64)) -> [String; 6] {
    let mut why = printable(one.why.as_bytes(), WHY_CHARS_MAX);
    if *times > 1 {
        let _ = write!(why, " (and {} more)", times - 1);
    }
    let gate = match one.what {
        What::Decided(Verdict::Refused | Verdict::Pending, Some(gate)) => {
            format!(" ({})", gate.as_str())
        }
        _ => String::new(),
    };
    let line = one.line.map_or(String::new(), |line| line.to_string());
    let after = if one.is_after { "+" } else { "" };
    let dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    [
        format!("{}{after}", time(one.at_ms)),
        if line.is_empty() {
            "-".to_owned()
        } else {
            line
        },
        dash(&one.target),
        dash(&one.rule),
        format!("{}{gate}", word(one.what)),
        why,
    ]
}

fn summary(text: &mut String, told: &Told<'_>, as_is: &Replayed, what_if: Option<&Replayed>) {
    let matches = told.matches;
    let _ = write!(
        text,
        "{} of {} lines match",
        matches.matching, matches.lines
    );
    if let Some((first, last)) = matches.span_ms {
        let _ = write!(text, ", {} to {}", time(first), time(last));
    }
    text.push_str("; + behind a time: after the last line\n");
    let before = counts(as_is);
    let Some(other) = what_if else {
        for (what, n) in &before {
            let _ = writeln!(text, "{n:>8}  {what}");
        }
        return;
    };
    let set: Vec<String> = told
        .what_if
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let after = counts(other);
    let _ = writeln!(text, "as it is, and with {}:", set.join(" "));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for what in names {
        let n = |counts: &BTreeMap<String, u64>| counts.get(what).copied().unwrap_or(0);
        let _ = writeln!(text, "{:>8} {:>8}  {what}", n(&before), n(&after));
    }
}

fn counts(replayed: &Replayed) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for one in &replayed.happened {
        let name = match one.what {
            What::Decided(Verdict::Pending, Some(gate)) => format!("pending {}", gate.as_str()),
            What::Decided(Verdict::Refused, Some(gate)) => format!("refused {}", gate.as_str()),
            what => word(what).to_owned(),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn assumptions(told: &Told<'_>, replayed: &Replayed) -> Vec<String> {
    let mut all: Vec<String> = ASSUMED.map(str::to_owned).to_vec();
    let not_listed = &replayed.not_listed;
    if !not_listed.is_empty() {
        let names = not_listed.iter().take(8).cloned().collect::<Vec<_>>();
        let more = not_listed.len().saturating_sub(names.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        all.push(format!(
            "not in the configuration, taken as labelled healer.enable=true: {}{more}",
            names.join(", ")
        ));
    }
    let timeless = told.matches.timeless;
    if timeless > 0 {
        all.push(format!(
            "{timeless} matching lines have no time: printed with the line before them"
        ));
    }
    all
}

fn word(what: What) -> &'static str {
    match what {
        What::Decided(verdict, _) => match verdict {
            Verdict::Restart => "restart",
            Verdict::Pending => "pending",
            Verdict::Refused => "refused",
            Verdict::Noted => "noted",
            Verdict::Escalated => "escalated",
        },
        What::Ended => "no longer pending",
        What::Outcome(Outcome::Recovered) => "recovered",
        What::Outcome(Outcome::Relapsed) => "relapsed",
        What::Outcome(Outcome::Failed) => "failed",
        What::Outcome(Outcome::Aborted) => "aborted",
        What::Outcome(Outcome::Unknown) => "unknown",
        What::Outcome(Outcome::Stopped) => "stopped",
        What::Held => "held",
        What::Released => "released",
        What::Storm => "storm",
        What::StormEnded => "storm over",
    }
}

/// In UTC. Beyond the year 9999 there is no such notation.
fn time(ms: u64) -> String {
    let ms = ms.min(253_402_300_799_999);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_millis(time).to_string()
}
