use super::*;
use crate::config::{Config, Sources};

/// The notifiers of a file with this text, or what is wrong with it.
fn load(text: &str) -> Result<Vec<Notifier>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("healer.toml");
    std::fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    let config = Config::load(&sources).map_err(|e| {
        let error = e.to_string();
        error.split_once("healer.toml:").unwrap().1.to_owned()
    })?;
    Ok(config.notifiers)
}

fn one(text: &str) -> Notifier {
    load(&format!("[notify.n]\n{text}")).unwrap().remove(0)
}

fn error(text: &str) -> String {
    load(&format!("[notify.n]\n{text}")).unwrap_err()
}

const NTFY: &str = "type = 'ntfy'\nurl = 'https://ntfy.sh/topic'\n";

#[test]
fn what_is_not_said_is_the_default() {
    let notifier = one(NTFY);
    assert_eq!(notifier.name, "n");
    assert_eq!(notifier.cooldown_ms, 300_000);
    assert_eq!(notifier.quiet, None);
    assert_eq!((notifier.rate.per_hour, notifier.rate.burst), (60, 20));
    assert_eq!(notifier.timeout_ms, 15_000);
    assert_eq!(notifier.max_age_ms, 86_400_000);
    assert_eq!(notifier.queue_max, 500);
    assert_eq!(notifier.route.min_severity, Severity::Info);
    assert!(
        !notifier.route.sample,
        "no log text goes out unless asked for"
    );
    assert_eq!(notifier.route.steps, None);
    assert!(load("").unwrap().is_empty());
    assert!(
        load(&format!("[notify.n]\nenabled = false\n{NTFY}"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn every_type_takes_what_it_needs() {
    let kinds = [
        NTFY,
        "type = 'telegram'\ntoken_env = 'T'\nchat_id = -100123\nthread_id = 4\n",
        "type = 'telegram'\ntoken_file = '/t'\nchat_id = '@gpu_ops'\n",
        "type = 'slack'\nurl_file = '/s'\n",
        "type = 'discord'\nurl_env = 'D'\nca_file = '/ca.pem'\n",
        "type = 'webhook'\nurl = 'http://127.0.0.1:1/x'\nsecret_file = '/s'\nbody = '{}'\n",
        "type = 'email'\nhost = 'h'\nfrom = 'A <a@b.org>'\nto = ['c@d.org']\nusername = 'u'\npassword_env = 'P'\n",
        "type = 'command'\ncommand = ['/bin/true', '--flag']\nenv = ['HOME']\n",
    ];
    let names: Vec<&str> = kinds.iter().map(|text| one(text).kind.name()).collect();
    assert_eq!(
        names,
        [
            "ntfy", "telegram", "telegram", "slack", "discord", "webhook", "email", "command"
        ]
    );
    let NotifierKind::Email(mail) = one(kinds[6]).kind else {
        panic!("no mail");
    };
    assert_eq!((mail.tls, mail.port), (MailTls::StartTls, 587));
    // No secret in what might be shown.
    let shown = format!(
        "{:?}",
        one("type = 'ntfy'\nurl = 'https://ntfy.sh/top-secret'\n")
    );
    assert!(!shown.contains("top-secret"), "{shown}");
}

#[test]
fn what_cannot_be_names_the_key_and_what_is_right() {
    let mail = "type = 'email'\nhost = 'h'\n";
    for (text, expected) in [
        (
            String::new(),
            "notify.n: type is missing; it is one of ntfy, ",
        ),
        (
            "type = 'sms'\n".into(),
            "notify.n.type: \"sms\" is none of ntfy, telegram",
        ),
        (
            "type = 'ntfy'\n".into(),
            "notify.n.url_file: is missing (or url_env)",
        ),
        (
            "type = 'ntfy'\nurl = 'https://ntfy.sh'\n".into(),
            "notify.n.url: names no topic",
        ),
        (
            "type = 'ntfy'\nurl = 'https://ntfy.sh/'\n".into(),
            "notify.n.url: names no topic",
        ),
        (
            "type = 'ntfy'\nurl = 'https://ntfy.sh/a.b'\n".into(),
            "notify.n.url: names no topic",
        ),
        (
            "type = 'ntfy'\nurl = 'ntfy.sh/t'\n".into(),
            "notify.n.url: is no URL such as https://",
        ),
        (
            "type = 'ntfy'\nurl = 'https://u:p@h/t'\n".into(),
            "notify.n.url: has a user name in it",
        ),
        (
            format!("{NTFY}url_file = '/u'\n"),
            "notify.n.url: is given twice",
        ),
        (
            format!("{NTFY}chat_id = 4\n"),
            "notify.n.chat_id: is no key of type ntfy; it has url",
        ),
        (
            format!("{NTFY}token_file = 'rel'\n"),
            "notify.n.token_file: \"rel\" is not an absolute path",
        ),
        (
            format!("{NTFY}token_env = ''\n"),
            "notify.n.token_env: \"\" is no name of a variable",
        ),
        (
            format!("{NTFY}steps = ['healed']\n"),
            "notify.n.steps: \"healed\" is no step; ",
        ),
        (
            format!("{NTFY}steps = ['recoverd']\n"),
            "notify.n.steps: \"recoverd\" is no step; did you mean recovered?",
        ),
        (format!("{NTFY}steps = []\n"), "notify.n.steps: is empty"),
        (
            format!("{NTFY}targets = ['a[']\n"),
            "notify.n.targets: \"a[\" is no pattern",
        ),
        (
            format!("{NTFY}targets = []\n"),
            "notify.n.targets: has to have 1 to 100",
        ),
        (
            format!("{NTFY}quiet = '22-7'\n"),
            "notify.n.quiet: \"22-7\" is not a span",
        ),
        (
            format!("{NTFY}timezone = 'Mars'\n"),
            "notify.n.timezone: \"Mars\" is no time zone",
        ),
        (
            format!("{NTFY}burst = 0\n"),
            "notify.n.burst: 0 is not between 1 and 1000",
        ),
        (
            format!("{NTFY}timeout = '121s'\n"),
            "notify.n.timeout: 2m 1s is not between 1s and 2m",
        ),
        (
            format!("{NTFY}max_age = '59s'\n"),
            "notify.n.max_age: 59s is not between 1m and 30d",
        ),
        (
            format!("{NTFY}queue_max = 10001\n"),
            "notify.n.queue_max: 10001 is not between 1 and 10000",
        ),
        (
            "type = 'slack'\nurl = 'https://hooks.slack.com/services/T/B/x'\n".into(),
            "notify.n.url: whoever has it can write there",
        ),
        (
            "type = 'telegram'\ntoken_env = 'T'\n".into(),
            "notify.n.chat_id: is missing",
        ),
        (
            "type = 'telegram'\nchat_id = 1\n".into(),
            "notify.n.token_file: is missing",
        ),
        (
            "type = 'telegram'\ntoken_env = 'T'\nchat_id = 'ops room'\n".into(),
            "notify.n.chat_id: \"ops room\" is no number",
        ),
        (
            "type = 'webhook'\nurl = 'http://h'\nbody = '{{'\n".into(),
            "notify.n.body: is not JSON",
        ),
        (
            format!("{mail}from = 'nobody'\nto = ['a@b.org']\n"),
            "notify.n.from: \"nobody\" is no address",
        ),
        (
            format!("{mail}from = 'a@b.org'\nto = []\n"),
            "notify.n.to: has to have 1 to 50",
        ),
        (
            format!("{mail}from = 'a@b.org'\nto = [\"a@b.org\\nBcc: c@d.org\"]\n"),
            "notify.n.to: ",
        ),
        (
            format!("{mail}from = 'a@b.org'\nto = ['c@d.org']\nusername = 'u'\n"),
            "notify.n.password_file: is missing",
        ),
        (
            format!("{mail}from = 'a@b.org'\nto = ['c@d.org']\ntls = 'ssl'\n"),
            "notify.n.tls: \"ssl\" is none of",
        ),
        (
            format!(
                "{mail}from = 'a@b.org'\nto = ['c@d.org']\ntls = 'plain'\nusername = 'u'\npassword_env = 'P'\n"
            ),
            "notify.n.tls: plain would send the password in the clear",
        ),
        (
            "type = 'command'\ncommand = ['page']\n".into(),
            "notify.n.command: is a list: the program by its absolute path",
        ),
        (
            "type = 'command'\ncommand = ['/p']\nenv = ['A=b']\n".into(),
            "notify.n.env: is a list of names",
        ),
    ] {
        let said = error(&text);
        let (_, why) = said.split_once(": ").unwrap();
        assert!(why.starts_with(expected), "gave {why}\n not  {expected}");
        // Of a URL nothing is repeated.
        assert!(
            !said.contains("services/T") && !said.contains("u:p"),
            "{said}"
        );
    }
}

#[test]
fn names_and_numbers_of_notifiers_are_bounded() {
    let named = |name: &str| load(&format!("[notify.\"{name}\"]\n{NTFY}"));
    assert!(named(&"n".repeat(32)).is_ok());
    for name in [&*"n".repeat(33), "", "Phone", "a b", "../a", "-a", ".", "ü"] {
        let why = named(name).unwrap_err();
        assert!(why.contains("is no name for a notifier"), "{name}: {why}");
    }
    let many = |count: usize| -> String {
        (0..count)
            .map(|n| format!("[notify.n{n}]\n{NTFY}"))
            .collect()
    };
    assert_eq!(load(&many(16)).unwrap().len(), 16);
    assert!(
        load(&many(17))
            .unwrap_err()
            .contains("17 are listed; 16 are allowed")
    );
}

/// The parser's own list of keys is held against the shipped file.
#[test]
fn the_shipped_file_documents_every_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/healer.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let why = toml::from_str::<NotifierSection>("no_such_key = 1").unwrap_err();
    let why = why.to_string();
    let keys = why.split_once("expected one of ").unwrap().1;
    let keys: Vec<&str> = keys.split('`').skip(1).step_by(2).collect();
    assert!(keys.len() > 30, "{keys:?}");
    let (_, section) = text.split_once("# ---- who is told").unwrap();
    for key in keys {
        let is_said = section.contains(&format!("#{key} = "))
            || section.contains(&format!("or {key}"))
            || section.contains(&format!("Or {key}"))
            || section.contains(&format!(", {key}"));
        assert!(is_said, "{key} is not documented");
    }
}
