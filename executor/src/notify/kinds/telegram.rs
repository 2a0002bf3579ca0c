//! Telegram: `sendMessage` of the Bot API, as plain text: without `parse_mode`
//! nothing in it is markup. Names (`@name`, which calls people) and commands
//! (`/command`) are links even so, and are broken up; addresses of pages stay
//! links, without a preview.

use serde_json::{Value, json};

use super::super::failure::{Failure, FailureKind};
use super::super::message::Severity;
use super::{Answer, Endpoint, Message, Post, Secret, cut_utf16, http, json as bytes, sign};

/// What a 400 says that is about the message and not about where it goes.
const OF_THE_TEXT: [&str; 4] = [
    "message is too long",
    "text must be",
    "message text is empty",
    "can't parse entities",
];

/// The API's limit on `text`, in UTF-16 units.
pub(super) const TEXT_UNITS_MAX: usize = 4_096;

pub(super) fn post(
    message: &Message,
    url: Endpoint,
    token: &Secret,
    chat_id: &str,
    thread_id: Option<i64>,
) -> Post {
    let text = format!(
        "{} {}\n{}",
        sign(message.severity),
        defused(&message.title),
        defused(&message.text())
    );
    // As Discord's: there is no other place for it, and it is never cut away.
    let footer = format!("\n{} · {}", message.step.as_str(), message.id);
    let room = TEXT_UNITS_MAX.saturating_sub(footer.encode_utf16().count());
    let text = cut_utf16(&text, room) + &footer;
    let mut body = json!({
        "chat_id": chat_id,
        "text": text,
        "disable_notification": message.severity == Severity::Info,
        "link_preview_options": {"is_disabled": true},
    });
    if let Some(thread_id) = thread_id {
        body["message_thread_id"] = thread_id.into();
    }
    let base = url.path().trim_end_matches('/').to_owned();
    Post {
        endpoint: url.with_path(format!("{base}/bot{}/sendMessage", token.expose())),
        headers: Vec::new(),
        body: bytes(&body),
    }
}

/// Without names and commands. The place of the evidence is ours, is there to be
/// copied, and stays as it is.
fn defused(text: &str) -> String {
    let line = |line: &str| match line.starts_with("Evidence: ") {
        true => line.to_owned(),
        false => broken_up(line),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// With a word joiner, which nobody sees, after each sign that a name or a command
/// begins with.
fn broken_up(line: &str) -> String {
    const JOINER: char = '\u{2060}';
    let mut out = String::with_capacity(line.len());
    let mut before = ' ';
    for c in line.chars() {
        out.push(c);
        if c == '@' || (c == '/' && !before.is_alphanumeric() && before != '/' && before != ':') {
            out.push(JOINER);
        }
        before = c;
    }
    out
}

/// Says more in its body than by its status: how long to wait, and whether the
/// chat or the message is what it does not want.
pub(super) fn judge(shown: &str, answer: &Answer) -> Result<(), Failure> {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let said = body["description"].as_str().unwrap_or_default();
    let what = format!("{shown} answers {}", answer.status);
    let parameters = &body["parameters"];
    let judged = match answer.status {
        429 => {
            let wait = parameters["retry_after"].as_f64();
            let wait = wait.and_then(http::retry_after_ms);
            let wait = wait.or(answer.retry_after_ms);
            Err(Failure::new(FailureKind::Later(wait), what, ""))
        }
        400 if parameters["migrate_to_chat_id"].is_i64() => {
            let new = &parameters["migrate_to_chat_id"];
            Err(Failure::setup(what, format!("set chat_id = {new}")))
        }
        400 if OF_THE_TEXT.iter().any(|words| said.contains(words)) => {
            Err(Failure::refused(what, ""))
        }
        // Rights, topics and chats: another message would fare no better.
        400 => Err(Failure::setup(
            what,
            "see chat_id and thread_id, that somebody has written to the bot or added it, and \
             that it may write there",
        )),
        // A bot whose token is wrong does not exist.
        401 | 404 => Err(Failure::setup(what, "see the bot's token")),
        _ => return http::judge(shown, answer),
    };
    judged.map_err(|failure| failure.saying(said))
}
