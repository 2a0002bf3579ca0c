//! Mail by SMTP. What a mail is made of is checked by the library that makes it:
//! no text of ours can begin a new header.
//!
//! One connection for each message, read to a bound: a server that sends without
//! end is cut off.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::super::failure::Failure;
use super::super::message::{cut, one_line};
use super::super::{secret::Secret, tls};
use super::Message;
use crate::config::{Email, MailTls};

/// What a server may send in one conversation, certificates included.
const ANSWERS_BYTES_MAX: usize = 256 * 1_024;
/// Of a subject; a line of a header has at most 998.
const SUBJECT_BYTES_MAX: usize = 250;
/// Of what a server says.
const SHOWN_BYTES_MAX: usize = 200;

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
) -> Result<(), Failure> {
    let mail = mail(message, to)?;
    let place = format!("{}:{}", to.host, to.port);
    let talked = tokio::time::timeout(timeout, talk(&mail, to, login, &message.host));
    talked.await.unwrap_or_else(|_| {
        let waited = timeout.as_secs_f64();
        Err(Failure::later(format!(
            "{place}: not taken within {waited} s"
        )))
    })
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

async fn talk(
    mail: &Mail,
    to: &Email,
    login: Option<(String, Secret)>,
    host: &str,
) -> Result<(), Failure> {
    let place = format!("{}:{}", to.host, to.port);
    let later = |what: &str, e: &dyn std::fmt::Display| {
        Failure::later(format!("{place}: {what}: {}", one_line(&e.to_string())))
    };
    let smtp = |e| smtp_failure(&place, &e);
    let tcp = TcpStream::connect((to.host.as_str(), to.port)).await;
    let tcp = tcp.map_err(|e| later("cannot connect", &e))?;
    let peer = tcp.peer_addr().map_err(|e| later("cannot connect", &e))?;
    let tcp = Bounded::new(tcp, peer);
    let hello = ClientId::Domain(host_name(host));
    let mut connection = match to.tls {
        MailTls::Tls => {
            let name = ServerName::try_from(to.host.clone())
                .map_err(|_| Failure::setup(format!("{place}: is no host name"), ""))?;
            let connector = tls::connector(to.ca_file.as_deref(), None)?;
            let tls = connector.connect(name, tcp).await;
            let tls = tls.map_err(|e| tls_failure(&place, &e))?;
            let stream = Box::new(Bounded::new(tls, peer));
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await
        }
        MailTls::StartTls | MailTls::Plain => {
            AsyncSmtpConnection::connect_with_transport(Box::new(tcp), &hello).await
        }
    }
    .map_err(smtp)?;
    if to.tls == MailTls::StartTls {
        if !connection.can_starttls() {
            let what = format!("{place}: the server does not offer STARTTLS");
            return Err(Failure::setup(what, "see host, port and tls"));
        }
        let parameters = tls_parameters(to)?;
        let upgraded = connection.starttls(parameters, &hello).await;
        upgraded.map_err(|e| tls_failure(&place, &e))?;
    }
    if let Some((name, password)) = login {
        let credentials = Credentials::new(name, password.expose().to_owned());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let done = connection.auth(&mechanisms, &credentials).await;
        done.map_err(|e| login_failure(&place, &e))?;
    }
    let sent = connection.send(mail.envelope(), &mail.formatted()).await;
    sent.map_err(smtp)?;
    // It is taken; how the connection ends is all one.
    let _goodbye = connection.quit().await;
    Ok(())
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

type SmtpError = lettre::transport::smtp::Error;

/// A password that is not taken concerns somebody; a server that cannot take it
/// just now does not.
fn login_failure(place: &str, error: &SmtpError) -> Failure {
    let failure = smtp_failure(place, error);
    match error.is_permanent() || error.is_client() {
        true => Failure::setup(failure.what, "see username and the password"),
        false => failure,
    }
}

fn tls_failure(place: &str, error: &dyn std::error::Error) -> Failure {
    let what = format!("{place}: TLS: {}", shown(error));
    Failure::setup(what, "see the server's certificate, ca_file and tls")
}

/// By the reply's code: 4yz is for later; of 5yz, 552 and 554 are about this
/// mail, the others about who sends it to whom.
fn smtp_failure(place: &str, error: &SmtpError) -> Failure {
    let what = format!("{place}: {}", shown(error));
    let code = error.status().map(u16::from);
    match code {
        Some(552 | 554) => Failure::refused(what, ""),
        Some(500..=599) => Failure::setup(what, "see from, to, username and the password"),
        _ => Failure::later(what),
    }
}

fn shown(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    if let Some(source) = error.source() {
        let source = source.to_string();
        if !text.contains(&source) {
            text = format!("{text}: {source}");
        }
    }
    cut(&one_line(&text), SHOWN_BYTES_MAX)
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

/// A stream of which at most [`ANSWERS_BYTES_MAX`] are read.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    left: usize,
    peer: SocketAddr,
}

impl<S> Bounded<S> {
    fn new(stream: S, peer: SocketAddr) -> Self {
        Self {
            stream,
            left: ANSWERS_BYTES_MAX,
            peer,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let why = format!("the server sends more than {ANSWERS_BYTES_MAX} bytes");
            return Poll::Ready(Err(io::Error::other(why)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        self.left = self.left.saturating_sub(count);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> AsyncTokioStream for Bounded<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
