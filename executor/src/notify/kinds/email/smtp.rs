//! A conversation with a mail server.
//!
//! Keeps true: until the mail is handed over all is within the time-out; for its
//! word on the mail itself the server has longer, as it may scan it; what it does
//! after it has taken it changes nothing. One dead mailbox takes nobody else's
//! mail. Only an answer to the mail itself has it dropped.

use std::time::Duration;

use lettre::Address;
use lettre::message::Message as Mail;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailCommand, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use super::super::super::failure::{Failure, FailureKind};
use super::super::super::message::one_line;
use super::super::super::{dial, secret::Secret, tls};
use super::super::Sent;
use super::bounded::Bounded;
use crate::config::{Email, MailTls};

/// What a server has for its word on a mail, where the time-out is not longer.
const SCAN_MAX: Duration = Duration::from_secs(300);
/// For its goodbye.
const QUIT_MAX: Duration = Duration::from_secs(2);

pub(super) fn longest(timeout: Duration) -> Duration {
    timeout + timeout.max(SCAN_MAX) + QUIT_MAX
}

/// Sends a mail; `hello` is our own name.
pub(super) async fn talk(
    mail: &Mail,
    to: &Email,
    login: Option<(String, Secret)>,
    hello: &str,
    within: Duration,
) -> Result<Sent, Failure> {
    let place = format!("{}:{}", to.host, to.port);
    let late = |within: Duration| {
        let waited = within.as_secs_f64();
        Failure::later(format!("{place}: not taken within {waited} s"))
    };
    let opened = timeout(within, open(mail, to, login, hello, within)).await;
    let (mut connection, refused) = opened.unwrap_or_else(|_| Err(late(within)))?;
    let scan = within.max(SCAN_MAX);
    let said = timeout(scan, connection.message(&mail.formatted())).await;
    said.map_err(|_| late(scan))?
        .map_err(|e| failure(&place, Stage::Mail, &e))?;
    // It is taken; how the connection ends is all one.
    let _goodbye = timeout(QUIT_MAX, connection.command(Quit)).await;
    Ok(Sent {
        partly: partly(&place, &refused),
    })
}

/// A receiver, and the server's word on it.
type Refused = (Address, SmtpError);

/// All before the mail itself.
async fn open(
    mail: &Mail,
    to: &Email,
    login: Option<(String, Secret)>,
    hello: &str,
    within: Duration,
) -> Result<(AsyncSmtpConnection, Vec<Refused>), Failure> {
    let place = format!("{}:{}", to.host, to.port);
    let mut connection = connect(to, hello, within).await?;
    if let Some((name, password)) = login {
        let credentials = Credentials::new(name, password.expose().to_owned());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let done = connection.auth(&mechanisms, &credentials).await;
        done.map_err(|e| login_failure(&place, &e))?;
    }
    let refused = address(&mut connection, mail, &place).await?;
    let data = connection.command(Data).await;
    data.map_err(|e| failure(&place, Stage::Mail, &e))?;
    Ok((connection, refused))
}

async fn connect(
    to: &Email,
    hello: &str,
    within: Duration,
) -> Result<AsyncSmtpConnection, Failure> {
    let place = format!("{}:{}", to.host, to.port);
    let later =
        |e: std::io::Error| Failure::later(format!("{place}: cannot connect: {}", shown(&e)));
    let greeting = |e| failure(&place, Stage::Greeting, &e);
    let tcp = dial::connect(&to.host, to.port, within).await;
    let tcp = tcp.map_err(later)?;
    let peer = tcp.peer_addr().map_err(later)?;
    let tcp = Bounded::new(tcp, peer);
    let hello = ClientId::Domain(hello.to_owned());
    if to.tls == MailTls::Tls {
        let name = ServerName::try_from(to.host.clone())
            .map_err(|_| Failure::setup(format!("{place}: is no host name"), ""))?;
        let connector = tls::connector(to.ca_file.as_deref(), None)?;
        let tls = connector.connect(name, tcp).await;
        let tls = tls.map_err(|e| tls_failure(&place, &e))?;
        let stream = Box::new(Bounded::new(tls, peer));
        let connected = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
        return connected.map_err(greeting);
    }
    let connected = AsyncSmtpConnection::connect_with_transport(Box::new(tcp), &hello).await;
    let mut connection = connected.map_err(greeting)?;
    if to.tls == MailTls::StartTls {
        if !connection.can_starttls() {
            let what = format!("{place}: the server does not offer STARTTLS");
            return Err(Failure::setup(what, "see host, port and tls"));
        }
        let parameters = tls_parameters(to)?;
        let upgraded = connection.starttls(parameters, &hello).await;
        upgraded.map_err(|e| tls_failure(&place, &e))?;
    }
    Ok(connection)
}

/// Says who writes to whom. One receiver that is taken will do; the others are
/// returned.
async fn address(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    place: &str,
) -> Result<Vec<Refused>, Failure> {
    let envelope = mail.envelope();
    let from = MailCommand::new(
        envelope.from().cloned(),
        parameters(connection, mail, place)?,
    );
    let begun = connection.command(from).await;
    begun.map_err(|e| failure(place, Stage::Sender, &e))?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        let answer = connection.command(Rcpt::new(to.clone(), vec![])).await;
        match answer {
            Ok(_) => {}
            Err(e) if e.status().is_some() => refused.push((to.clone(), e)),
            Err(e) => return Err(failure(place, Stage::Receiver, &e)),
        }
    }
    if refused.len() < envelope.to().len() {
        return Ok(refused);
    }
    let what = format!("{place}: takes none of the receivers");
    let is_for_later = refused.iter().any(|(_, e)| e.is_transient());
    let nobody = match is_for_later {
        true => Failure::later(what),
        false => Failure::setup(what, Stage::Receiver.advice()),
    };
    Err(nobody.saying(words(&refused)))
}

/// What the server has to know of a mail that is not all ASCII.
fn parameters(
    connection: &AsyncSmtpConnection,
    mail: &Mail,
    place: &str,
) -> Result<Vec<MailParameter>, Failure> {
    let envelope = mail.envelope();
    let all = envelope.from().into_iter().chain(envelope.to());
    let is_plain = all.into_iter().all(|a| AsRef::<str>::as_ref(a).is_ascii());
    let info = connection.server_info();
    let mut parameters = Vec::new();
    if !is_plain {
        if !info.supports_feature(Extension::SmtpUtfEight) {
            let what = format!("{place}: the server takes addresses in ASCII only");
            return Err(Failure::setup(what, "see from and to"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !mail.formatted().is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

fn partly(place: &str, refused: &[Refused]) -> Option<Failure> {
    if refused.is_empty() {
        return None;
    }
    let names: Vec<String> = refused.iter().map(|(to, _)| to.to_string()).collect();
    let names = names.join(", ");
    let what = format!("{place}: the mail is out, but not to {names}");
    Some(Failure::setup(what, "see to").saying(words(refused)))
}

fn words(refused: &[Refused]) -> String {
    let words = refused.iter().map(|(_, e)| e.to_string());
    words.collect::<Vec<_>>().join("; ")
}

fn tls_parameters(to: &Email) -> Result<TlsParameters, Failure> {
    let wrong = |why: String| Failure::setup(why, "see ca_file and host");
    let mut builder = TlsParameters::builder(to.host.clone());
    if let Some(path) = &to.ca_file {
        let named = |why: String| wrong(format!("ca_file {}: {why}", path.display()));
        let pem = tls::read(path).map_err(named)?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|e| named(one_line(&e.to_string())))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|e| wrong(e.to_string()))
}

/// What the server was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Sender,
    Receiver,
    Mail,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Greeting => "its greeting",
            Self::Sender => "the sender",
            Self::Receiver => "a receiver",
            Self::Mail => "the mail",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Greeting => "see host and port, and whether the server lets this host in",
            Self::Sender => "see from, username and the password",
            Self::Receiver => "see to, username and the password",
            Self::Mail => "see what the server does with mail",
        }
    }
}

/// By the reply's code: 4yz is for later; of 5yz, what is said of the mail itself
/// is about it, all else is about who sends it to whom.
fn failure(place: &str, stage: Stage, error: &SmtpError) -> Failure {
    let Some(code) = error.status().map(u16::from) else {
        return unclear(place, error);
    };
    let what = format!("{place}: answers {code} to {}", stage.name());
    let is_of_mail = stage == Stage::Mail;
    let failure = match code {
        550 | 552..=554 | 556 if is_of_mail => Failure::refused(what, ""),
        500..=599 => Failure::setup(what, stage.advice()),
        _ => Failure {
            is_answer: is_of_mail,
            ..Failure::new(FailureKind::Later(None), what, "")
        },
    };
    failure.saying(source(error))
}

/// No answer, or none that could be understood.
fn unclear(place: &str, error: &SmtpError) -> Failure {
    match error.is_response() {
        true => Failure::later(format!("{place}: an answer that is none")).saying(source(error)),
        false => Failure::later(format!("{place}: {}", shown(error))),
    }
}

/// A password that is not taken concerns somebody; a server that cannot take it
/// just now does not.
fn login_failure(place: &str, error: &SmtpError) -> Failure {
    let advice = "see username and the password";
    match error.status().map(u16::from) {
        Some(code @ 500..=599) => {
            let what = format!("{place}: answers {code} to the password");
            Failure::setup(what, advice).saying(source(error))
        }
        None if error.is_client() => Failure::setup(format!("{place}: {}", shown(error)), advice),
        _ => failure(place, Stage::Greeting, error),
    }
}

fn tls_failure(place: &str, error: &dyn std::error::Error) -> Failure {
    let what = format!("{place}: TLS: {}", shown(error));
    Failure::setup(what, "see the server's certificate, ca_file and tls")
}

fn source(error: &SmtpError) -> String {
    let source = std::error::Error::source(error);
    source.map(ToString::to_string).unwrap_or_default()
}

fn shown(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    if let Some(source) = error.source() {
        let source = source.to_string();
        if !text.contains(&source) {
            text = format!("{text}: {source}");
        }
    }
    one_line(&text)
}
