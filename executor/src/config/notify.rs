//! Who is told what, and how: `[notify.NAME]`, typed and checked.
//!
//! Kept true here: no secret is in it, only where each is to be had; a URL with
//! a token in it (Slack, Discord) cannot be written into the file.

mod file;
mod kinds;
mod resolve;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::notify::{Quiet, SecretSource, Severity, Step, Template};

pub(super) use file::NotifierSection;
pub(super) use resolve::resolve;

/// One notifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifier {
    /// As in the file; names its queue and its metrics, too.
    pub name: String,
    /// How a message goes out.
    pub kind: NotifierKind,
    /// Which messages it gets.
    pub route: Route,
    /// The same step of the same target is not repeated within, milliseconds.
    pub cooldown_ms: u64,
    /// When only what is critical is sent.
    pub quiet: Option<Quiet>,
    /// What may be sent.
    pub rate: Rate,
    /// One message's delivery may take so long, milliseconds.
    pub timeout_ms: u64,
    /// A message that could not be delivered for so long is given up, milliseconds.
    pub max_age_ms: u64,
    /// Messages that may wait.
    pub queue_max: u32,
}

/// Which messages a notifier gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// And all above.
    pub min_severity: Severity,
    /// None: all.
    pub steps: Option<Vec<Step>>,
    /// Patterns of container names; none: all. What is about all always fits.
    pub targets: Option<Vec<glob::Pattern>>,
    /// Log text may go to it.
    pub sample: bool,
}

/// A bucket of tokens: `burst` at once, then `per_hour` evenly. What is too much
/// goes out together as one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come in an hour.
    pub per_hour: u32,
    /// Tokens that there can be.
    pub burst: u32,
}

/// How a message goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifierKind {
    /// A topic of an ntfy server.
    Ntfy {
        /// `https://ntfy.sh/TOPIC`.
        url: SecretSource,
        /// An access token.
        token: Option<SecretSource>,
        /// Certificates that are trusted beside the usual ones.
        ca_file: Option<PathBuf>,
    },
    /// A bot's message to a chat.
    Telegram {
        /// The bot's.
        token: SecretSource,
        /// A number, or `@channel`.
        chat_id: String,
        /// A topic of the chat.
        thread_id: Option<i64>,
        /// Of the Bot API server.
        url: SecretSource,
        /// See above.
        ca_file: Option<PathBuf>,
    },
    /// An incoming webhook.
    Slack {
        /// Its URL, a secret.
        url: SecretSource,
        /// See above.
        ca_file: Option<PathBuf>,
    },
    /// A channel's webhook.
    Discord {
        /// Its URL, a secret.
        url: SecretSource,
        /// See above.
        ca_file: Option<PathBuf>,
    },
    /// JSON to anything.
    Webhook {
        /// Where to.
        url: SecretSource,
        /// Signs the body.
        secret: Option<SecretSource>,
        /// Sent as `Authorization: Bearer`.
        token: Option<SecretSource>,
        /// None: all fields.
        body: Option<Template>,
        /// See above.
        ca_file: Option<PathBuf>,
    },
    /// A mail, by SMTP.
    Email(Box<Email>),
    /// A program.
    Command {
        /// The program and its arguments; no shell.
        argv: Vec<String>,
        /// Variables of our own environment that it gets, beside `PATH`.
        env: Vec<String>,
    },
}

/// A mail server, and whom to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Name or address.
    pub host: String,
    /// TCP.
    pub port: u16,
    /// See there.
    pub tls: MailTls,
    /// User name and password.
    pub login: Option<(String, SecretSource)>,
    /// The sender, checked.
    pub from: String,
    /// Who gets it, checked; at least one.
    pub to: Vec<String>,
    /// Certificates that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// How a connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Asked for in the clear, and insisted on.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all.
    Plain,
}

impl NotifierKind {
    /// As `type` in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ntfy { .. } => "ntfy",
            Self::Telegram { .. } => "telegram",
            Self::Slack { .. } => "slack",
            Self::Discord { .. } => "discord",
            Self::Webhook { .. } => "webhook",
            Self::Email(_) => "email",
            Self::Command { .. } => "command",
        }
    }

    /// Where it sends to by HTTP.
    pub(crate) fn url(&self) -> Option<&SecretSource> {
        match self {
            Self::Ntfy { url, .. }
            | Self::Telegram { url, .. }
            | Self::Slack { url, .. }
            | Self::Discord { url, .. }
            | Self::Webhook { url, .. } => Some(url),
            Self::Email(_) | Self::Command { .. } => None,
        }
    }

    /// Certificates that it trusts beside the usual ones.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        match self {
            Self::Ntfy { ca_file, .. }
            | Self::Telegram { ca_file, .. }
            | Self::Slack { ca_file, .. }
            | Self::Discord { ca_file, .. }
            | Self::Webhook { ca_file, .. } => ca_file.as_deref(),
            Self::Email(email) => email.ca_file.as_deref(),
            Self::Command { .. } => None,
        }
    }

    /// Everything that has to be read before it can send.
    pub fn secrets(&self) -> Vec<&SecretSource> {
        match self {
            Self::Ntfy { url, token, .. } => {
                [Some(url), token.as_ref()].into_iter().flatten().collect()
            }
            Self::Telegram { token, url, .. } => vec![token, url],
            Self::Slack { url, .. } | Self::Discord { url, .. } => vec![url],
            Self::Webhook {
                url, secret, token, ..
            } => [Some(url), secret.as_ref(), token.as_ref()]
                .into_iter()
                .flatten()
                .collect(),
            Self::Email(email) => email.login.iter().map(|(_, password)| password).collect(),
            Self::Command { .. } => Vec::new(),
        }
    }
}
