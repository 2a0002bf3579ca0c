//! Attempts and what else has happened, as `healer history` and the report files
//! show it.

use serde::Serialize;

use crate::state::{Attempt, Spent};
use crate::status::count;
use crate::{AttemptId, Cause, Gate, Happened, Limits, MeasureView, Outcome, Policy, WallTime};

/// One attempt, for history and report files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// Its number.
    pub attempt: AttemptId,
    /// Canonical name.
    pub target: String,
    /// 64 hex digits.
    pub container_id: String,
    /// The rule that matched; none for a person's request.
    pub rule: Option<String>,
    /// The newest line; none for a person's request.
    pub line: Option<WallTime>,
    /// When it was charged, ms since the epoch.
    pub charged_wall_ms: u64,
    /// When the first call went out.
    pub sent_wall_ms: Option<u64>,
    /// When the engine's answer was known.
    pub restarted_wall_ms: Option<u64>,
    /// From the charge until the engine's answer was known, ms.
    pub duration_ms: Option<u64>,
    /// When it ended.
    pub ended_wall_ms: Option<u64>,
    /// Its outcome; while there is none `in-progress` or `verifying`; `dry-run`.
    pub what: &'static str,
    /// None while it is open.
    pub outcome: Option<Outcome>,
    /// For `aborted`.
    pub gate: Option<Gate>,
    /// How it ended, for people.
    pub detail: String,
    /// What it does about it, in order; each where the one before did not cure.
    pub measures: Vec<MeasureView>,
    /// Why the measure before the newest did not cure; none while it is at its first.
    pub stepped: Option<String>,
    /// The limits in force for it.
    pub limits: Limits,
    /// Charges in its window, this one included.
    pub window_count: u32,
    /// Their times, seconds since the epoch, ascending, this one included.
    pub window_epochs: Vec<u64>,
    /// A dry run.
    pub shadow: bool,
}

/// One line of `healer history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HistoryItem {
    /// An attempt.
    Attempt(Box<AttemptView>),
    /// Refusals of one kind.
    Refusal {
        /// Canonical name, or as the wire names it.
        target: String,
        /// Empty for a person's request.
        rule: String,
        /// None for wrong use.
        gate: Option<Gate>,
        /// The newest one's figures.
        detail: String,
        /// How many of this kind.
        count: u64,
        /// The newest one's time, ms since the epoch.
        wall_ms: u64,
    },
    /// A hold, a storm, a pause, or its end.
    Happened(Happened),
}

/// Which of it all; each that is given has to be so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryOf {
    /// Canonical name; what is about all targets is about each.
    pub target: Option<String>,
    /// The rule's name; what has no rule is left out.
    pub rule: Option<String>,
    /// An attempt's [`AttemptView::what`], `refused`, or [`Happened::what`].
    pub what: Option<String>,
    /// From then on, ms since the epoch: of an attempt its charge.
    pub since_wall_ms: u64,
}

impl HistoryOf {
    fn is_meant(&self, target: &str, rule: &str, what: &str, wall_ms: u64) -> bool {
        let is = |one: &Option<String>, other: &str| one.as_ref().is_none_or(|one| one == other);
        is(&self.target, target)
            && is(&self.rule, rule)
            && is(&self.what, what)
            && wall_ms >= self.since_wall_ms
    }
}

/// What became of an attempt so far, in one word.
fn what(attempt: &Attempt) -> &'static str {
    match (&attempt.end, attempt.restarted) {
        _ if attempt.charge.shadow => "dry-run",
        (Some(end), _) => end.outcome.as_str(),
        (None, Some(_)) => "verifying",
        (None, None) => "in-progress",
    }
}

impl Policy {
    /// Attempts, refusals and what else happened, newest first.
    pub fn history(&self, of: &HistoryOf, limit: usize) -> Vec<HistoryItem> {
        let attempts = self.state.attempts.values().rev();
        let attempts = attempts
            .filter(|a| of.is_meant(&a.charge.target, a.charge.rule(), what(a), a.wall_ms))
            .take(limit)
            .map(|a| (a.wall_ms, HistoryItem::Attempt(Box::new(self.view(a)))));
        let refusals = self.state.refusals.iter().rev();
        let refusals = refusals
            .filter(|r| of.is_meant(&r.target, &r.rule, "refused", r.wall_ms))
            .take(limit)
            .map(|r| {
                let item = HistoryItem::Refusal {
                    target: r.target.clone(),
                    rule: r.rule.clone(),
                    gate: r.gate,
                    detail: r.detail.clone(),
                    count: r.count,
                    wall_ms: r.wall_ms,
                };
                (r.wall_ms, item)
            });
        // What concerns all concerns each.
        let happened = self.state.happenings.iter().rev();
        let happened = happened
            .filter(|h| {
                let all = of.target.as_deref().filter(|_| h.target.is_empty());
                of.is_meant(all.unwrap_or(&h.target), "", &h.what, h.wall_ms)
            })
            .take(limit)
            .map(|h| (h.wall_ms, HistoryItem::Happened(h.clone())));
        let mut all: Vec<(u64, HistoryItem)> = attempts.chain(refusals).chain(happened).collect();
        all.sort_by_key(|(wall_ms, _)| std::cmp::Reverse(*wall_ms));
        all.truncate(limit);
        all.into_iter().map(|(_, item)| item).collect()
    }

    /// One attempt, for report files and answers; none where it is unknown or
    /// long gone.
    pub fn attempt(&self, id: AttemptId) -> Option<AttemptView> {
        self.state.attempts.get(&id).map(|a| self.view(a))
    }

    pub(crate) fn view(&self, attempt: &Attempt) -> AttemptView {
        let charge = &attempt.charge;
        let (rule, line) = match &charge.cause {
            Cause::Match { rule, line, .. } => (Some(rule.clone()), Some(*line)),
            Cause::Person => (None, None),
        };
        let end = attempt.end.as_ref();
        let window_epochs = self.window_epochs(attempt);
        AttemptView {
            attempt: charge.attempt,
            target: charge.target.clone(),
            container_id: charge.container_id.clone(),
            rule,
            line,
            charged_wall_ms: attempt.wall_ms,
            sent_wall_ms: attempt.sent.first().map(|s| s.wall_ms),
            restarted_wall_ms: attempt.restarted.map(|r| r.wall_ms),
            duration_ms: attempt.restarted.map(|r| r.at.since(attempt.at)),
            ended_wall_ms: end.map(|e| e.wall_ms),
            what: what(attempt),
            outcome: end.map(|e| e.outcome),
            gate: end.and_then(|e| e.gate),
            detail: end.map_or_else(String::new, |e| e.detail.clone()),
            measures: charge.measures(),
            stepped: attempt.stepped.as_ref().map(|s| s.why.clone()),
            limits: charge.limits,
            window_count: count(window_epochs.len()),
            window_epochs,
            shadow: charge.shadow,
        }
    }

    /// The charges that counted in the attempt's window, itself included.
    fn window_epochs(&self, attempt: &Attempt) -> Vec<u64> {
        let charge = &attempt.charge;
        let Some(target) = self.state.target(&charge.target) else {
            return vec![attempt.wall_ms / 1_000];
        };
        let counts = |s: &&Spent| {
            let is_earlier = match s.attempt {
                Some(id) => id <= charge.attempt,
                None => s.at <= attempt.at,
            };
            is_earlier && attempt.at.since(s.at) < charge.limits.window_ms
                || s.attempt == Some(charge.attempt)
        };
        target
            .counting(charge.shadow)
            .filter(counts)
            .map(|s| s.wall_ms / 1_000)
            .collect()
    }
}
