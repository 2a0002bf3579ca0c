//! A mail server, with or without TLS, that behaves as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::Stream;
use super::*;

/// A CA's certificate as PEM, and what a server at 127.0.0.1 shows.
pub(super) fn certificate() -> (String, Arc<ServerConfig>) {
    certificate_of(&["127.0.0.1", "localhost"])
}

pub(super) fn certificate_of(names: &[&str]) -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (ca, Arc::new(config))
}

pub(super) fn secured(tcp: TcpStream, config: &Arc<ServerConfig>) -> Box<dyn Stream> {
    let tls = ServerConnection::new(Arc::clone(config)).unwrap();
    Box::new(StreamOwned::new(tls, tcp))
}

/// How the server behaves.
#[derive(Default, Clone)]
pub(super) struct Manners {
    /// From the first byte, or (false) by STARTTLS.
    pub(super) tls: Option<(Arc<ServerConfig>, bool)>,
    /// In place of its reply to this command; `.` is the end of the mail.
    pub(super) instead: Option<(&'static str, &'static str)>,
    /// Its reply to receivers that have this in their address.
    pub(super) refuses: Option<(&'static str, &'static str)>,
}

/// A conversation, and the mail.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// With a `*` before those that were secured.
    pub(super) commands: Vec<String>,
    pub(super) mails: Vec<String>,
}

pub(super) struct Smtp {
    pub(super) port: u16,
    pub(super) talk: Arc<Mutex<Talk>>,
}

impl Smtp {
    pub(super) fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let talk = Arc::new(Mutex::new(Talk::default()));
        let shared = Arc::clone(&talk);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                // Whoever goes away in the middle has been served.
                let _ = converse(tcp, &manners, &shared);
            }
        });
        Self { port, talk }
    }

    /// The notifier for it.
    pub(super) fn config(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "[notify.n]\ntype = 'email'\nhost = '127.0.0.1'\nport = {port}\n\
             from = 'log-healer <healer@example.org>'\nto = ['Ops <ops@example.org>', 'b@example.org']\n{more}\n"
        )
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.talk.lock().unwrap().commands.clone()
    }
}

fn converse(tcp: TcpStream, manners: &Manners, talk: &Mutex<Talk>) -> std::io::Result<()> {
    let (mut is_secure, raw) = (false, tcp.try_clone()?);
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(match &manners.tls {
        Some((config, true)) => {
            is_secure = true;
            secured(tcp, config)
        }
        _ => Box::new(tcp),
    });
    stream.get_mut().write_all(b"220 test ESMTP\r\n")?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        let sign = if is_secure { "*" } else { "" };
        talk.lock().unwrap().commands.push(format!("{sign}{line}"));
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_owned();
        if let Some((whom, reply)) = manners.refuses
            && verb == "RCPT"
            && line.contains(whom)
        {
            write!(stream.get_mut(), "{reply}\r\n")?;
            continue;
        }
        if let Some((at, reply)) = manners.instead
            && at == verb
        {
            match reply {
                "hang" => return stream.read_to_end(&mut Vec::new()).map(drop),
                "pour" => loop {
                    stream.get_mut().write_all(&[b'2'; 4_096])?;
                },
                reply => write!(stream.get_mut(), "{reply}\r\n")?,
            }
            continue;
        }
        let offers = match &manners.tls {
            Some((_, false)) if !is_secure => "250-STARTTLS\r\n250 8BITMIME\r\n",
            _ => "250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
        };
        match &*verb {
            "EHLO" => write!(stream.get_mut(), "250-test\r\n{offers}")?,
            "STARTTLS" => {
                stream.get_mut().write_all(b"220 go on\r\n")?;
                let (config, _) = manners.tls.as_ref().unwrap();
                stream = BufReader::new(secured(raw.try_clone()?, config));
                is_secure = true;
            }
            "AUTH" => stream.get_mut().write_all(b"235 welcome\r\n")?,
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n")?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail)? == 0 {
                        return Ok(());
                    }
                }
                talk.lock().unwrap().mails.push(mail);
                let reply = match manners.instead {
                    Some((".", "slow")) => {
                        std::thread::sleep(Duration::from_millis(1_500));
                        "250 taken after all"
                    }
                    Some((".", reply)) => reply,
                    _ => "250 taken",
                };
                write!(stream.get_mut(), "{reply}\r\n")?;
            }
            "QUIT" => return stream.get_mut().write_all(b"221 bye\r\n"),
            _ => stream.get_mut().write_all(b"250 ok\r\n")?,
        }
        stream.get_mut().flush()?;
    }
}
