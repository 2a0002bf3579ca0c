//! The intent: target, rule, how many matches and when, one sample line.

use serde::{Deserialize, Serialize};

use crate::{LINE_BYTES_MAX, encode};

/// Most bytes of `sample`.
pub const SAMPLE_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of every other string.
pub const STRING_BYTES_MAX: usize = 512;
/// Most entries of `times`; older ones are summed into the first.
pub const TIMES_MAX: usize = 128;

/// Most patterns of progress that one sender looks for.
pub const PATTERNS_MAX: usize = 8;

/// A question that any answer answers: is the executor there? Nothing else
/// comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// The answer's, at most [`STRING_BYTES_MAX`] bytes.
    pub id: String,
    /// The progress that the sender looks for, at most [`PATTERNS_MAX`]: while it says so,
    /// that none comes means that there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<String>,
}

/// A container has printed what counts as its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The answer's, at most [`STRING_BYTES_MAX`] bytes.
    pub id: String,
    /// Which container, as the host vouches for it: by its id or its name.
    pub target: TargetRef,
    /// What was looked for, as the configuration names it; `*` is any output. Not empty, at
    /// most [`STRING_BYTES_MAX`] bytes.
    pub pattern: String,
    /// The newest line.
    pub last: LastMatch,
}

/// A sign of life that somebody waits for: of a worker, a cron job, a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// The answer's, at most [`STRING_BYTES_MAX`] bytes.
    pub id: String,
    /// The canonical name of the container that it is a sign of. Not empty, at most
    /// [`STRING_BYTES_MAX`] bytes.
    pub target: String,
}

/// A request to heal one container for one rule.
///
/// Its `id` is a hash of all that it stands for, so the same chunk sent twice
/// gives the same id; the executor counts an id once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Chosen by the sender, at most [`STRING_BYTES_MAX`] bytes, not empty.
    pub id: String,
    /// Which container, as the host vouches for it.
    pub target: TargetRef,
    /// The rule's name; the executor takes everything else from its own copy.
    pub rule: String,
    /// A hint only, see `rule`.
    pub remedy: Remedy,
    /// (seconds since the epoch, matches in that second), ascending.
    pub times: Vec<(u64, u32)>,
    /// The newest match.
    pub last: LastMatch,
    /// One matching line, cut to [`SAMPLE_BYTES_MAX`]. Opaque.
    #[serde(default)]
    pub sample: String,
    /// Fluent Bit's tag, or empty.
    #[serde(default)]
    pub tag: String,
    /// Who sends: `fluent-bit`, `scan`, a script's own word.
    #[serde(default)]
    pub source: String,
}

/// How an intent names its container. Exactly one key on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetRef {
    /// A container id, 12 to 64 hex digits.
    Id(String),
    /// A container name, without the leading `/`.
    Name(String),
    /// A process id in the host's PID namespace (an Xid's `pid=`).
    Pid(u32),
    /// A cgroup path (an oom-kill's `task_memcg=`).
    Cgroup(String),
}

/// What a match calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// Restart the container.
    Restart,
    /// A restart cannot cure it: tell a person.
    Escalate,
    /// Count it.
    Note,
}

/// Seconds since the epoch, and nanoseconds or null where the source has whole
/// seconds. On the wire `[1760978851,912345678]` or `[1760978851,null]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMatch(pub u64, pub Option<u32>);

impl Intent {
    /// Makes the intent fit a line: cuts every string and list to its limit at
    /// character boundaries, puts a space for each control character (they
    /// would grow sixfold when escaped), and cuts the sample further where
    /// quotes and backslashes still push the line over its limit.
    pub fn clamp(&mut self) {
        for s in [
            &mut self.id,
            &mut self.rule,
            &mut self.tag,
            &mut self.source,
        ] {
            clamp_str(s, STRING_BYTES_MAX);
        }
        if let TargetRef::Id(s) | TargetRef::Name(s) | TargetRef::Cgroup(s) = &mut self.target {
            clamp_str(s, STRING_BYTES_MAX);
        }
        clamp_str(&mut self.sample, SAMPLE_BYTES_MAX);
        for s in [
            &mut self.id,
            &mut self.rule,
            &mut self.tag,
            &mut self.source,
            &mut self.sample,
        ] {
            blank_controls(s);
        }
        merge_times(&mut self.times);
        let excess = encode(Some("intent"), self)
            .len()
            .saturating_sub(LINE_BYTES_MAX);
        let bytes_max = self.sample.len().saturating_sub(excess);
        clamp_str(&mut self.sample, bytes_max);
    }

    /// Matches in all seconds together.
    pub fn matches(&self) -> u64 {
        self.times.iter().map(|&(_, n)| u64::from(n)).sum()
    }
}

fn blank_controls(s: &mut String) {
    if s.bytes().any(|b| b.is_ascii_control()) {
        *s = s
            .chars()
            .map(|c| if c.is_ascii_control() { ' ' } else { c })
            .collect();
    }
}

/// Cuts `s` to at most `bytes_max` bytes, never inside a character.
pub fn clamp_str(s: &mut String, bytes_max: usize) {
    if s.len() > bytes_max {
        s.truncate(s.floor_char_boundary(bytes_max));
    }
}

/// Sorts, adds up equal seconds, and sums all but the newest
/// [`TIMES_MAX`]` - 1` entries into the first.
pub fn merge_times(times: &mut Vec<(u64, u32)>) {
    times.sort_unstable_by_key(|&(second, _)| second);
    times.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        same
    });
    if times.len() > TIMES_MAX {
        let surplus = times.len() - TIMES_MAX;
        let older: u32 = times[..=surplus]
            .iter()
            .fold(0, |sum, &(_, n)| sum.saturating_add(n));
        times.drain(..surplus);
        times[0].1 = older;
    }
}
