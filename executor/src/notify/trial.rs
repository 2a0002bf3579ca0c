//! `healer notify test`: one message to one notifier, by the same way as all
//! others but for the queue.

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
    let message = Message {
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
    };
    let sent = kinds::send(notifier, &message, now_ms / 1_000).await?;
    sent.partly.map_or(Ok(()), Err)
}
