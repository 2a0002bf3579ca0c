//! Whether notifiers have what they need. Sends nothing: `healer notify test` does.

use super::finding::Findings;
use crate::config::{Config, Notifier};
use crate::notify::shown;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    if config.notifiers.is_empty() {
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
    let mut is_whole = true;
    for secret in notifier.kind.secrets() {
        if let Err(why) = secret.read() {
            is_whole = false;
            findings.fail(
                &about,
                why,
                "the executor needs it for each message, as its own user",
            );
        }
        if let Some(exposed) = secret.exposure() {
            is_whole = false;
            findings.warn(&about, exposed, "chmod 0600, and change what was readable");
        }
    }
    if is_whole {
        let (kind, to) = (notifier.kind.name(), shown(&notifier.kind));
        let tried = format!("`healer notify test {}` tries it", notifier.name);
        findings.ok(&about, format!("{kind} to {to}; {tried}"));
    }
}
