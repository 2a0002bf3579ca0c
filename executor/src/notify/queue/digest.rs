//! Several messages in one: a line each, as many as every service shows whole.

use super::super::incident::hash;
use super::super::message::{Message, Severity, Step, cut, one_line};

/// Of one message.
const LINE_BYTES_MAX: usize = 240;
/// Of all lines, with a sign that some service escapes counted twice: the least
/// that a service takes is 4,096, and there are other lines beside these.
const LINES_BYTES_MAX: usize = 3_000;

/// How many of these, from the first, one digest shows; at least one.
pub(super) fn fitting(messages: &[Message]) -> usize {
    let mut left = LINES_BYTES_MAX;
    let fit = messages.iter().take_while(|message| {
        let cost = cost(&line(message));
        let fits = cost <= left;
        left = left.saturating_sub(cost);
        fits
    });
    fit.count().max(1)
}

fn line(message: &Message) -> String {
    let text = format!("{} {}: {}", message.time(), message.title, message.detail);
    cut(&one_line(&text), LINE_BYTES_MAX)
}

/// Bytes, its end included; letters, digits and spaces are escaped by nobody.
fn cost(line: &str) -> usize {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b' ' || !b.is_ascii();
    let signs = line.bytes().filter(|b| !is_plain(b)).count();
    line.len() + signs + 1
}

/// One message of several.
pub(super) fn in_one(messages: &[Message], host: &str) -> Message {
    let lines: Vec<String> = messages.iter().map(line).collect();
    let ids: Vec<&str> = messages.iter().map(|m| m.id.as_str()).collect();
    let count = messages.len();
    Message {
        // The same however often it is made of the same.
        id: hash(&ids),
        incident: String::new(),
        at_ms: messages.iter().map(|m| m.at_ms).max().unwrap_or_default(),
        host: host.to_owned(),
        step: Step::Digest,
        severity: messages
            .iter()
            .map(|m| m.severity)
            .max()
            .unwrap_or(Severity::Info),
        target: String::new(),
        container_id: None,
        rule: None,
        attempt: None,
        title: format!("{count} messages of {host}"),
        detail: lines.join("\n"),
        figures: Vec::new(),
        next: "see `healer status` and `healer history`".to_owned(),
        evidence: None,
        sample: None,
        left_out: messages.iter().map(|m| m.left_out).sum(),
    }
}
