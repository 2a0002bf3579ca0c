//! Mail by SMTP. What a mail is made of is checked by the library that makes it:
//! no text of ours can begin a new header.
//!
//! One connection for each message; the conversation is in `smtp`.

mod bounded;
mod smtp;

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};

use super::super::failure::Failure;
use super::super::message::{cut, one_line};
use super::super::secret::Secret;
use super::{Message, Sent};
use crate::config::Email;

/// Of a subject; a line of a header has at most 998.
const SUBJECT_BYTES_MAX: usize = 250;
/// The longest that a try may take, with this time-out.
pub(super) fn longest(timeout: Duration) -> Duration {
    smtp::longest(timeout)
}

/// That an address can be written to.
pub(crate) fn check_mailbox(text: &str) -> Result<(), String> {
    mailbox(text).map(drop)
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let wrong =
        || format!("{text:?} is no address such as ops@example.org or Ops <ops@example.org>");
    // The library takes anything printable or not as a name.
    if text.chars().any(char::is_control) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

pub(super) async fn send(
    message: &Message,
    to: &Email,
    login: Option<(String, Secret)>,
    timeout: Duration,
) -> Result<Sent, Failure> {
    let mail = mail(message, to)?;
    let hello = host_name(&message.host);
    smtp::talk(&mail, to, login, &hello, timeout).await
}

/// The mail itself.
pub(super) fn mail(message: &Message, to: &Email) -> Result<Mail, Failure> {
    let wrong = |why: String| Failure::refused(format!("the mail cannot be made: {why}"), "");
    let host = host_name(&message.host);
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(message.at_ms);
    let mut mail = Mail::builder()
        .from(mailbox(&to.from).map_err(wrong)?)
        .subject(cut(&one_line(&message.title), SUBJECT_BYTES_MAX))
        .message_id(Some(format!("<{}@{host}>", message.id)))
        .date(at)
        .header(AutoSubmitted)
        .header(MessageId(message.id.clone()))
        .header(ContentType::TEXT_PLAIN);
    for address in &to.to {
        mail = mail.to(mailbox(address).map_err(wrong)?);
    }
    let body = format!(
        "{}\n\nHost: {}\nTime: {}\n",
        message.text(),
        message.host,
        message.time()
    );
    mail.body(body).map_err(|e| wrong(e.to_string()))
}

/// What of a host's name may stand in a mail's header and in EHLO.
fn host_name(host: &str) -> String {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = host.chars().filter(is_part).take(200).collect();
    match Address::new("healer", &name) {
        Ok(_) => name,
        Err(_) => "localhost".to_owned(),
    }
}

/// `Auto-Submitted: auto-generated`: no answering machine answers it.
#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message's id, for programs that read mail.
#[derive(Debug, Clone)]
struct MessageId(String);

impl Header for MessageId {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Healer-Message-Id")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}
