//! A message to people about one step of an incident: what it says, in plain
//! fields of bounded size, and as plain text. How each service wants it is the
//! senders' part.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Bytes of one text field; what is longer is cut.
pub(super) const FIELD_BYTES_MAX: usize = 1_024;
/// Characters of a sample line.
pub(super) const SAMPLE_CHARS_MAX: usize = 400;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is wrong, and is being seen to.
    Warning,
    /// It was seen to, without success.
    Error,
    /// A person is needed.
    Critical,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What has happened, of what an incident is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The first match of an incident.
    Detected,
    /// A restart is called for, and is put off.
    Pending,
    /// The container is being restarted.
    Restarting,
    /// What was done did not cure: the next measure of the same attempt.
    NextMeasure,
    /// The restart has cured it.
    Recovered,
    /// It has not: the same again.
    Relapsed,
    /// The restart could not be made.
    Failed,
    /// Nobody knows what came of it.
    Unknown,
    /// The restart was not made: the container is another, or was stopped.
    Aborted,
    /// What was put off is no longer called for.
    Resolved,
    /// What was put off was given up; it may still be needed.
    Expired,
    /// No more restarts until a person says so.
    Held,
    /// A restart cannot cure this.
    Escalated,
    /// A held target is free again.
    Released,
    /// No restarts of any target.
    Storm,
    /// That is over.
    StormEnded,
    /// A dry run would have restarted.
    DryRun,
    /// Several messages that were kept back, in one.
    Digest,
    /// `healer notify test`.
    Test,
}

impl Step {
    /// Those that can be routed by; the others are made from them.
    pub const ROUTED: [Self; 17] = [
        Self::Detected,
        Self::Pending,
        Self::Restarting,
        Self::NextMeasure,
        Self::Recovered,
        Self::Relapsed,
        Self::Failed,
        Self::Unknown,
        Self::Aborted,
        Self::Resolved,
        Self::Expired,
        Self::Held,
        Self::Escalated,
        Self::Released,
        Self::Storm,
        Self::StormEnded,
        Self::DryRun,
    ];

    /// As in the configuration and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Pending => "pending",
            Self::Restarting => "restarting",
            Self::NextMeasure => "next-measure",
            Self::Recovered => "recovered",
            Self::Relapsed => "relapsed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Aborted => "aborted",
            Self::Resolved => "resolved",
            Self::Expired => "expired",
            Self::Held => "held",
            Self::Escalated => "escalated",
            Self::Released => "released",
            Self::Storm => "storm",
            Self::StormEnded => "storm-ended",
            Self::DryRun => "dry-run",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }

    /// What each is worth to a person.
    pub fn severity(self) -> Severity {
        match self {
            Self::Pending
            | Self::Restarting
            | Self::Recovered
            | Self::Aborted
            | Self::Resolved
            | Self::Released
            | Self::StormEnded
            | Self::DryRun
            | Self::Digest
            | Self::Test => Severity::Info,
            Self::Detected | Self::NextMeasure | Self::Relapsed => Severity::Warning,
            Self::Failed | Self::Unknown | Self::Expired => Severity::Error,
            Self::Held | Self::Escalated | Self::Storm => Severity::Critical,
        }
    }
}

/// One message, the same for all notifiers but for the sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// 32 hex digits; the same however often it is sent.
    pub id: String,
    /// The same for all messages of one incident; empty where it is about all.
    pub incident: String,
    /// When it happened, ms since the epoch.
    pub at_ms: u64,
    /// The executor's host.
    pub host: String,
    /// What happened.
    pub step: Step,
    /// How much it matters.
    pub severity: Severity,
    /// The container's name; empty where it is about all.
    pub target: String,
    /// 12 hex digits.
    pub container_id: Option<String>,
    /// The rule that matched.
    pub rule: Option<String>,
    /// The attempt's number, as in `healer history`.
    pub attempt: Option<u64>,
    /// One line.
    pub title: String,
    /// What happened, in a sentence or two.
    pub detail: String,
    /// "attempt 2 of 5", "restart 1 of 4 within 10m".
    pub figures: Vec<String>,
    /// What happens next, or what to do.
    pub next: String,
    /// Where the evidence is, on the executor's host.
    pub evidence: Option<String>,
    /// The newest log line, masked and cut; only for notifiers that may have it.
    pub sample: Option<String>,
    /// Like messages that the cooldown has left out since the last one.
    pub left_out: u32,
}

impl Message {
    /// All but the title, as lines of plain text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            if !value.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n" };
                // Writing to a string does not fail.
                let _ = write!(text, "{gap}{label}{value}");
            }
        };
        line("", &self.detail);
        if !self.target.is_empty() {
            let id = self.container_id.as_ref();
            let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
            line("Container: ", &format!("{}{id}", self.target));
        }
        let attempt = self.attempt.map(|attempt| attempt.to_string());
        line("Attempt: ", attempt.as_deref().unwrap_or_default());
        line("Rule: ", self.rule.as_deref().unwrap_or_default());
        line("Figures: ", &self.figures.join(", "));
        line("Output: ", self.sample.as_deref().unwrap_or_default());
        line("Evidence: ", self.evidence.as_deref().unwrap_or_default());
        if self.left_out > 0 {
            let (n, s) = (self.left_out, plural(self.left_out));
            line("", &format!("{n} message{s} like this left out before it"));
        }
        line("Next: ", &self.next);
        text
    }

    /// Without what not every notifier may have.
    pub(super) fn without_sample(&self) -> Self {
        Self {
            sample: None,
            ..self.clone()
        }
    }

    /// When it happened, in UTC.
    pub(super) fn time(&self) -> String {
        crate::report::iso_utc(self.at_ms / 1_000)
    }
}

/// The ending of a noun of which there are `n`.
pub(super) fn plural(n: u32) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// At most so many bytes, cut between characters, with `…` where it is cut.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max.saturating_sub(MARK.len());
    let end = (0..=room).rev().find(|&at| text.is_char_boundary(at));
    let mark = if bytes_max < MARK.len() { "" } else { MARK };
    format!("{}{mark}", &text[..end.unwrap_or(0)])
}

/// The same by characters.
pub(super) fn cut_chars(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// One line that does nothing to a terminal or a mail, and looks like one everywhere.
pub(super) fn one_line(text: &str) -> String {
    let plain = |c: char| {
        let is_odd = c.is_control() || ends_line(c) || turns(c);
        if is_odd { ' ' } else { c }
    };
    text.trim().chars().map(plain).collect()
}

/// Signs beside the control characters that some programs begin a new line at.
fn ends_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Signs that have what follows shown in another order than it stands there.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_limit_and_never_inside_a_character() {
        for (text, max, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc…"),
            ("äöü", 6, "äöü"),
            ("äöüx", 6, "ä…"),
            ("äöü", 3, "…"),
            ("äöü", 2, ""),
        ] {
            assert_eq!(cut(text, max), expected);
            assert!(cut(text, max).len() <= max);
        }
        assert_eq!(cut_chars("äöü", 3), "äöü");
        assert_eq!(cut_chars("äöüß", 3), "äö…");
        assert_eq!(one_line(" a\nb\u{1b}[31m\r\n"), "a b [31m");
        // A log line cannot add lines of its own to a message, nor show it backwards.
        assert_eq!(
            one_line("a\u{2028}Next: b\u{2029}\u{202e}c\u{2066}é"),
            "a Next: b  c é"
        );
    }

    #[test]
    fn every_step_that_can_be_routed_by_has_its_own_name() {
        let names: std::collections::BTreeSet<_> =
            Step::ROUTED.iter().map(|step| step.as_str()).collect();
        assert_eq!(names.len(), Step::ROUTED.len());
        for step in Step::ROUTED {
            let json = serde_json::to_value(step).unwrap();
            assert_eq!(json, step.as_str());
        }
    }
}
