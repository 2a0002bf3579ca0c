//! `healer stats`: how often restarts cured, and how long that took.

use clap::Args;
use executor_api::{AdminRequest, ExitCode, Figures, Stats};

use super::Settings;
use super::admin::{ask_running, show};
use super::output::{Failure, bare_name};
use super::since::since;
use super::status::{plain, shown};
use super::table::{table, utc};
use crate::config::show_duration_ms;

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// One container only, by its name
    #[arg(long)]
    target: Option<String>,
    /// What one rule or trigger called for
    #[arg(long)]
    rule: Option<String>,
    /// Not older than this: a duration such as 7d, or a time (RFC 3339)
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<u64>,
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn stats(settings: &Settings, args: &StatsArgs) -> Result<ExitCode, Failure> {
    let request = AdminRequest::Stats {
        target: args.target.as_deref().map(bare_name),
        rule: args.rule.clone(),
        since: args.since,
    };
    let answer = ask_running(&settings.load()?, &request)?;
    show(&answer, args.json, |answer| {
        match serde_json::from_value::<Stats>(answer.data.clone()) {
            Ok(stats) => draw(&stats),
            Err(_) => plain(answer),
        }
    })
}

fn draw(stats: &Stats) -> String {
    let all = &stats.all;
    let from = match stats.since {
        Some(since) if since >= stats.known_from => format!("since {}", utc(since)),
        Some(_) | None => format!(
            "of what is remembered: attempts since {}",
            utc(stats.known_from)
        ),
    };
    let rate = match all.success_percent {
        Some(percent) => format!("{percent:.1} % of those that are judged"),
        None => "not known: none is judged yet".to_owned(),
    };
    let mut text = format!("{from}\nattempts: {}, success rate: {rate}\n", all.attempts);
    if all.unknown + all.aborted + all.stopped + all.open > 0 {
        text.push_str(&format!(
            "not judged: {} unknown, {} aborted, {} stopped, {} open\n",
            all.unknown, all.aborted, all.stopped, all.open
        ));
    }
    text.push_str(&format!(
        "time to recovery: mean {}, median {} (of {})\n",
        time(all.mean_recovery_ms),
        time(all.median_recovery_ms),
        all.recoveries
    ));
    text.push_str(&section("TARGET", &stats.targets, stats.more_targets));
    text.push_str(&section("RULE", &stats.rules, stats.more_rules));
    text
}

fn section(what: &'static str, of: &[Figures], more: u32) -> String {
    if of.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = of.iter().map(row).collect();
    let headings = [
        what,
        "ATTEMPTS",
        "RECOVERED",
        "RELAPSED",
        "FAILED",
        "ABORTED",
        "UNKNOWN",
        "SUCCESS",
        "MEAN",
        "MEDIAN",
        "REFUSED",
        "DRY RUNS",
    ];
    let mut text = format!("\n{}", table(headings, &rows));
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

fn row(of: &Figures) -> [String; 12] {
    let name = match of.name.is_empty() {
        true => "(by hand)".to_owned(),
        false => shown(&of.name),
    };
    let percent = of.success_percent.map(|percent| format!("{percent:.1} %"));
    let counts = [
        of.attempts,
        of.recovered,
        of.relapsed,
        of.failed,
        of.aborted,
        of.unknown,
    ];
    let [attempts, recovered, relapsed, failed, aborted, unknown] = counts.map(|n| n.to_string());
    [
        name,
        attempts,
        recovered,
        relapsed,
        failed,
        aborted,
        unknown,
        percent.unwrap_or("-".to_owned()),
        time(of.mean_recovery_ms),
        time(of.median_recovery_ms),
        of.refused.to_string(),
        of.dry_runs.to_string(),
    ]
}

/// Whole seconds from ten on: more is not meant.
fn time(ms: Option<u64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 10_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        Some(ms) => show_duration_ms(ms / 1_000 * 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_drawn_and_what_is_not_known_is_said() {
        let web = Figures {
            name: "web".into(),
            attempts: 4,
            recovered: 2,
            relapsed: 1,
            unknown: 1,
            success_percent: Some(66.7),
            recoveries: 2,
            mean_recovery_ms: Some(154_321),
            median_recovery_ms: Some(2_050),
            refused: 12,
            ..Figures::default()
        };
        let by_hand = Figures {
            attempts: 1,
            open: 1,
            ..Figures::default()
        };
        let stats = Stats {
            since: Some(1_760_978_852),
            known_from: 60,
            all: Figures {
                attempts: 5,
                open: 1,
                ..web.clone()
            },
            targets: vec![web.clone()],
            more_targets: 3,
            rules: vec![by_hand],
            more_rules: 0,
        };
        assert_eq!(
            draw(&stats),
            "\
since 2025-10-20T16:47:32Z
attempts: 5, success rate: 66.7 % of those that are judged
not judged: 1 unknown, 0 aborted, 0 stopped, 1 open
time to recovery: mean 2m 34s, median 2.0s (of 2)

TARGET  ATTEMPTS  RECOVERED  RELAPSED  FAILED  ABORTED  UNKNOWN  SUCCESS  MEAN    MEDIAN  REFUSED  DRY RUNS
web     4         2          1         0       0        1        66.7 %   2m 34s  2.0s    12       0
and 3 more

RULE       ATTEMPTS  RECOVERED  RELAPSED  FAILED  ABORTED  UNKNOWN  SUCCESS  MEAN  MEDIAN  REFUSED  DRY RUNS
(by hand)  1         0          0         0       0        0        -        -     -       0        0
"
        );
        assert_eq!(
            draw(&Stats::default()),
            "\
of what is remembered: attempts since 1970-01-01T00:00:00Z
attempts: 0, success rate: not known: none is judged yet
time to recovery: mean -, median - (of 0)
"
        );
    }
}
