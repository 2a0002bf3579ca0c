//! What a queue knows of a message without reading it; most of it is in the file's name.

use policy::Now;

use super::super::message::{Message, Severity};

/// Numbers of messages end before this; they sort as text does.
const SEQ_END: u64 = 10_u64.pow(16);

/// One message.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) severity: Severity,
    pub(super) at_ms: u64,
    pub(super) is_digest: bool,
    pub(super) bytes: u64,
    /// When it came, by the policy's clock, ms; negative where that is younger.
    pub(super) born_ms: i64,
    /// By which its receiver said that it cannot take it.
    pub(super) answers: u32,
    /// Not tried before, by the policy's clock, ms.
    pub(super) not_before_ms: u64,
    /// Where the disk has not taken it.
    pub(super) in_memory: Option<Box<Message>>,
    /// Files that go with it: of a digest that is not durable, what it is made of.
    pub(super) standing: Vec<String>,
}

impl Entry {
    pub(super) fn new(severity: Severity, at_ms: u64, is_digest: bool, born_ms: i64) -> Self {
        Self {
            severity,
            at_ms,
            is_digest,
            bytes: 0,
            born_ms,
            answers: 0,
            not_before_ms: 0,
            in_memory: None,
            standing: Vec::new(),
        }
    }
}

/// When something that is so old now came, by the policy's clock.
pub(super) fn born(now_ms: u64, age_ms: u64) -> i64 {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    ms(now_ms).saturating_sub(ms(age_ms))
}

/// What has to be known without reading it is in the name.
pub(super) fn name_of(seq: u64, entry: &Entry) -> String {
    let severity = Severity::ALL.iter().position(|s| *s == entry.severity);
    let kind = if entry.is_digest { 'd' } else { 'm' };
    format!(
        "{seq:016}-{}-{}-{kind}.json",
        severity.unwrap_or(0),
        entry.at_ms
    )
}

/// None where it is no name of ours. Its age is by the wall clock.
pub(super) fn parse_name(name: &str, now: Now) -> Option<(u64, Entry)> {
    let mut parts = name.strip_suffix(".json")?.split('-');
    let seq = parts.next()?.parse().ok()?;
    let severity: usize = parts.next()?.parse().ok()?;
    let at_ms = parts.next()?.parse().ok()?;
    let is_digest = match parts.next()? {
        "d" => true,
        "m" => false,
        _ => return None,
    };
    let severity = *Severity::ALL.get(severity)?;
    let born_ms = born(now.at.0, now.wall_ms.saturating_sub(at_ms));
    let entry = Entry::new(severity, at_ms, is_digest, born_ms);
    // As we write it, and no other way.
    let is_ours = seq < SEQ_END && name_of(seq, &entry) == name;
    is_ours.then_some((seq, entry))
}
