//! `healer notify test`: one message to one notifier, by the same way as all
//! others but for the queue; and, for `healer check`, all of that way that can be
//! gone without sending.

use super::failure::Failure;
use super::incident::hash;
use super::kinds;
use super::message::{Message, Step};
use crate::config::Notifier;

/// Sends a test message.
///
/// # Errors
/// What failed, on what, why, and what to do; no secret is in it.
pub(crate) async fn trial(notifier: &Notifier, host: &str, now_ms: u64) -> Result<(), Failure> {
    let message = message(notifier, host, now_ms);
    let sent = kinds::send(notifier, &message, now_ms / 1_000).await?;
    sent.partly.map_or(Ok(()), Err)
}

/// Makes a test message ready to be sent, and sends nothing.
///
/// # Errors
/// What is wrong with the notifier's settings or secrets; none of these is in it.
pub(crate) fn rehearse(notifier: &Notifier) -> Result<(), Failure> {
    kinds::rehearse(notifier, &message(notifier, "localhost", 0), 0)
}

fn message(notifier: &Notifier, host: &str, now_ms: u64) -> Message {
    Message {
        id: hash(&[host, &notifier.name, &now_ms.to_string(), "test"]),
        incident: String::new(),
        at_ms: now_ms,
        host: host.to_owned(),
        step: Step::Test,
        severity: Step::Test.severity(),
        target: String::new(),
        container_id: None,
        rule: None,
        attempt: None,
        title: format!("log-healer on {host}: a test message"),
        detail: format!("Notifier {} works.", notifier.name),
        figures: Vec::new(),
        next: "nothing to do".to_owned(),
        evidence: None,
        sample: None,
        left_out: 0,
    }
}
