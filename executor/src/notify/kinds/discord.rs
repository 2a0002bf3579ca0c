//! Discord: a channel's webhook. The title as content, which a push notification
//! shows, the rest as an embed; markdown escaped, nobody mentioned.

use serde_json::{Value, json};

use super::super::failure::{Failure, FailureKind};
use super::super::message::Severity;
use super::{Answer, Endpoint, Message, Post, http, json as bytes, sign};

/// Limits of the API, in UTF-16 units, which is never less than its characters.
pub(super) const CONTENT_UNITS_MAX: usize = 2_000;
pub(super) const DESCRIPTION_UNITS_MAX: usize = 4_096;

pub(super) fn post(message: &Message, url: Endpoint) -> Post {
    let title = format!("{} {}", sign(message.severity), message.title);
    let body = json!({
        "content": escape(&title, CONTENT_UNITS_MAX),
        "embeds": [{
            "description": escape(&message.text(), DESCRIPTION_UNITS_MAX),
            "color": color(message.severity),
            "timestamp": message.time(),
            "footer": {"text": format!("{} · {}", message.step.as_str(), message.id)},
        }],
        "allowed_mentions": {"parse": []},
    });
    // Waits until the message is there: otherwise what is wrong is not said.
    let path = match url.path().split_once('?') {
        Some((path, query)) => format!("{path}?{query}&wait=true"),
        None => format!("{}?wait=true", url.path()),
    };
    Post {
        endpoint: url.with_path(path),
        headers: vec![("x-healer-message-id", message.id.clone())],
        body: bytes(&body),
    }
}

/// How long to wait is in the body, too, and more exactly.
pub(super) fn judge(shown: &str, answer: &Answer) -> Result<(), Failure> {
    let judged = http::judge(shown, answer);
    judged.map_err(|mut failure| {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let wait = body["retry_after"].as_f64().and_then(http::retry_after_ms);
        if answer.status == 429 && wait.is_some() {
            failure.kind = FailureKind::Later(wait);
        }
        failure
    })
}

/// Every sign that markdown or a mention could begin with gets a backslash; at
/// most so many units, never cut between the two.
fn escape(text: &str, units_max: usize) -> String {
    const MARK: char = '…';
    let mut escaped = String::new();
    let mut units = 0;
    // What there is room for without the mark, and with it.
    let mut with_mark = 0;
    for c in text.chars() {
        let is_sign = matches!(
            c,
            '\\' | '*'
                | '_'
                | '~'
                | '`'
                | '|'
                | '>'
                | '<'
                | '#'
                | '['
                | ']'
                | '('
                | ')'
                | '@'
                | ':'
        );
        units += c.len_utf16() + usize::from(is_sign);
        if units > units_max {
            escaped.truncate(with_mark);
            escaped.push(MARK);
            return escaped;
        }
        if is_sign {
            escaped.push('\\');
        }
        escaped.push(c);
        if units < units_max {
            with_mark = escaped.len();
        }
    }
    escaped
}

fn color(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 0x2f_80_ed,
        Severity::Warning => 0xf2_c9_4c,
        Severity::Error => 0xeb_57_57,
        Severity::Critical => 0xb0_00_20,
    }
}
