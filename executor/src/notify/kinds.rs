//! How each service wants a message: pure translations of a [`Message`] into
//! what is sent, within each service's limits; and sending by mail and by a
//! program.
//!
//! Text from elsewhere (names, details, log lines) is escaped for each, and
//! mentions nobody.

mod command;
mod discord;
mod email;
mod ntfy;
mod slack;
mod telegram;
mod webhook;

use std::path::Path;
use std::time::Duration;

use crate::config::{Notifier, NotifierKind};

use super::endpoint::Endpoint;
use super::failure::Failure;
use super::http::{self, Answer, Post};
use super::message::{Message, Severity, cut, one_line};
use super::secret::{Secret, SecretSource, scrub};

pub(crate) use email::check_mailbox;

/// Bytes that are shown of what a receiver says.
const SAID_BYTES_MAX: usize = 200;

/// A message is out.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// But not to all, and why.
    pub(super) partly: Option<Failure>,
}

/// Sends one message, in the time that the notifier has for it.
///
/// # Errors
/// See [`Failure`]; no secret of the notifier is in it.
pub(super) async fn send(
    notifier: &Notifier,
    message: &Message,
    now_s: u64,
) -> Result<Sent, Failure> {
    let mut used = Vec::new();
    let sent = send_with(notifier, message, now_s, &mut used).await;
    match sent {
        Ok(sent) => Ok(Sent {
            partly: sent.partly.map(|failure| clean(failure, &used)),
        }),
        Err(failure) => Err(clean(failure, &used)),
    }
}

/// All that comes before a connection: what a notifier can be found to lack without one.
///
/// # Errors
/// See [`send`].
pub(super) fn rehearse(notifier: &Notifier, message: &Message, now_s: u64) -> Result<(), Failure> {
    let mut used = Vec::new();
    let made = match &notifier.kind {
        NotifierKind::Email(to) => email::mail(message, to).map(drop),
        NotifierKind::Command { .. } => Ok(()),
        by_http => post(by_http, message, now_s, &mut Secrets(&mut used))
            .and_then(|(post, _)| http::check(&post)),
    };
    made.map_err(|failure| clean(failure, &used))
}

/// First the secrets, then the cut: half a secret would not be known.
fn clean(failure: Failure, used: &[Secret]) -> Failure {
    Failure {
        what: scrub(&failure.what, used),
        said: cut(&one_line(&scrub(&failure.said, used)), SAID_BYTES_MAX),
        ..failure
    }
}

/// The longest that a try may take.
pub(super) fn longest(notifier: &Notifier) -> Duration {
    let timeout = Duration::from_millis(notifier.timeout_ms);
    match &notifier.kind {
        NotifierKind::Email(_) => email::longest(timeout),
        _ => timeout,
    }
}

async fn send_with(
    notifier: &Notifier,
    message: &Message,
    now_s: u64,
    used: &mut Vec<Secret>,
) -> Result<Sent, Failure> {
    let timeout = Duration::from_millis(notifier.timeout_ms);
    let mut secrets = Secrets(used);
    let (post, ca_file) = match &notifier.kind {
        NotifierKind::Email(to) => {
            let login = match &to.login {
                Some((name, password)) => {
                    let password = secrets.read(password)?;
                    secrets.0.extend(password.as_login(name));
                    Some((name.clone(), password))
                }
                None => None,
            };
            return email::send(message, to, login, timeout).await;
        }
        NotifierKind::Command { argv, env } => {
            secrets.0.extend(env.iter().filter_map(Secret::of_env));
            command::run(message, argv, env, timeout).await?;
            return Ok(Sent::default());
        }
        http => post(http, message, now_s, &mut secrets)?,
    };
    let answer = http::post(&post, ca_file, timeout).await?;
    let shown = post.endpoint.shown();
    match &notifier.kind {
        NotifierKind::Telegram { .. } => telegram::judge(&shown, &answer),
        NotifierKind::Discord { .. } => discord::judge(&shown, &answer),
        _ => http::judge(&shown, &answer),
    }?;
    Ok(Sent::default())
}

/// What goes out by HTTP, and the certificates that are trusted for it.
fn post<'a>(
    kind: &'a NotifierKind,
    message: &Message,
    now_s: u64,
    secrets: &mut Secrets<'_>,
) -> Result<(Post, Option<&'a Path>), Failure> {
    let (post, ca_file) = match kind {
        NotifierKind::Ntfy {
            url,
            token,
            ca_file,
        } => {
            let token = secrets.read_some(token)?;
            (ntfy::post(message, secrets.url(url)?, token)?, ca_file)
        }
        NotifierKind::Telegram {
            token,
            chat_id,
            thread_id,
            url,
            ca_file,
        } => {
            let (to, token) = (secrets.url(url)?, secrets.read(token)?);
            let post = telegram::post(message, to, &token, chat_id, *thread_id);
            (post, ca_file)
        }
        NotifierKind::Slack { url, ca_file } => (slack::post(message, secrets.url(url)?), ca_file),
        NotifierKind::Discord { url, ca_file } => {
            (discord::post(message, secrets.url(url)?), ca_file)
        }
        NotifierKind::Webhook {
            url,
            secret,
            token,
            body,
            ca_file,
        } => {
            let (secret, token) = (secrets.read_some(secret)?, secrets.read_some(token)?);
            let signed = webhook::Signed { secret, token };
            let to = secrets.url(url)?;
            let post = webhook::post(message, to, body.as_ref(), signed, now_s)?;
            (post, ca_file)
        }
        NotifierKind::Email(_) | NotifierKind::Command { .. } => {
            return Err(Failure::setup("this type does not go out by HTTP", ""));
        }
    };
    Ok((post, ca_file.as_deref()))
}

/// Reads secrets, and remembers them for what must not be shown.
struct Secrets<'a>(&'a mut Vec<Secret>);

impl Secrets<'_> {
    fn read(&mut self, source: &SecretSource) -> Result<Secret, Failure> {
        let secret = source
            .read()
            .map_err(|why| Failure::setup(why, "see `healer check`"))?;
        self.0.push(secret.clone());
        Ok(secret)
    }

    fn read_some(&mut self, source: &Option<SecretSource>) -> Result<Option<Secret>, Failure> {
        source.as_ref().map(|source| self.read(source)).transpose()
    }

    fn url(&mut self, source: &SecretSource) -> Result<Endpoint, Failure> {
        let url = self.read(source)?;
        Endpoint::parse(url.expose()).map_err(|why| {
            let place = source.place();
            Failure::setup(format!("the URL in {place} {why}"), "mend it there")
        })
    }
}

/// Where a notifier sends to, as far as that may be shown.
pub(crate) fn shown(kind: &NotifierKind) -> String {
    let url = match kind {
        NotifierKind::Ntfy { url, .. }
        | NotifierKind::Telegram { url, .. }
        | NotifierKind::Slack { url, .. }
        | NotifierKind::Discord { url, .. }
        | NotifierKind::Webhook { url, .. } => url,
        NotifierKind::Email(to) => return format!("{}:{}", to.host, to.port),
        NotifierKind::Command { argv, .. } => return argv.first().cloned().unwrap_or_default(),
    };
    let endpoint = url.read().and_then(|url| Endpoint::parse(url.expose()));
    endpoint.map_or_else(|_| url.place(), |endpoint| endpoint.shown())
}

/// That a URL can be sent to.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    Endpoint::parse(url).map(drop)
}

/// That a URL leads to a topic of an ntfy server.
pub(crate) fn check_topic(url: &str) -> Result<(), String> {
    match ntfy::has_topic(&Endpoint::parse(url)?) {
        true => Ok(()),
        false => Err("names no topic, as in https://ntfy.sh/TOPIC".to_owned()),
    }
}

/// Whether a URL leads to this very host.
pub(crate) fn is_loopback(url: &str) -> bool {
    Endpoint::parse(url).is_ok_and(|endpoint| endpoint.is_loopback())
}

fn bearer(token: &Secret) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", token.expose()))
}

fn json(body: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(body).expect("a value of strings and numbers is JSON")
}

/// What stands before a title where colours are not to be had.
fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "ℹ️",
        Severity::Warning => "⚠️",
        Severity::Error => "❌",
        Severity::Critical => "🚨",
    }
}

/// At most so many UTF-16 units, which is how the chat services count.
fn cut_utf16(text: &str, units_max: usize) -> String {
    if text.encode_utf16().count() <= units_max {
        return text.to_owned();
    }
    let mut units = 1; // the mark
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= units_max
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests;
