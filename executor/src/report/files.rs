//! What stands in the report files, and in which order they are written.
//!
//! Every charge counts towards the limits, so every charge has its line in the
//! log and its place in the target's own files, which the original's tools take
//! their limits from. What tells of a restart is written for restarts only.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::dir::ReportDir;
use super::error::is_target_name;
use super::{CallResult, ReportError, ReportInput};
use crate::config;

/// The newest restart of any target.
pub(crate) const LAST_RESTART: &str = "last_restart.json";
/// All charges, one object a line.
pub(crate) const RESTARTS_LOG: &str = "restarts.log";
/// After the target's name: epoch seconds of its newest charge.
pub(crate) const LAST_RESTART_END: &str = ".last_restart";
/// After the target's name: epoch seconds of those in the window, one a line.
pub(crate) const RESTART_HIST_END: &str = ".restart_hist";

/// Hex digits of a container id that people are shown.
const SHORT_ID_LEN: usize = 12;

/// Longest that a report waits for the evidence that it names to be written.
const EVIDENCE_WAIT_MAX: Duration = Duration::from_millis(500);

/// Temporary files older than this were left by a process that was killed.
const TEMP_KEPT_S: u64 = 3600;

/// Epochs kept in a history file, the newest ones.
const HIST_MAX: usize = 1000;

/// The original's keys first, in its order and types; then our own.
#[derive(Debug, Serialize)]
struct Report<'a> {
    timestamp: u64,
    iso_time: String,
    host: &'a str,
    target: &'a str,
    container_id: &'a str,
    cooldown_sec: u64,
    window_sec: u64,
    window_count: u32,
    attempt: u64,
    result: CallResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

impl<'a> Report<'a> {
    fn of(input: &'a ReportInput) -> Self {
        let timestamp = input.charged_wall_ms / 1000;
        Self {
            timestamp,
            iso_time: iso_utc(timestamp),
            host: &input.host,
            target: &input.target,
            container_id: input
                .container_id
                .get(..SHORT_ID_LEN)
                .unwrap_or(&input.container_id),
            cooldown_sec: input.cooldown_sec,
            window_sec: input.window_sec,
            window_count: input.window_count,
            attempt: input.attempt,
            result: input.result,
            rule: input.rule.as_deref(),
            duration_ms: input.duration_ms,
            evidence: input
                .evidence
                .as_ref()
                .and_then(|evidence| evidence.path(EVIDENCE_WAIT_MAX))
                .map(|path| path.to_string_lossy().into_owned()),
        }
    }
}

/// `2025-10-20T21:07:32Z`; the last second of the year 9999 for anything later.
pub fn iso_utc(epoch_s: u64) -> String {
    const LAST_S: u64 = 253_402_300_799;
    let instant = UNIX_EPOCH + Duration::from_secs(epoch_s.min(LAST_S));
    humantime::format_rfc3339_seconds(instant).to_string()
}

/// Writes all files of one charge, each as far as it can be, and says how it
/// went by file name.
pub(crate) fn write(
    dir: &ReportDir,
    settings: &config::Reports,
    input: &ReportInput,
) -> Vec<(String, Result<(), ReportError>)> {
    let target = input.target.as_str();
    if !is_target_name(target) {
        return vec![(
            String::new(),
            Err(ReportError::Name {
                bytes: target.len(),
            }),
        )];
    }
    let report = Report::of(input);
    let json = |text: Result<String, _>| text.expect("strings and integers always serialise");
    let line = json(serde_json::to_string(&report));
    let pretty = json(serde_json::to_string_pretty(&report)) + "\n";
    let epoch_s = report.timestamp;
    let newest = input.hist.len().saturating_sub(HIST_MAX);
    let hist: String = input.hist[newest..]
        .iter()
        .map(|epoch| format!("{epoch}\n"))
        .collect();
    let mut replaced = vec![
        (format!("{target}{RESTART_HIST_END}"), hist),
        (
            format!("{target}{LAST_RESTART_END}"),
            format!("{epoch_s}\n"),
        ),
    ];
    if input.result == CallResult::Restarted {
        let marker = format!("restart-{target}-{epoch_s}.marker");
        replaced.push((marker, format!("{line}\n")));
        replaced.push((LAST_RESTART.to_owned(), pretty));
    }
    let mut done = vec![(
        RESTARTS_LOG.to_owned(),
        append_rotated(dir, settings, &line),
    )];
    done.extend(replaced.into_iter().map(|(name, content)| {
        let result = dir.replace(&name, content.as_bytes());
        (name, result)
    }));
    let swept = sweep(
        dir,
        settings.marker_keep_ms / 1000,
        input.now_wall_ms / 1000,
    );
    done.push((".".to_owned(), swept));
    done
}

fn append_rotated(
    dir: &ReportDir,
    settings: &config::Reports,
    line: &str,
) -> Result<(), ReportError> {
    let size = dir.size_of_ours(RESTARTS_LOG)?;
    if size > 0 && size + line.len() as u64 + 1 > settings.rotate_bytes {
        rotate(dir, settings.rotated_files)?;
    }
    dir.append_line(RESTARTS_LOG, line)
}

/// `restarts.log` becomes `.1`, `.1` becomes `.2`, the oldest goes.
fn rotate(dir: &ReportDir, kept: u32) -> Result<(), ReportError> {
    if kept == 0 {
        return dir.remove(RESTARTS_LOG);
    }
    let name = |n: u32| match n {
        0 => RESTARTS_LOG.to_owned(),
        n => format!("{RESTARTS_LOG}.{n}"),
    };
    for n in (0..kept).rev() {
        if dir.stat_of(&name(n))?.is_some() {
            dir.rename_ours(&name(n), &name(n + 1))?;
        }
    }
    Ok(())
}

/// Removes our own markers and forgotten temporary files that are too old.
fn sweep(dir: &ReportDir, marker_keep_s: u64, now_s: u64) -> Result<(), ReportError> {
    let mut result = Ok(());
    // What is beyond them is left for the next time.
    for name in dir.some_names()?.found {
        let marked_s = marker_epoch(&name);
        let is_temp = ReportDir::is_temp(&name);
        if marked_s.is_none() && !is_temp {
            continue;
        }
        let Some(stat) = dir.stat_of(&name)? else {
            continue;
        };
        let made_s = u64::try_from(stat.st_mtime).unwrap_or(0);
        let age_s = now_s.saturating_sub(marked_s.unwrap_or(made_s));
        let kept_s = if is_temp { TEMP_KEPT_S } else { marker_keep_s };
        if age_s > kept_s && dir.is_own_file(&stat) {
            result = result.and(dir.remove(&name));
        }
    }
    result
}

/// The epoch seconds in a marker's name; none where it is no marker.
fn marker_epoch(name: &str) -> Option<u64> {
    let middle = name.strip_prefix("restart-")?.strip_suffix(".marker")?;
    middle.rsplit_once('-')?.1.parse().ok()
}
