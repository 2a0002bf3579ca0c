//! What each type of notifier needs, and what it does not have.

use std::path::{Path, PathBuf};

use super::super::bounds::{Fault, fault};
use super::file::{ChatId, NotifierSection};
use super::{Email, MailTls, NotifierKind};
use crate::notify::{SecretSource, Template, check_mailbox, check_topic, check_url};

/// Most arguments of a command, and most variables that it gets.
const WORDS_MAX: usize = 64;
/// Most receivers of a mail.
const RECEIVERS_MAX: usize = 50;

const URL: [&str; 3] = ["url", "url_file", "url_env"];
const TOKEN: [&str; 2] = ["token_file", "token_env"];
const SECRET: [&str; 2] = ["secret_file", "secret_env"];

const TYPES: [&str; 7] = [
    "ntfy", "telegram", "slack", "discord", "webhook", "email", "command",
];

pub(super) fn kind(place: &str, section: &NotifierSection) -> Result<NotifierKind, Fault> {
    let at = At { place, section };
    let Some(name) = section.kind.as_deref() else {
        return fault(
            place,
            format!("type is missing; it is one of {}", TYPES.join(", ")),
        );
    };
    match name {
        "ntfy" => at.ntfy(),
        "telegram" => at.telegram(),
        "slack" => {
            let (url, ca_file) = at.secret_webhook()?;
            Ok(NotifierKind::Slack { url, ca_file })
        }
        "discord" => {
            let (url, ca_file) = at.secret_webhook()?;
            Ok(NotifierKind::Discord { url, ca_file })
        }
        "webhook" => at.webhook(),
        "email" => at.email(),
        "command" => at.command(),
        other => {
            let why = format!("\"{other}\" is none of {}", TYPES.join(", "));
            at.fault("type", why)
        }
    }
}

/// A section and where it stands.
struct At<'a> {
    place: &'a str,
    section: &'a NotifierSection,
}

impl At<'_> {
    fn ntfy(&self) -> Result<NotifierKind, Fault> {
        self.only(&[&URL, &TOKEN, &["ca_file"]])?;
        let url = self.url()?;
        if let SecretSource::Inline(text) = &url {
            check_topic(text).or_else(|why| self.fault("url", why))?;
        }
        Ok(NotifierKind::Ntfy {
            url,
            token: self.token()?,
            ca_file: self.ca_file()?,
        })
    }

    fn telegram(&self) -> Result<NotifierKind, Fault> {
        self.only(&[&TOKEN, &["url", "chat_id", "thread_id", "ca_file"]])?;
        let Some(token) = self.token()? else {
            return self.fault(
                "token_file",
                "is missing: the bot's token, in a file (or token_env)",
            );
        };
        let chat_id = match &self.section.chat_id {
            Some(ChatId::Number(number)) => number.to_string(),
            Some(ChatId::Name(name)) if is_chat(name) => name.clone(),
            Some(ChatId::Name(name)) => {
                return self.fault("chat_id", format!("{name:?} is no number and no @channel"));
            }
            None => return self.fault("chat_id", "is missing: the chat's number, or @channel"),
        };
        let url = self.section.url.clone();
        let url = url.unwrap_or_else(|| "https://api.telegram.org".to_owned());
        self.checked_url(&url)?;
        Ok(NotifierKind::Telegram {
            token,
            chat_id,
            thread_id: self.section.thread_id,
            url: SecretSource::Inline(url),
            ca_file: self.ca_file()?,
        })
    }

    /// A webhook whose URL is all that it takes to write there.
    fn secret_webhook(&self) -> Result<(SecretSource, Option<PathBuf>), Fault> {
        self.only(&[&URL, &["ca_file"]])?;
        if self.section.url.is_some() {
            return self.fault(
                "url",
                "whoever has it can write there, so it does not belong into this file: put it \
                 into a file of its own and give url_file (or url_env)",
            );
        }
        Ok((self.url()?, self.ca_file()?))
    }

    fn webhook(&self) -> Result<NotifierKind, Fault> {
        self.only(&[&URL, &TOKEN, &SECRET, &["body", "ca_file"]])?;
        let body = self.section.body.as_deref().map(Template::parse);
        let body = body.transpose();
        Ok(NotifierKind::Webhook {
            url: self.url()?,
            secret: self.secret(
                "secret",
                self.section.secret_file.as_deref(),
                self.section.secret_env.as_deref(),
            )?,
            token: self.token()?,
            body: body.or_else(|why| self.fault("body", why))?,
            ca_file: self.ca_file()?,
        })
    }

    fn email(&self) -> Result<NotifierKind, Fault> {
        self.only(&[&[
            "host",
            "port",
            "tls",
            "from",
            "to",
            "username",
            "password_file",
            "password_env",
            "ca_file",
        ]])?;
        let section = self.section;
        let Some(host) = section.host.clone().filter(|host| !host.is_empty()) else {
            return self.fault("host", "is missing: the mail server's name");
        };
        let (tls, port) = match section.tls.as_deref().unwrap_or("starttls") {
            "starttls" => (MailTls::StartTls, 587),
            "tls" => (MailTls::Tls, 465),
            "plain" => (MailTls::Plain, 25),
            other => {
                let why = format!("\"{other}\" is none of starttls, tls, plain");
                return self.fault("tls", why);
            }
        };
        let Some(from) = section.from.clone() else {
            return self.fault("from", "is missing: the sender's address");
        };
        check_mailbox(&from).or_else(|why| self.fault("from", why))?;
        let to = section.to.clone().unwrap_or_default();
        if to.is_empty() || to.len() > RECEIVERS_MAX {
            let why = format!("has to have 1 to {RECEIVERS_MAX} addresses");
            return self.fault("to", why);
        }
        for address in &to {
            check_mailbox(address).or_else(|why| self.fault("to", why))?;
        }
        Ok(NotifierKind::Email(Box::new(Email {
            host,
            port: section.port.unwrap_or(port),
            tls,
            login: self.login(tls)?,
            from,
            to,
            ca_file: self.ca_file()?,
        })))
    }

    fn login(&self, tls: MailTls) -> Result<Option<(String, SecretSource)>, Fault> {
        let section = self.section;
        let password = self.secret(
            "password",
            section.password_file.as_deref(),
            section.password_env.as_deref(),
        )?;
        match (section.username.clone(), password) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) if tls == MailTls::Plain && !is_loopback(self.section) => self.fault(
                "tls",
                "plain would send the password in the clear; use starttls or tls, or a server on \
                 127.0.0.1",
            ),
            (Some(name), Some(password)) => Ok(Some((name, password))),
            (Some(_), None) => self.fault("password_file", "is missing (or password_env)"),
            (None, Some(_)) => self.fault("username", "is missing"),
        }
    }

    fn command(&self) -> Result<NotifierKind, Fault> {
        self.only(&[&["command", "env"]])?;
        let argv = self.section.command.clone().unwrap_or_default();
        let env = self.section.env.clone().unwrap_or_default();
        let program = argv.first().map(Path::new);
        if !program.is_some_and(Path::is_absolute) {
            return self.fault(
                "command",
                "is a list: the program by its absolute path, then its arguments",
            );
        }
        for (key, words) in [("command", &argv), ("env", &env)] {
            if words.len() > WORDS_MAX || words.iter().any(|word| word.contains('\0')) {
                let why = format!("may have {WORDS_MAX} words, without NUL");
                return self.fault(key, why);
            }
        }
        if env.iter().any(|name| name.is_empty() || name.contains('=')) {
            return self.fault("env", "is a list of names of variables");
        }
        Ok(NotifierKind::Command { argv, env })
    }

    fn url(&self) -> Result<SecretSource, Fault> {
        let section = self.section;
        let elsewhere = self.secret(
            "url",
            section.url_file.as_deref(),
            section.url_env.as_deref(),
        )?;
        match (&section.url, elsewhere) {
            (Some(url), None) => {
                self.checked_url(url)?;
                Ok(SecretSource::Inline(url.clone()))
            }
            (None, Some(elsewhere)) => Ok(elsewhere),
            (Some(_), Some(_)) => self.fault("url", "is given twice: here and elsewhere"),
            (None, None) => self.fault("url_file", "is missing (or url_env): where to send"),
        }
    }

    fn checked_url(&self, url: &str) -> Result<(), Fault> {
        check_url(url).or_else(|why| self.fault("url", why))
    }

    fn token(&self) -> Result<Option<SecretSource>, Fault> {
        self.secret(
            "token",
            self.section.token_file.as_deref(),
            self.section.token_env.as_deref(),
        )
    }

    fn secret(
        &self,
        what: &str,
        file: Option<&Path>,
        env: Option<&str>,
    ) -> Result<Option<SecretSource>, Fault> {
        match (file, env) {
            (None, None) => Ok(None),
            (Some(path), None) => {
                let path = self.absolute(&format!("{what}_file"), path)?;
                Ok(Some(SecretSource::File(path)))
            }
            (None, Some(name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Some(SecretSource::Env(name.to_owned())))
            }
            (None, Some(name)) => {
                let why = format!("{name:?} is no name of a variable");
                self.fault(&format!("{what}_env"), why)
            }
            (Some(_), Some(_)) => {
                let why = format!("is given twice: {what}_file and {what}_env");
                self.fault(&format!("{what}_env"), why)
            }
        }
    }

    fn ca_file(&self) -> Result<Option<PathBuf>, Fault> {
        let path = self.section.ca_file.as_deref();
        path.map(|path| self.absolute("ca_file", path)).transpose()
    }

    fn absolute(&self, key: &str, path: &Path) -> Result<PathBuf, Fault> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let why = format!("\"{}\" is not an absolute path", path.display());
        self.fault(key, why)
    }

    /// That no key is given which this type does not have.
    fn only(&self, allowed: &[&[&str]]) -> Result<(), Fault> {
        let is_allowed = |key: &&str| allowed.iter().any(|keys| keys.contains(key));
        match self
            .section
            .own_keys()
            .into_iter()
            .find(|key| !is_allowed(key))
        {
            None => Ok(()),
            Some(key) => {
                let kind = self.section.kind.as_deref().unwrap_or_default();
                let why = format!(
                    "is no key of type {kind}; it has {}",
                    allowed.concat().join(", ")
                );
                self.fault(key, why)
            }
        }
    }

    fn fault<T>(&self, key: &str, why: impl Into<String>) -> Result<T, Fault> {
        fault(&format!("{}.{key}", self.place), why)
    }
}

/// A number, or `@name`.
fn is_chat(text: &str) -> bool {
    let name = text.strip_prefix('@');
    text.parse::<i64>().is_ok()
        || name.is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
}

fn is_loopback(section: &NotifierSection) -> bool {
    let host = section.host.as_deref().unwrap_or_default();
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
