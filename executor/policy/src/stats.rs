//! Success rates and times to recovery, from the attempts and refusals that are
//! remembered. Figures for people: no decision depends on them.
//!
//! An *incident* is what one trouble of a target took: an attempt and those that
//! followed because it relapsed or failed. It lasts from its first line until the
//! restart after which the container stayed well. What nobody knows is counted as
//! that, never as a success.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::figures::wall_ms;
use crate::state::Attempt;
use crate::{AttemptId, Cause, KEEP_MS, Now, Outcome, PENDING_MARGIN_MS, Policy};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatsOf {
    /// Canonical name; none = all.
    pub target: Option<String>,
    /// The rule's name; none = all, a person's requests included.
    pub rule: Option<String>,
    /// Charges and refusals from then on, ms since the epoch.
    pub since_wall_ms: u64,
}

/// Everything that `healer stats` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Of all that was asked for.
    pub all: Figures,
    /// By canonical name.
    pub by_target: BTreeMap<String, Figures>,
    /// By the rule's name; a person's requests have none: empty.
    pub by_rule: BTreeMap<String, Figures>,
    /// Attempts before this are not remembered any more, ms since the epoch.
    pub known_from_wall_ms: u64,
}

/// Of one target, rule, or all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Restarts that were charged, dry runs apart.
    pub attempts: u64,
    /// Of these: the container stayed well.
    pub recovered: u64,
    /// It did not.
    pub relapsed: u64,
    /// The engine would not.
    pub failed: u64,
    /// Nothing was done: facts changed before the act.
    pub aborted: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// It was to be stopped, and is.
    pub stopped: u64,
    /// Not known yet.
    pub open: u64,
    /// Charged to the shadow budget, nothing done.
    pub dry_runs: u64,
    /// Matches and requests that were refused. Like ones in a row are one entry
    /// whose newest time counts.
    pub refused: u64,
    /// From an incident's first line until its container ran well, ms, ascending.
    #[serde(skip)]
    pub recoveries_ms: Vec<u64>,
}

impl Figures {
    /// Recovered, of those whose end says anything about it; in thousandths. None
    /// where there are none.
    pub fn success_milli(&self) -> Option<u64> {
        let judged = self.recovered + self.relapsed + self.failed;
        (self.recovered * 1_000 + judged / 2).checked_div(judged)
    }

    /// Mean time to recovery, ms.
    pub fn mean_ms(&self) -> Option<u64> {
        let n = self.recoveries_ms.len() as u64;
        self.recoveries_ms.iter().sum::<u64>().checked_div(n)
    }

    /// Median time to recovery, ms: of two in the middle their mean.
    pub fn median_ms(&self) -> Option<u64> {
        let n = self.recoveries_ms.len();
        let upper = *self.recoveries_ms.get(n / 2)?;
        match n % 2 {
            1 => Some(upper),
            _ => Some(self.recoveries_ms[n / 2 - 1].midpoint(upper)),
        }
    }

    fn count(&mut self, attempt: &Attempt) {
        if attempt.charge.shadow {
            self.dry_runs += 1;
            return;
        }
        self.attempts += 1;
        let ended = match attempt.end.as_ref().map(|end| end.outcome) {
            None => &mut self.open,
            Some(Outcome::Recovered) => &mut self.recovered,
            Some(Outcome::Relapsed) => &mut self.relapsed,
            Some(Outcome::Failed) => &mut self.failed,
            Some(Outcome::Aborted) => &mut self.aborted,
            Some(Outcome::Unknown) => &mut self.unknown,
            Some(Outcome::Stopped) => &mut self.stopped,
        };
        *ended += 1;
    }
}

impl Policy {
    /// What came of attempts, by target and by rule.
    pub fn stats(&self, now: Now, of: &StatsOf) -> Stats {
        let kept_ms = self.config.largest_limit_ms().max(KEEP_MS);
        let mut stats = Stats {
            all: Figures::default(),
            by_target: BTreeMap::new(),
            by_rule: BTreeMap::new(),
            known_from_wall_ms: now.wall_ms.saturating_sub(kept_ms),
        };
        let mut began: BTreeMap<&str, Incident<'_>> = BTreeMap::new();
        for attempt in self.state.attempts.values() {
            let (target, rule) = (&*attempt.charge.target, attempt.charge.rule());
            let recovery_ms = match attempt.charge.shadow {
                true => None,
                false => recovery_ms(&mut began, attempt),
            };
            if attempt.wall_ms < of.since_wall_ms || !of.is_meant(target, rule) {
                continue;
            }
            stats.each(target, rule, |figures| {
                figures.count(attempt);
                figures.recoveries_ms.extend(recovery_ms);
            });
        }
        for refusal in self.state.refusals.iter() {
            let is_old = refusal.wall_ms < of.since_wall_ms;
            if !is_old && of.is_meant(&refusal.target, &refusal.rule) {
                let count = refusal.count;
                stats.each(&refusal.target, &refusal.rule, |figures| {
                    figures.refused += count
                });
            }
        }
        let own = stats
            .by_target
            .values_mut()
            .chain(stats.by_rule.values_mut());
        own.chain([&mut stats.all])
            .for_each(|figures| figures.recoveries_ms.sort_unstable());
        stats
    }
}

impl Policy {
    /// How long the incident took that this attempt has ended well, ms; none where it
    /// has not.
    pub fn recovery_ms(&self, attempt: AttemptId) -> Option<u64> {
        let is = |end: &crate::state::End| end.outcome == Outcome::Recovered;
        let last = self.state.attempts.get(&attempt)?;
        last.end.as_ref().filter(|end| is(end))?;
        let mut began = BTreeMap::new();
        let same = |one: &&Attempt| one.charge.target == last.charge.target && !one.charge.shadow;
        let until = self.state.attempts.range(..=attempt).map(|(_, one)| one);
        let each = until.filter(same).map(|one| recovery_ms(&mut began, one));
        each.last().flatten()
    }
}

impl StatsOf {
    fn is_meant(&self, target: &str, rule: &str) -> bool {
        self.target.as_ref().is_none_or(|one| one == target)
            && self.rule.as_ref().is_none_or(|one| one == rule)
    }
}

impl Stats {
    fn each(&mut self, target: &str, rule: &str, count: impl Fn(&mut Figures)) {
        count(&mut self.all);
        count(self.by_target.entry(target.to_owned()).or_default());
        count(self.by_rule.entry(rule.to_owned()).or_default());
    }
}

/// What is not over: when it began, ms since the epoch, and its newest attempt.
struct Incident<'a> {
    began_wall_ms: u64,
    newest: &'a Attempt,
}

/// How long the incident took that ends with this attempt; none where it does not
/// end, or not well.
fn recovery_ms<'a>(
    began: &mut BTreeMap<&'a str, Incident<'a>>,
    attempt: &'a Attempt,
) -> Option<u64> {
    let target = &*attempt.charge.target;
    let first = began.remove(target).filter(|one| one.goes_on_with(attempt));
    let began_wall_ms = first.map_or_else(|| called_wall_ms(attempt), |one| one.began_wall_ms);
    match attempt.end.as_ref()?.outcome {
        Outcome::Relapsed | Outcome::Failed => {
            let newest = attempt;
            began.insert(
                target,
                Incident {
                    began_wall_ms,
                    newest,
                },
            );
            None
        }
        Outcome::Recovered => {
            let restarted = attempt.restarted?;
            Some(restarted.wall_ms.saturating_sub(began_wall_ms))
        }
        Outcome::Aborted | Outcome::Unknown | Outcome::Stopped => None,
    }
}

impl Incident<'_> {
    /// Whether the next attempt came as soon as its limits let it: later it is
    /// another trouble.
    fn goes_on_with(&self, next: &Attempt) -> bool {
        let limits = next.charge.limits;
        let wait_ms = limits.cooldown_ms.max(limits.window_ms);
        let ended = self
            .newest
            .end
            .as_ref()
            .map_or(self.newest.at, |end| end.at);
        next.at.since(ended) <= wait_ms.saturating_add(PENDING_MARGIN_MS)
    }
}

/// When the attempt was called for: its line's time, never after its charge.
fn called_wall_ms(attempt: &Attempt) -> u64 {
    match &attempt.charge.cause {
        Cause::Match { line, .. } => wall_ms(*line).min(attempt.wall_ms),
        Cause::Person => attempt.wall_ms,
    }
}
