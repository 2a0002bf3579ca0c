//! ntfy: a message as JSON to the server's root, which takes all of UTF-8; as
//! headers to the topic it would not.

use serde_json::json;

use super::super::failure::Failure;
use super::super::message::{Severity, cut};
use super::{Endpoint, Message, Post, Secret, bearer, json as bytes};

/// Longer messages become attachments (`message-size-limit`).
pub(super) const MESSAGE_BYTES_MAX: usize = 4_096;
/// A push notification shows far less.
pub(super) const TITLE_BYTES_MAX: usize = 250;
/// Longest topic.
const TOPIC_BYTES_MAX: usize = 64;

pub(super) fn post(
    message: &Message,
    url: Endpoint,
    token: Option<Secret>,
) -> Result<Post, Failure> {
    let path = url.path().trim_end_matches('/').to_owned();
    let Some((base, topic)) = topic(&path) else {
        return Err(Failure::setup(
            "the URL names no topic",
            "give one as in https://ntfy.sh/TOPIC",
        ));
    };
    let body = json!({
        "topic": topic,
        "title": cut(&message.title, TITLE_BYTES_MAX),
        "message": cut(&message.text(), MESSAGE_BYTES_MAX),
        "priority": priority(message.severity),
        "tags": [tag(message.severity), message.step.as_str()],
        // What is sent twice is shown once.
        "sequence_id": message.id,
    });
    Ok(Post {
        endpoint: url.with_path(format!("{base}/")),
        headers: token.iter().map(bearer).collect(),
        body: bytes(&body),
    })
}

/// Whether a URL leads to a topic.
pub(super) fn has_topic(url: &Endpoint) -> bool {
    topic(url.path().trim_end_matches('/')).is_some()
}

/// What is before the topic, and the topic, of a path without a slash at its end.
fn topic(path: &str) -> Option<(&str, &str)> {
    let (base, topic) = path.rsplit_once('/')?;
    let is_part = |c: u8| c.is_ascii_alphanumeric() || b"-_".contains(&c);
    let is_topic = (1..=TOPIC_BYTES_MAX).contains(&topic.len()) && topic.bytes().all(is_part);
    is_topic.then_some((base, topic))
}

/// 1 the least, 3 the default, 5 the most.
fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 2,
        Severity::Warning => 3,
        Severity::Error => 4,
        Severity::Critical => 5,
    }
}

/// Shown as a picture.
fn tag(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "information_source",
        Severity::Warning => "warning",
        Severity::Error => "x",
        Severity::Critical => "rotating_light",
    }
}
