//! Messages and notices for tests.

use super::message::{Message, Severity, Step};
use super::notice::Notice;

/// A whole one, with everything in it.
pub(super) fn message() -> Message {
    Message {
        id: "0123456789abcdef0123456789abcdef".into(),
        incident: "fedcba9876543210fedcba9876543210".into(),
        at_ms: 1_760_978_850_000,
        host: "gpu-host".into(),
        step: Step::Relapsed,
        severity: Severity::Warning,
        target: "app".into(),
        container_id: Some("a5e0a5e0a5e0".into()),
        rule: Some("cuda-oom".into()),
        attempt: Some(7),
        title: "app relapsed on gpu-host".into(),
        detail: "The same again".into(),
        figures: vec!["attempt 2 of 5".into()],
        next: "next possible restart in 5m".into(),
        evidence: Some("/var/lib/log-healer/evidence/1-7-app.json".into()),
        sample: Some("RuntimeError: CUDA out of memory".into()),
        left_out: 0,
    }
}

pub(super) fn notice(target: &str, step: Step) -> Notice {
    Notice {
        at_ms: 1_760_978_850_000,
        step,
        target: target.into(),
        container_id: None,
        rule: None,
        attempt: None,
        detail: "It has happened".into(),
        figures: Vec::new(),
        next: String::new(),
        evidence: None,
        sample: None,
    }
}
