//! Mail: real SMTP conversations with a small server, in the clear and secured;
//! and HTTPS by a certificate of our own.

use std::net::TcpListener;
use std::sync::Arc;

use super::server::Server;
use super::smtp::{Manners, Smtp, certificate, certificate_of, secured};
use super::*;

fn send(dir: &Path, config: &str) -> Result<(), Failure> {
    tried(&notifiers(dir, config)[0])
}

#[test]
fn a_mail_goes_out_with_its_headers_and_no_text_begins_another() {
    let server = Smtp::start(Manners::default());
    let dir = tempfile::tempdir().unwrap();
    let password = secret(dir.path(), "password", "pass word");
    let config = server.config(&format!(
        "tls = 'plain'\nusername = 'healer'\npassword_file = '{password}'"
    ));
    let office = Office::open_in(dir, &config, START_MS);
    office.notifications.hear(Notice {
        detail: "One\r\nBcc: <evil@example.org>\r\n.\r\nÜber ".repeat(20),
        rule: Some("x\r\nBcc: evil@example.org".into()),
        ..notice("app\r\nBcc: evil@example.org\r\n\r\nbody", Step::Held)
    });
    until("it is out", || office.count("n", "sent") == "1");
    let talk = server.talk.lock().unwrap();
    // base64 of NUL healer NUL "pass word".
    assert!(
        talk.commands
            .contains(&"AUTH PLAIN AGhlYWxlcgBwYXNzIHdvcmQ=".to_owned())
    );
    let to: Vec<_> = talk
        .commands
        .iter()
        .filter(|c| c.starts_with("RCPT"))
        .collect();
    assert_eq!(to, ["RCPT TO:<ops@example.org>", "RCPT TO:<b@example.org>"]);
    let (head, body) = talk.mails[0].split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head
        .split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    for name in &names {
        let known = [
            "From",
            "To",
            "Subject",
            "Message-ID",
            "Date",
            "Auto-Submitted",
            "X-Healer-Message-Id",
            "Content-Type",
            "Content-Transfer-Encoding",
            "MIME-Version",
        ];
        assert!(known.contains(name), "{name} in\n{head}");
    }
    assert!(head.contains("Auto-Submitted: auto-generated"));
    assert!(
        head.contains("Date: Mon, 20 Oct 2025 16:47:30 +0000"),
        "{head}"
    );
    assert!(head.contains("@gpu-host>"), "{head}");
    let body = body.strip_suffix("\r\n.\r\n").unwrap();
    assert!(
        !body.contains("\r\n.\r\n"),
        "no line ends the mail before its end"
    );
    assert!(head.contains("Content-Transfer-Encoding: "), "{head}");
    let text = decoded(head, body);
    assert!(text.contains("Über One"), "{text}");
    assert_eq!(talk.mails.len(), 1);
}

#[test]
fn starttls_is_insisted_on_and_its_certificate_checked() {
    let (ca, tls) = certificate();
    let manners = Manners {
        tls: Some((tls, false)),
        ..Manners::default()
    };
    let server = Smtp::start(manners);
    let dir = tempfile::tempdir().unwrap();
    let ca = secret(dir.path(), "ca.pem", &ca);
    let password = secret(dir.path(), "password", "secret-word");
    let login = format!("username = 'u'\npassword_file = '{password}'\n");
    send(
        dir.path(),
        &server.config(&format!("{login}ca_file = '{ca}'")),
    )
    .unwrap();
    let commands = server.commands();
    let starttls = commands.iter().position(|c| c == "STARTTLS").unwrap();
    assert!(commands[..starttls].iter().all(|c| c.starts_with("EHLO")));
    assert!(commands[starttls + 1..].iter().all(|c| c.starts_with('*')));
    assert!(commands.iter().any(|c| c.starts_with("*AUTH PLAIN")));
    assert_eq!(server.talk.lock().unwrap().mails.len(), 1);

    // By the built-in roots alone it is a stranger's.
    let failure = send(dir.path(), &server.config(&login)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Setup, "{failure}");
    assert!(failure.to_string().contains("TLS"), "{failure}");
    // A server that has none gets neither password nor mail.
    let plain = Smtp::start(Manners::default());
    let failure = send(dir.path(), &plain.config(&login)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Setup);
    assert!(
        failure.to_string().contains("does not offer STARTTLS"),
        "{failure}"
    );
    assert!(plain.commands().iter().all(|c| c.starts_with("EHLO")));
}

#[test]
fn tls_from_the_first_byte() {
    let (ca, tls) = certificate();
    let manners = Manners {
        tls: Some((tls, true)),
        ..Manners::default()
    };
    let server = Smtp::start(manners);
    let dir = tempfile::tempdir().unwrap();
    let ca = secret(dir.path(), "ca.pem", &ca);
    send(
        dir.path(),
        &server.config(&format!("tls = 'tls'\nca_file = '{ca}'")),
    )
    .unwrap();
    assert!(server.commands().iter().all(|c| c.starts_with('*')));
    let failure = send(dir.path(), &server.config("tls = 'tls'")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Setup, "{failure}");
}

#[test]
fn what_a_mail_server_says_decides_what_becomes_of_the_mail() {
    let dir = tempfile::tempdir().unwrap();
    let password = secret(dir.path(), "password", "secret-word");
    let login = format!("tls = 'plain'\nusername = 'u'\npassword_file = '{password}'\n");
    for (at, reply, kind, said) in [
        (
            "AUTH",
            "535 5.7.8 bad secret-word",
            FailureKind::Setup,
            "bad ***",
        ),
        ("AUTH", "454 later", FailureKind::Later(None), "later"),
        (
            "MAIL",
            "451 greylisted",
            FailureKind::Later(None),
            "greylisted",
        ),
        (
            "RCPT",
            "550 no such user",
            FailureKind::Setup,
            "no such user",
        ),
        // Who sends what to whom from where: nothing is wrong with the mail.
        (
            "EHLO",
            "554 5.7.1 blocked",
            FailureKind::Setup,
            "5.7.1 blocked",
        ),
        ("MAIL", "552 over quota", FailureKind::Setup, "over quota"),
        (
            "MAIL",
            "550 5.7.1 not yours",
            FailureKind::Setup,
            "answers 550 to the sender",
        ),
        (
            "RCPT",
            "554 5.7.1 relaying denied",
            FailureKind::Setup,
            "denied",
        ),
        ("RCPT", "450 later", FailureKind::Later(None), "later"),
        ("DATA", "554 spam", FailureKind::Refused, "spam"),
        (
            ".",
            "554 spam",
            FailureKind::Refused,
            "answers 554 to the mail: spam",
        ),
        (".", "550 5.7.1 spam", FailureKind::Refused, "spam"),
        (".", "451 busy", FailureKind::Later(None), "busy"),
        (".", "530 log in", FailureKind::Setup, "log in"),
        (
            "EHLO",
            "hang",
            FailureKind::Later(None),
            "not taken within 1 s",
        ),
        (
            "MAIL",
            "pour",
            FailureKind::Later(None),
            "more than 262144 bytes",
        ),
        ("RCPT", "nonsense", FailureKind::Later(None), ""),
    ] {
        let server = Smtp::start(Manners {
            instead: Some((at, reply)),
            ..Manners::default()
        });
        let config = server.config(&format!("{login}timeout = '1s'"));
        let failure = send(dir.path(), &config).unwrap_err();
        assert_eq!(failure.kind, kind, "{at} {reply}: {failure}");
        assert!(
            failure.to_string().contains(said),
            "{at} {reply}: {failure}"
        );
        assert!(!failure.to_string().contains("secret-word"), "{failure}");
    }
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let nobody = Smtp {
        port: closed,
        talk: Arc::default(),
    };
    let failure = send(dir.path(), &nobody.config("tls = 'plain'")).unwrap_err();
    assert!(failure.to_string().contains("cannot connect"), "{failure}");
}

#[test]
fn a_mail_that_was_taken_is_out_however_long_that_took_and_whatever_follows() {
    for instead in [("QUIT", "hang"), ("QUIT", "500 what"), (".", "slow")] {
        let server = Smtp::start(Manners {
            instead: Some(instead),
            ..Manners::default()
        });
        let office = Office::open(&server.config("tls = 'plain'\ntimeout = '1s'"));
        office.tell("app", Step::Held);
        until("it is out", || office.count("n", "sent") == "1");
        assert_eq!(office.count("n", "failed"), "0", "{instead:?}");
        until("nothing waits", || office.queued("n") == 0);
        assert_eq!(server.talk.lock().unwrap().mails.len(), 1, "{instead:?}");
    }
}

#[test]
fn one_dead_mailbox_takes_nobody_elses_mail_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for reply in ["550 5.1.1 no such user", "452 mailbox full"] {
        let server = Smtp::start(Manners {
            refuses: Some(("b@example.org", reply)),
            ..Manners::default()
        });
        let failure = send(dir.path(), &server.config("tls = 'plain'")).unwrap_err();
        assert_eq!(server.talk.lock().unwrap().mails.len(), 1, "it is out");
        assert_eq!(failure.kind, FailureKind::Setup);
        let said = failure.to_string();
        assert!(said.contains("is out, but not to b@example.org"), "{said}");
        assert!(said.contains(&reply[4..]), "{said}");

        let office = Office::open(&server.config("tls = 'plain'"));
        office.tell("app", Step::Held);
        until("it is out", || office.count("n", "sent") == "1");
        assert_eq!(office.queued("n"), 0, "and is not sent again");
    }
}

#[test]
fn https_trusts_the_given_certificates_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    for (names, host, has_ca, is_fine) in [
        (&["127.0.0.1"], "127.0.0.1", true, true),
        (&["localhost"], "localhost", true, true),
        (&["127.0.0.1"], "127.0.0.1", false, false),
        // A certificate for another name.
        (&["localhost"], "127.0.0.1", true, false),
    ] {
        let (ca, tls) = certificate_of(names);
        let server = Server::start_with(&[], move |tcp| Some(secured(tcp, &tls)));
        let ca = secret(dir.path(), "ca.pem", &ca);
        let more = if has_ca {
            format!("ca_file = '{ca}'")
        } else {
            String::new()
        };
        let port = server.port;
        let config =
            format!("[notify.n]\ntype = 'ntfy'\nurl = 'https://{host}:{port}/t'\n{more}\n");
        let sent = send(dir.path(), &config);
        assert_eq!(sent.is_ok(), is_fine, "{host}: {sent:?}");
        assert_eq!(server.seen().len(), usize::from(is_fine));
        if let Err(failure) = sent {
            assert_eq!(failure.kind, FailureKind::Setup, "{failure}");
            assert!(failure.to_string().contains("TLS: "), "{failure}");
        }
    }
    let (_, tls) = certificate();
    let server = Server::start_with(&[], move |tcp| Some(secured(tcp, &tls)));
    let port = server.port;
    // A file that is none.
    let config = |file: &str| {
        format!(
            "[notify.n]\ntype = 'ntfy'\nurl = 'https://127.0.0.1:{port}/t'\nca_file = '{file}'\n"
        )
    };
    let empty = secret(dir.path(), "empty.pem", "no certificate");
    for (file, why) in [
        ("/no/such/ca.pem", "cannot be opened"),
        (&*empty, "holds no certificate"),
    ] {
        let failure = send(dir.path(), &config(file)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Setup);
        assert!(failure.to_string().contains(why), "{failure}");
    }
}

/// The text of a mail, whichever way it was made to fit.
fn decoded(head: &str, body: &str) -> String {
    use base64::Engine as _;
    if head.contains("Content-Transfer-Encoding: base64") {
        let text = body.replace("\r\n", "");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        return String::from_utf8(bytes.unwrap()).unwrap();
    }
    let text = body.replace("=\r\n", "");
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
