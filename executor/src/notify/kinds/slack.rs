//! Slack: an incoming webhook. Without markup, and with `<`, `>` and `&`
//! escaped, which would be links and mentions even so.

use serde_json::json;

use super::super::message::cut_chars;
use super::{Endpoint, Message, Post, json as bytes, sign};

/// Slack cuts at 40,000 characters; escaping makes at most five of one.
pub(super) const TEXT_CHARS_MAX: usize = 4_000;

pub(super) fn post(message: &Message, url: Endpoint) -> Post {
    let text = format!(
        "{} {}\n{}",
        sign(message.severity),
        message.title,
        message.text()
    );
    let body = json!({
        "text": escape(&cut_chars(&text, TEXT_CHARS_MAX)),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    Post {
        endpoint: url,
        headers: vec![("x-healer-message-id", message.id.clone())],
        body: bytes(&body),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
