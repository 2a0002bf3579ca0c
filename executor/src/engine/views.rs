//! What `healer status` and `healer history` show, from the policy's views.

use std::collections::BTreeMap;

use executor_api::{HeldBack, HistoryEntry, Pause, Status, Storm, TargetStatus, Window};
use policy::{
    AttemptView, HeldBackStatus, HistoryItem, HistoryOf, Labelled, Now, TargetState, WindowStatus,
};

use super::Engine;
use crate::config::show_duration_ms;
use crate::docker::Docker;

impl<D: Docker + 'static> Engine<D> {
    pub(super) fn status_view(&self) -> Status {
        let now = self.clock.now();
        let status = self.policy.status(now);
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            faults: self.site.health.faults(now.at),
            engine: self.site.health.engine_name(),
            dry_run: self.policy.config().dry_run,
            paused: status.paused.map(|pause| Pause {
                until: pause.left_ms.map(|ms| epoch_in(now, ms)),
                reason: pause.reason,
            }),
            storm: status.storm.map(|storm| Storm {
                why: storm.why,
                since: storm.since_wall_ms / 1_000,
                targets: storm.targets,
                quiet_at: epoch_in(now, storm.quiet_in_ms),
            }),
            windows: status.windows.into_iter().map(window_view).collect(),
            held_back: status
                .held_back
                .into_iter()
                .map(|one| held_back_view(now, one))
                .collect(),
            targets: self.targets_view(now, status.targets),
        }
    }

    /// Those that the policy knows, and those that it has not met yet.
    fn targets_view(&self, now: Now, known: Vec<policy::TargetStatus>) -> Vec<TargetStatus> {
        let (watched, off) = (self.site.watched.borrow(), self.site.off.borrow());
        let mut all: BTreeMap<String, policy::TargetStatus> = known
            .into_iter()
            .map(|one| (one.target.clone(), one))
            .collect();
        let seen_off = off.iter().filter(|(name, _)| all.contains_key(*name));
        let seen_off: Vec<_> = seen_off
            .map(|(name, off)| (name, Labelled::Off(off)))
            .collect();
        // The newer word last.
        let seen_on = watched.iter().map(|name| (name, Labelled::On));
        for (name, labelled) in seen_off.into_iter().chain(seen_on) {
            let status = self.policy.target_status_as(now, name, labelled);
            all.insert(name.clone(), status);
        }
        let checks = self.site.metrics.checks();
        let views = all.into_values().map(|target| TargetStatus {
            failing: checks.failing(&target.target),
            ..target_view(now, target)
        });
        views.collect()
    }

    pub(super) fn history_view(&self, of: &HistoryOf, limit: usize) -> Vec<HistoryEntry> {
        // The policy's is newest first, a screen's newest last.
        let mut entries: Vec<_> = self
            .policy
            .history(of, limit)
            .into_iter()
            .map(|item| self.history_item(item))
            .collect();
        entries.reverse();
        entries
    }

    fn history_item(&self, item: HistoryItem) -> HistoryEntry {
        let evidence = match &item {
            HistoryItem::Attempt(attempt) => self.evidence.path(attempt),
            HistoryItem::Refusal { .. } | HistoryItem::Happened(_) => None,
        };
        HistoryEntry {
            evidence: evidence.map(shown),
            ..history_view(item)
        }
    }
}

/// Where an attempt's evidence is, as it is shown.
fn shown(path: std::path::PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

fn window_view(window: WindowStatus) -> Window {
    Window {
        name: window.name,
        reason: window.reason,
        targets: window.targets,
        until: window.until_wall_ms.map(|ms| ms / 1_000),
        next: window.next_wall_ms.map(|ms| ms / 1_000),
    }
}

fn held_back_view(now: Now, one: HeldBackStatus) -> HeldBack {
    HeldBack {
        target: one.held_back.target,
        rule: one.held_back.rule,
        since: one.held_back.since_wall_ms / 1_000,
        matches: one.held_back.matches,
        detail: one.held_back.detail,
        decided_at: one.due_ms.map(|ms| epoch_in(now, ms)),
    }
}

fn target_view(now: Now, target: policy::TargetStatus) -> TargetStatus {
    let state = match target.state {
        TargetState::Restarting => "in-progress",
        TargetState::Held => "held",
        TargetState::Paused => "paused",
        TargetState::Pending => "pending",
        TargetState::Watched => "verifying",
        TargetState::Off => "off",
        TargetState::Cooldown | TargetState::Idle => "idle",
    };
    let detail = match (&target.held, &target.pending, &target.paused) {
        (Some(why), _, _) => why.clone(),
        (None, None, Some(pause)) => pause.reason.clone(),
        (None, Some(pending), _) => {
            let due_s = pending.due_ms.div_ceil(1_000);
            format!(
                "{} for rule {}, decided again in {due_s}s",
                pending.gate.as_str(),
                pending.rule
            )
        }
        (None, None, None) => target
            .off
            .as_ref()
            .map_or(String::new(), |off| off.why.clone()),
    };
    let detail = with_back_off(detail, &target);
    let next_ms = target.possible.left_ms.filter(|ms| *ms > 0);
    let waits_for = target.pending.as_ref().map(|pending| pending.rule.clone());
    let last_rule = target.last.as_ref().and_then(|last| last.rule.clone());
    let last_detail = target.last.as_ref().map(|last| last.detail.clone());
    TargetStatus {
        name: target.target,
        failing: Vec::new(),
        state: state.into(),
        detail,
        rule: waits_for.or(last_rule),
        last_detail: last_detail.unwrap_or_default(),
        last_restart: target
            .last
            .as_ref()
            .map(|attempt| attempt.charged_wall_ms / 1_000),
        last_outcome: target
            .last
            .and_then(|attempt| attempt.outcome)
            .map(|outcome| outcome.as_str().into()),
        used: target.window_count,
        max_per_window: target.limits.max_per_window,
        cooldown_sec: target.limits.cooldown_ms / 1_000,
        uncured: target.uncured,
        budget_left: target
            .limits
            .max_per_window
            .saturating_sub(target.window_count),
        next_possible: next_ms.map(|ms| epoch_in(now, ms)),
        blocked_by: target.possible.gate.map(|gate| gate.as_str().into()),
    }
}

/// Says, too, what restarts have not cured so far, and what that has made of the
/// cooldown.
fn with_back_off(detail: String, target: &policy::TargetStatus) -> String {
    if target.uncured == 0 || target.held.is_some() {
        return detail;
    }
    let cooldown = show_duration_ms(target.limits.cooldown_ms);
    let uncured = target.uncured;
    let grown = format!("{uncured} without recovery, cooldown {cooldown}");
    match detail.is_empty() {
        true => grown,
        false => format!("{detail}; {grown}"),
    }
}

fn history_view(item: HistoryItem) -> HistoryEntry {
    match item {
        HistoryItem::Attempt(attempt) => attempt_view(*attempt),
        HistoryItem::Happened(happened) => HistoryEntry {
            at: happened.wall_ms / 1_000,
            target: happened.target,
            what: happened.what,
            detail: happened.detail,
            ..HistoryEntry::default()
        },
        HistoryItem::Refusal {
            target,
            rule,
            gate,
            detail,
            count,
            wall_ms,
        } => HistoryEntry {
            at: wall_ms / 1_000,
            target,
            what: "refused".into(),
            gate: gate.map(|gate| gate.as_str().into()),
            rule: Some(rule).filter(|rule| !rule.is_empty()),
            container_id: None,
            evidence: None,
            detail: if count > 1 {
                format!("{detail} ({count} times)")
            } else {
                detail
            },
        },
    }
}

fn attempt_view(attempt: AttemptView) -> HistoryEntry {
    let detail = detail(&attempt);
    HistoryEntry {
        at: attempt.charged_wall_ms / 1_000,
        target: attempt.target,
        what: attempt.what.into(),
        gate: attempt.gate.map(|gate| gate.as_str().into()),
        rule: attempt.rule,
        container_id: attempt.container_id.get(..12).map(Into::into),
        evidence: None,
        detail,
    }
}

/// How it ended, and what did not cure before: a command's exit code, never what it printed.
fn detail(attempt: &AttemptView) -> String {
    match (&*attempt.detail, &attempt.stepped) {
        (ended, None) => ended.to_owned(),
        ("", Some(why)) => format!("after {why}"),
        (ended, Some(why)) => format!("{ended}, after {why}"),
    }
}

fn epoch_in(now: Now, ms: u64) -> u64 {
    now.wall_ms.saturating_add(ms) / 1_000
}
