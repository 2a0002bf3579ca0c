//! What the plugin tells people, in which words and how often.
//!
//! Not here: figures (`metrics`); and no log text, ever.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use executor_api::{Answer, Decision, Intent, TargetRef};

use crate::log::{Level, Limiter, Line};
use crate::scan::Findings;

const MINUTE_MS: u64 = 60_000;
/// A tag is repeated up to here.
const TAG_BYTES_MAX: usize = 200;

/// One instance's limiters.
#[derive(Debug)]
pub struct Notes {
    answers: Limiter,
    rejections: Limiter,
    away: Limiter,
    untargeted: Limiter,
    damage: Limiter,
    overflow: Limiter,
    lost: Limiter,
    forgotten: Limiter,
    is_away: AtomicBool,
}

impl Default for Notes {
    fn default() -> Self {
        let once_a_minute = || Limiter::new(1, MINUTE_MS);
        Self {
            answers: Limiter::new(20, 10_000),
            rejections: Limiter::new(5, MINUTE_MS),
            away: once_a_minute(),
            untargeted: once_a_minute(),
            damage: once_a_minute(),
            overflow: once_a_minute(),
            lost: once_a_minute(),
            forgotten: once_a_minute(),
            is_away: AtomicBool::new(false),
        }
    }
}

impl Notes {
    /// The executor's answer to one intent.
    pub fn answer(&self, now_ms: u64, intent: &Intent, answer: &Answer) -> Option<Line> {
        let text = || {
            let gate = answer.gate.as_deref().map(|gate| format!(" by {gate}"));
            let detail = answer.detail.as_deref().map(|detail| format!(": {detail}"));
            format!(
                "{}: {}{}{}",
                describe(intent),
                answer.decision.as_str(),
                gate.unwrap_or_default(),
                detail.unwrap_or_default(),
            )
        };
        if answer.decision == Decision::Error {
            return self.rejections.line(now_ms, Level::Error, text);
        }
        self.answers.line(now_ms, Level::Info, text)
    }

    /// What `Dry_Run` kept back.
    pub fn dry_run(&self, now_ms: u64, intents: &[Intent]) -> Vec<Line> {
        intents
            .iter()
            .filter_map(|intent| {
                self.answers.line(now_ms, Level::Info, || {
                    format!("{}: not sent, Dry_Run is on", describe(intent))
                })
            })
            .collect()
    }

    /// The executor could not be reached: said at once when it was there
    /// before, then once a minute.
    pub fn executor_away(
        &self,
        now_ms: u64,
        level: Level,
        socket: &Path,
        why: &str,
    ) -> Option<Line> {
        let text = || {
            format!(
                "the executor does not answer on {}: {why}; matches are kept and sent when it \
                 does (is `healer run` up, and may this process use its socket?)",
                socket.display()
            )
        };
        if !self.is_away.swap(true, Ordering::Relaxed) {
            // Uses up this minute's line as well.
            let line = self.away.line(now_ms, level, text);
            return line.or_else(|| Some(Line::new(level, text())));
        }
        self.away.line(now_ms, level, text)
    }

    /// The executor answered; said when it was away.
    pub fn executor_back(&self, socket: &Path) -> Option<Line> {
        self.is_away.swap(false, Ordering::Relaxed).then(|| {
            let text = format!("the executor answers again on {}", socket.display());
            Line::new(Level::Info, text)
        })
    }

    /// What in a chunk could not be used.
    pub fn findings(&self, now_ms: u64, tag: &[u8], found: &Findings, lines: &mut Vec<Line>) {
        if found.untargeted_total() > 0 {
            lines.extend(self.untargeted.line(now_ms, Level::Warn, || {
                let reasons: Vec<String> = found
                    .untargeted_by_reason()
                    .filter(|(_, count)| *count > 0)
                    .map(|(reason, count)| format!("{count} {}", reason.as_str()))
                    .collect();
                format!(
                    "matching records that name no container ({}), tag {}: not sent; \
                     see Target and Path_Key",
                    reasons.join(", "),
                    short(tag)
                )
            }));
        }
        let damage = found.damage.map(|damage| damage.to_string());
        let foreign = found
            .foreign
            .map(|(count, why)| format!("{count} values are no log events, the last as {why}"));
        if let Some(what) = damage.or(foreign) {
            lines.extend(self.damage.line(now_ms, Level::Error, || {
                format!("a chunk with tag {} cannot be read: {what}", short(tag))
            }));
        }
        if found.overflow > 0 {
            lines.extend(self.overflow.line(now_ms, Level::Error, || {
                format!(
                    "a chunk with tag {} names too many containers: {} matches lost",
                    short(tag),
                    found.overflow
                )
            }));
        }
    }

    /// Matches for which there was no room.
    pub fn lost(&self, now_ms: u64, matches: u64) -> Option<Line> {
        self.lost.line(now_ms, Level::Error, || {
            format!("{matches} matches lost: too many containers wait for the executor")
        })
    }

    /// Ids that are known no more.
    pub fn forgotten(&self, now_ms: u64, ids: u64) -> Option<Line> {
        self.forgotten.line(now_ms, Level::Warn, || {
            format!(
                "{ids} waiting chunks are forgotten for want of room: where they come again, \
                 the executor may count their matches twice"
            )
        })
    }
}

/// `3 matches of cuda-oom for a5e01e0d66b8`.
fn describe(intent: &Intent) -> String {
    let target = match &intent.target {
        TargetRef::Id(id) => id.chars().take(12).collect(),
        TargetRef::Name(name) => name.clone(),
        TargetRef::Pid(pid) => format!("process {pid}"),
        TargetRef::Cgroup(path) => format!("cgroup {path}"),
    };
    let matches = match intent.matches() {
        1 => "1 match".into(),
        n => format!("{n} matches"),
    };
    format!("{matches} of {} for {target}", intent.rule)
}

fn short(tag: &[u8]) -> String {
    String::from_utf8_lossy(&tag[..tag.len().min(TAG_BYTES_MAX)]).into_owned()
}
