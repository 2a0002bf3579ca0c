//! Each event in the words that people get.

mod measures;
mod silent;
mod steps;

use policy::{
    AttemptView, Decided, Event, Gate, Limits, Now, Outcome, PendingStatus, Possible, Recovery,
    TargetState, TargetStatus, Timestamp, Verdict, WallTime,
};

use super::*;

const LINE: WallTime = WallTime {
    secs: 1_760_978_850,
    nanos: None,
};

const LIMITS: Limits = Limits {
    cooldown_ms: 300_000,
    window_ms: 600_000,
    max_per_window: 4,
};

fn attempt() -> AttemptView {
    AttemptView {
        attempt: 7,
        target: "app".into(),
        container_id: "a5e0".repeat(16),
        rule: Some("cuda-oom".into()),
        line: Some(LINE),
        charged_wall_ms: 1_760_978_850_000,
        sent_wall_ms: None,
        restarted_wall_ms: None,
        duration_ms: Some(1_500),
        ended_wall_ms: None,
        what: "verifying",
        outcome: None,
        gate: None,
        detail: String::new(),
        measures: vec![MeasureView::Restart],
        stepped: None,
        limits: LIMITS,
        window_count: 2,
        window_epochs: Vec::new(),
        shadow: false,
    }
}

fn status() -> TargetStatus {
    TargetStatus {
        target: "app".into(),
        state: TargetState::Cooldown,
        cooldown_left_ms: 240_000,
        window_count: 2,
        limits: LIMITS,
        possible: Possible {
            gate: Some(Gate::Cooldown),
            left_ms: Some(240_000),
        },
        uncured: 2,
        pending: None,
        held: None,
        paused: None,
        off: None,
        last: Some(attempt()),
    }
}

fn facts() -> Facts {
    Facts {
        now: Now {
            at: Timestamp(5),
            wall_ms: 1_760_978_900_000,
        },
        status: Some(status()),
        is_being_healed: false,
        recovery: Recovery {
            stable_for_ms: 60_000,
            backoff: 2_000,
            cooldown_max_ms: 3_600_000,
            max_attempts: 5,
            release_after_ms: 600_000,
            start_delay_ms: 0,
        },
        attempt: Some(attempt()),
        evidence: Some("/state/evidence/1-7-app.json".into()),
        sample: Some("CUDA out of memory".into()),
        why: None,
    }
}

fn pending(facts: &mut Facts) {
    if let Some(status) = &mut facts.status {
        status.pending = Some(PendingStatus {
            gate: Gate::Cooldown,
            rule: "cuda-oom".into(),
            line: LINE,
            due_ms: 44_500,
            expires_ms: 1_500_000,
        });
    }
}

fn held(facts: &mut Facts) {
    if let Some(status) = &mut facts.status {
        status.held = Some("attempt 7 ended relapsed".into());
    }
}

fn decided(verdict: Verdict, gate: Option<Gate>, detail: &str) -> Event {
    Event::Decided {
        target: "app".into(),
        rule: "cuda-oom".into(),
        decided: Decided {
            verdict,
            gate,
            detail: detail.into(),
            attempt: None,
        },
        dry: false,
    }
}

fn ended(outcome: Outcome, detail: &str) -> Event {
    Event::Ended {
        attempt: 7,
        target: "app".into(),
        outcome,
        detail: detail.into(),
    }
}
