//! Whether notifiers have what they need. Sends nothing: `healer notify test` does.

use rustix::fs::Access;

use super::finding::Findings;
use crate::config::{Config, Notifier, NotifierKind, show_duration_ms};
use crate::notify::{Quiet, check_ca_file, is_loopback, rehearse, shown};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let off = &config.notifiers_off;
    if !off.is_empty() {
        let off = off.join(", ");
        findings.ok("notify", format!("switched off (enabled = false): {off}"));
    }
    if config.notifiers.is_empty() && off.is_empty() {
        return findings.ok(
            "notify",
            "no notifier is configured: nobody is told (docs/notifications.md)",
        );
    }
    for notifier in &config.notifiers {
        one(notifier, findings);
    }
}

fn one(notifier: &Notifier, findings: &mut Findings) {
    let about = format!("notify.{}", notifier.name);
    let before = findings.0.len();
    for secret in notifier.kind.secrets() {
        if let Err(why) = secret.read() {
            let advice = "the executor needs it for each message, as its own user";
            findings.fail(&about, why, advice);
        }
        if let Some(exposed) = secret.exposure() {
            findings.warn(&about, exposed, "chmod 0600, and change what was readable");
        }
    }
    whole(notifier, &about, findings);
    in_the_clear(notifier, &about, findings);
    quiet(notifier, &about, findings);
    if findings.0.len() == before {
        let (kind, to) = (notifier.kind.name(), shown(&notifier.kind));
        let tried = format!("`healer notify test {}` tries it", notifier.name);
        findings.ok(&about, format!("{kind} to {to}; {tried}"));
    }
}

/// That what it needs beside its secrets is there, and is what it should be.
fn whole(notifier: &Notifier, about: &str, findings: &mut Findings) {
    let kind = &notifier.kind;
    // What cannot be read was said.
    if kind.secrets().iter().all(|secret| secret.read().is_ok())
        && let Err(failure) = rehearse(notifier)
    {
        findings.fail(about, failure.what, &failure.advice);
    }
    if let Some(path) = kind.ca_file()
        && let Err(why) = check_ca_file(path)
    {
        let why = format!("ca_file {}: {why}", path.display());
        findings.fail(about, why, "give a file of certificates in PEM");
    }
    if let NotifierKind::Command { argv, .. } = kind
        && let Some(program) = argv.first()
        && let Err(e) = rustix::fs::access(&**program, Access::EXEC_OK)
    {
        let why = format!("{program} cannot be run: {e}");
        let advice = "see that it is there and that the executor's user may run it";
        findings.fail(about, why, advice);
    }
}

/// A token that everybody on the way can read.
fn in_the_clear(notifier: &Notifier, about: &str, findings: &mut Findings) {
    let url = notifier.kind.url().and_then(|url| url.read().ok());
    let Some(url) = url.filter(|url| url.expose().starts_with("http://")) else {
        return;
    };
    let is_alone = notifier.kind.secrets().iter().all(|s| s.is_inline());
    if !is_alone && !is_loopback(url.expose()) {
        findings.warn(
            about,
            "its secret goes over http://, which anybody on the way can read",
            "give an https:// URL, or a server on this host",
        );
    }
}

/// Messages that are given up before the quiet hours end.
fn quiet(notifier: &Notifier, about: &str, findings: &mut Findings) {
    let Some(span_ms) = notifier.quiet.as_ref().map(Quiet::span_ms) else {
        return;
    };
    if notifier.max_age_ms <= span_ms {
        let (age, span) = (notifier.max_age_ms, span_ms);
        let text = format!(
            "max_age ({}) is not above the quiet hours ({}): what comes at their beginning is \
             given up",
            show_duration_ms(age),
            show_duration_ms(span)
        );
        findings.warn(about, text, "make max_age longer");
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::config::Sources;

    /// What is found of the only notifier of this configuration.
    fn found(dir: &std::path::Path, config: &str) -> Vec<(Level, String)> {
        let file = dir.join("healer.toml");
        std::fs::write(&file, config).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        let mut findings = Findings::default();
        check(&Config::load(&sources).unwrap(), &mut findings);
        let found = findings.0.into_iter();
        found.map(|f| (f.level, f.text)).collect()
    }

    #[test]
    fn what_is_switched_off_is_said_and_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let slack = |name: &str, more: &str| {
            format!("[notify.{name}]\ntype = 'slack'\nurl_file = '/no/such/file'\n{more}\n")
        };
        let off = slack("a", "enabled = false") + &slack("b", "enabled = false");
        let found_off = found(dir.path(), &off);
        let said = "switched off (enabled = false): a, b".to_owned();
        assert_eq!(found_off, [(Level::Ok, said)]);
        assert_eq!(
            found(dir.path(), &(off + &slack("c", "")))[1].0,
            Level::Fail
        );
        assert!(
            found(dir.path(), "")[0]
                .1
                .starts_with("no notifier is configured")
        );
    }

    #[test]
    fn what_a_notifier_needs_is_looked_at_and_not_only_its_secrets() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let token = file("token", "tk_123456");
        let no_url = file("no-url", "hooks.example.org/secret");
        let url = file("url", "https://hooks.example.org/secret");
        let no_topic = file("no-topic", "https://ntfy.example.org/a.b");
        let half = file("half", "whsec_not base64");
        let two = file("two", "123456:abc def");
        let clear = file("clear", "http://hooks.example.org/secret");
        let here = file("here", "http://127.0.0.1:8080/secret");
        let no_pem = file("no-pem", "nothing");
        for (config, level, said) in [
            (
                format!("type = 'slack'\nurl_file = '{url}'"),
                Level::Ok,
                "slack to https://hooks.example.org",
            ),
            (
                format!("type = 'slack'\nurl_file = '{no_url}'"),
                Level::Fail,
                "the URL in ",
            ),
            (
                format!("type = 'ntfy'\nurl_file = '{no_topic}'"),
                Level::Fail,
                "the URL names no topic",
            ),
            (
                format!("type = 'webhook'\nurl = 'https://h/'\nsecret_file = '{half}'"),
                Level::Fail,
                "what follows is not base64",
            ),
            (
                format!("type = 'telegram'\nchat_id = 1\ntoken_file = '{two}'"),
                Level::Fail,
                "the token or the path cannot be sent",
            ),
            (
                format!("type = 'slack'\nurl_file = '{clear}'"),
                Level::Warn,
                "goes over http://",
            ),
            (
                format!("type = 'slack'\nurl_file = '{here}'"),
                Level::Ok,
                "slack to",
            ),
            (
                format!("type = 'slack'\nurl_file = '{url}'\nca_file = '{no_pem}'"),
                Level::Fail,
                "holds no certificate",
            ),
            (
                format!("type = 'slack'\nurl_file = '{url}'\nca_file = '/no/such.pem'"),
                Level::Fail,
                "cannot be opened",
            ),
            (
                format!("type = 'ntfy'\nurl = 'http://ntfy.example.org/t'\ntoken_file = '{token}'"),
                Level::Warn,
                "goes over http://",
            ),
            (
                "type = 'ntfy'\nurl = 'http://ntfy.example.org/t'".into(),
                Level::Ok,
                "ntfy to",
            ),
            (
                format!("type = 'command'\ncommand = ['{token}']"),
                Level::Fail,
                "cannot be run",
            ),
            (
                "type = 'command'\ncommand = ['/bin/sh']".into(),
                Level::Ok,
                "command to /bin/sh",
            ),
            (
                "type = 'ntfy'\nurl = 'https://h/t'\nquiet = '22:00-07:00'\nmax_age = '9h'".into(),
                Level::Warn,
                "max_age (",
            ),
            (
                "type = 'ntfy'\nurl = 'https://h/t'\nquiet = '07:00-22:00'\nmax_age = '901m'"
                    .into(),
                Level::Ok,
                "ntfy to",
            ),
        ] {
            let found = found(dir.path(), &format!("[notify.n]\n{config}\n"));
            assert_eq!(found.len(), 1, "{config}: {found:?}");
            assert_eq!(found[0].0, level, "{config}: {found:?}");
            assert!(found[0].1.contains(said), "{config}: {found:?}");
            assert!(!found[0].1.contains("secret\"") && !found[0].1.contains("/secret"));
        }
    }
}
