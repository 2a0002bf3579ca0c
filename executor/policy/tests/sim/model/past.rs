//! The state of things as the records tell it, worked out anew for each question
//! by walking them from the beginning. Slow and obvious on purpose.

use std::collections::BTreeMap;

use policy::{
    AttemptId, Cause, Charge, Config, Entry, Gate, Outcome, Pending, PendingKey, Record, Timestamp,
    Verdict,
};

use crate::check::wall_ms;

/// A week: so long charges are remembered at least, ms.
const WEEK_MS: u64 = 7 * 24 * 3_600_000;
const QUARTER_MS: u64 = 15 * 60_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// An id is kept for the greatest age of a line and so much more, ms.
const GRACE_MS: u64 = 5 * 60_000;

/// Everything on record, and the settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past<'a> {
    pub(super) records: &'a [Record],
    pub(super) config: &'a Config,
}

/// The answer that is known for an intent's id.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownId {
    pub(super) verdict: Verdict,
    pub(super) gate: Option<Gate>,
}

/// The same in the making.
struct Known<'a> {
    verdict: Verdict,
    gate: Option<Gate>,
    key: Option<&'a PendingKey>,
    until: u64,
}

/// A pending target: its entry, and when it is due by all that came after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<'a> {
    pub(super) entry: &'a Pending,
    pub(super) due: Timestamp,
    pub(super) expires: Timestamp,
}

impl<'a> Past<'a> {
    pub(super) fn charges(self) -> impl Iterator<Item = (Timestamp, &'a Charge)> {
        self.records.iter().filter_map(|r| match &r.entry {
            Entry::Charge(charge) => Some((r.at, charge)),
            _ => None,
        })
    }

    pub(super) fn charge(self, attempt: AttemptId) -> Option<(Timestamp, &'a Charge)> {
        self.charges().find(|(_, c)| c.attempt == attempt)
    }

    pub(super) fn last_attempt(self) -> AttemptId {
        self.charges().map(|(_, c)| c.attempt).max().unwrap_or(0)
    }

    pub(super) fn outcome(self, of: AttemptId) -> Option<(Timestamp, Outcome)> {
        self.records.iter().find_map(|r| match r.entry {
            Entry::Outcome {
                attempt, outcome, ..
            } if attempt == of => Some((r.at, outcome)),
            _ => None,
        })
    }

    /// The newest real attempt of a target, if it has not ended.
    fn open(self, target: &str) -> Option<AttemptId> {
        let real = |(_, c): &(Timestamp, &Charge)| c.target == target && !c.shadow;
        let (_, newest) = self.charges().filter(real).last()?;
        self.outcome(newest.attempt)
            .is_none()
            .then_some(newest.attempt)
    }

    /// From the charge until the engine's answer is known.
    pub(super) fn in_progress(self, target: &str) -> Option<AttemptId> {
        self.open(target)
            .filter(|attempt| self.course(*attempt).watched.is_none())
    }

    /// From then until the end.
    pub(super) fn watched(self, target: &str) -> Option<AttemptId> {
        self.open(target)
            .filter(|attempt| self.course(*attempt).watched.is_some())
    }

    /// How long a charge is remembered, ms.
    fn memory_ms(self) -> u64 {
        let targets = self.config.targets.values().chain([&self.config.defaults]);
        let longest = targets.map(|t| {
            let cooldown_ms = t.limits.cooldown_ms.max(t.recovery.cooldown_max_ms);
            cooldown_ms.max(t.limits.window_ms)
        });
        longest
            .chain([self.config.host_window_ms, WEEK_MS])
            .max()
            .expect("there are some")
    }

    /// Attempts in a row that did not cure, of those that are remembered.
    pub(super) fn uncured(self, target: &str) -> u32 {
        let memory_ms = self.memory_ms();
        let mut charged: BTreeMap<AttemptId, Timestamp> = BTreeMap::new();
        let mut uncured = 0;
        for record in self.records {
            match &record.entry {
                Entry::Charge(c) if c.target == target => {
                    charged.insert(c.attempt, record.at);
                }
                Entry::Outcome {
                    attempt, outcome, ..
                } if charged.contains_key(attempt) => match outcome {
                    Outcome::Recovered => uncured = 0,
                    Outcome::Relapsed | Outcome::Failed => uncured += 1,
                    Outcome::Aborted | Outcome::Unknown | Outcome::Stopped => {}
                },
                Entry::Released {
                    target: freed,
                    uncured: left,
                    ..
                } if freed == target => uncured = *left,
                _ => {}
            }
            let is_old = |at: &Timestamp| record.at.since(*at) > memory_ms;
            if charged.values().any(is_old) {
                charged.retain(|_, at| !is_old(at));
                if charged.is_empty() {
                    uncured = 0;
                }
            }
        }
        uncured
    }

    pub(super) fn is_held(self, of: &str) -> bool {
        let mut is_held = false;
        for record in self.records {
            match &record.entry {
                Entry::Held { target, .. } if target == of => is_held = true,
                Entry::Released { target, .. } if target == of => is_held = false,
                _ => {}
            }
        }
        is_held
    }

    /// None where nothing is paused; else the end of what lasts longest, where
    /// it has one.
    pub(super) fn paused(self, of: &str, now: Timestamp) -> Option<Option<Timestamp>> {
        let (mut own, mut all) = (None, None);
        for record in self.records {
            match &record.entry {
                Entry::Paused { target, until, .. } => match target {
                    Some(name) if name == of => own = Some(*until),
                    Some(_) => {}
                    None => all = Some(*until),
                },
                Entry::Resumed { target } => {
                    if target.is_none() {
                        all = None;
                    }
                    if target.as_ref().is_none_or(|name| name == of) {
                        own = None;
                    }
                }
                _ => {}
            }
        }
        let on = [own, all].into_iter().flatten();
        let on = on.filter(|until| until.is_none_or(|until| now < until));
        on.max_by_key(|until| until.map_or(u64::MAX, |until| until.0))
    }

    /// The moment at which no window is open for a target any more; none where none
    /// is open now.
    pub(super) fn window_until(self, of: &str, wall_ms: u64) -> Option<u64> {
        let mut at = wall_ms;
        loop {
            let mut later = at;
            for window in &self.config.windows {
                let mut patterns = window.targets.iter();
                let is_its = window.targets.is_empty() || patterns.any(|p| is_like(p, of));
                for (from, until) in window.open.iter().filter(|_| is_its) {
                    if *from <= at && at < *until {
                        later = later.max(*until);
                    }
                }
            }
            if later == at {
                return (at > wall_ms).then_some(at);
            }
            at = later;
        }
    }

    /// Until when everything counts as spent after a damaged journal.
    pub(super) fn closed(self, now: Timestamp) -> Option<Timestamp> {
        let mut closed = None;
        for record in self.records {
            match &record.entry {
                Entry::FailClosed { until, .. } => closed = Some(*until),
                Entry::FailClosedEnded => closed = None,
                _ => {}
            }
        }
        closed.filter(|until| now < *until)
    }

    /// When restarts of a target (none: of any) were spent, oldest first. A dry
    /// run counts real ones and its own, a real decision real ones only.
    pub(super) fn spent(self, of: Option<&str>, is_dry_run: bool) -> Vec<Timestamp> {
        let of = |target: &str| of.is_none_or(|name| name == target);
        let mut spent: Vec<Timestamp> = self
            .records
            .iter()
            .filter_map(|r| match &r.entry {
                Entry::Charge(c) if of(&c.target) && (is_dry_run || !c.shadow) => Some(r.at),
                Entry::Imported {
                    target,
                    restarted_at,
                } if of(target) => Some((*restarted_at).min(r.at)),
                _ => None,
            })
            .collect();
        spent.sort();
        spent
    }

    /// Everything that is pending.
    pub(super) fn pendings(self) -> BTreeMap<&'a PendingKey, Waiting<'a>> {
        let mut all: BTreeMap<&'a PendingKey, Waiting<'a>> = BTreeMap::new();
        let mut names: Vec<(AttemptId, &str)> = Vec::new();
        for record in self.records {
            let name_of = |attempt: &AttemptId| {
                let mut charged = names.iter().rev();
                charged.find(|(of, _)| of == attempt).map(|(_, name)| *name)
            };
            match &record.entry {
                Entry::Restarted { attempt, .. } => {
                    let of = name_of(attempt);
                    wake(&mut all, record, |name, _| name.is_some() && name == of);
                }
                Entry::Outcome { attempt, .. } => {
                    let of = name_of(attempt);
                    let waits = Gate::InProgress;
                    wake(&mut all, record, |name, gate| {
                        gate == waits && name.is_some() && name == of
                    });
                }
                Entry::Resumed { target } => wake(&mut all, record, |name, gate| {
                    gate == Gate::Maintenance && (target.is_none() || name == target.as_deref())
                }),
                Entry::FailClosedEnded => {
                    wake(&mut all, record, |_, gate| gate == Gate::Window);
                }
                Entry::StormEnded { .. } => {
                    wake(&mut all, record, |_, gate| gate == Gate::Storm);
                    let waited = all.values_mut().filter(|w| w.entry.gate == Gate::Storm);
                    for waiting in waited.filter(|_| self.config.pending_max_ms.is_none()) {
                        waiting.expires = waiting.expires.max(record.at.plus(QUARTER_MS));
                    }
                }
                Entry::Charge(charge) => {
                    names.push((charge.attempt, &charge.target));
                    if let Cause::Match { rule, .. } = &charge.cause {
                        all.retain(|key, _| !is_charged(key, charge, rule));
                    }
                }
                Entry::PendingEnded { key, .. } => {
                    all.remove(key);
                }
                Entry::Pending(entry) => {
                    if let Some(was) = &entry.was {
                        all.remove(was);
                    }
                    let waiting = Waiting {
                        entry,
                        due: entry.due,
                        expires: entry.expires,
                    };
                    all.insert(&entry.key, waiting);
                }
                _ => {}
            }
        }
        all
    }

    /// What an id was answered, as of now.
    pub(super) fn known(self, id: &str, now: Timestamp) -> Option<KnownId> {
        let kept_ms = self.config.max_age_ms + GRACE_MS;
        let mut known: Option<Known<'a>> = None;
        for (number, record) in self.records.iter().enumerate() {
            known = known.filter(|known| record.at.0 < known.until);
            match &record.entry {
                Entry::Decided {
                    id: of,
                    decision,
                    gate,
                    line,
                    ..
                } if of == id => {
                    let ahead_ms = wall_ms(*line).saturating_sub(record.wall_ms).min(DAY_MS);
                    // What it waits in was written just before it.
                    let waits_in = self.records[..number].last().map(|r| &r.entry);
                    known = Some(Known {
                        verdict: *decision,
                        gate: *gate,
                        key: match waits_in {
                            Some(Entry::Pending(entry)) if *decision == Verdict::Pending => {
                                Some(&entry.key)
                            }
                            _ => None,
                        },
                        until: record.at.0 + kept_ms + ahead_ms,
                    });
                }
                Entry::Charge(charge) => {
                    let Cause::Match { rule, ids, .. } = &charge.cause else {
                        continue;
                    };
                    let waited = known.as_ref().and_then(|known| known.key);
                    let was = waited.is_some_and(|key| is_charged(key, charge, rule));
                    if was || (known.is_none() && ids.iter().any(|i| i == id)) {
                        let until = known.as_ref().filter(|_| was).map(|known| known.until);
                        known = Some(Known {
                            verdict: if charge.shadow {
                                Verdict::Refused
                            } else {
                                Verdict::Restart
                            },
                            gate: charge.shadow.then_some(Gate::DryRun),
                            key: None,
                            until: until.unwrap_or(record.at.0 + kept_ms),
                        });
                    }
                }
                Entry::PendingEnded { key, decision, .. } => {
                    if let Some(known) = &mut known
                        && known.key == Some(key)
                    {
                        known.verdict = *decision;
                        known.key = None;
                    }
                }
                Entry::Pending(Pending {
                    was: Some(was),
                    key,
                    ..
                }) => {
                    if let Some(known) = &mut known
                        && known.key == Some(was)
                    {
                        known.key = Some(key);
                    }
                }
                _ => {}
            }
        }
        let known = known.filter(|known| now.0 < known.until)?;
        let waiting = known.key.and_then(|key| self.pendings().get(key).copied());
        Some(match waiting {
            Some(waiting) => KnownId {
                verdict: Verdict::Pending,
                gate: Some(waiting.entry.gate),
            },
            None => KnownId {
                verdict: known.verdict,
                gate: known.gate,
            },
        })
    }

    /// The matches of one rule that count for a key, a line for each second:
    /// (seconds since the epoch, matches).
    pub(super) fn matches(self, of: &PendingKey, rule: &str) -> Vec<(u64, u32)> {
        // Under the keys that became this one in time.
        let mut all: Vec<(PendingKey, u64, u32)> = Vec::new();
        for record in self.records {
            match &record.entry {
                Entry::Decided {
                    target,
                    wire_id,
                    rule: its,
                    times,
                    ..
                } if its == rule => {
                    let key = match wire_id {
                        Some(wire_id) if target.is_empty() => PendingKey::Id(wire_id.clone()),
                        _ => PendingKey::Target(target.clone()),
                    };
                    all.extend(times.iter().map(|(s, n)| (key.clone(), *s, *n)));
                }
                Entry::Pending(Pending {
                    was: Some(was),
                    key,
                    ..
                }) => {
                    for (at, ..) in &mut all {
                        if *at == PendingKey::Id(was.as_str().to_owned()) {
                            *at = PendingKey::Target(key.as_str().to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        all.retain(|(key, ..)| key == of);
        all.into_iter().map(|(_, s, n)| (s, n)).collect()
    }

    /// When something last happened to the newest attempt of a target.
    pub(super) fn touched(self, target: &str) -> Timestamp {
        let real = |(_, c): &(Timestamp, &Charge)| c.target == target && !c.shadow;
        let Some((at, newest)) = self.charges().filter(real).last() else {
            return Timestamp(0);
        };
        let restarted = self.course(newest.attempt).watched.map(|w| w.at);
        let ended = self.outcome(newest.attempt).map(|(at, _)| at);
        [Some(at), restarted, ended]
            .into_iter()
            .flatten()
            .max()
            .expect("one")
    }
}

/// Those that `which` takes, by their name (none: only an id is known) and the
/// gate that refused them, need not wait longer.
fn wake(
    all: &mut BTreeMap<&PendingKey, Waiting<'_>>,
    record: &Record,
    which: impl Fn(Option<&str>, Gate) -> bool,
) {
    for (key, waiting) in all {
        let name = (!matches!(key, PendingKey::Id(_))).then(|| key.as_str());
        if which(name, waiting.entry.gate) {
            waiting.due = waiting.due.min(record.at);
        }
    }
}

/// Whether what waits so is what a charge answers.
fn is_charged(key: &PendingKey, charge: &Charge, by: &str) -> bool {
    match key {
        PendingKey::Target(name) => *name == charge.target && !charge.shadow_rule,
        PendingKey::Shadow(name) => *name == charge.target && charge.shadow_rule,
        PendingKey::Rule { target, rule } => *target == charge.target && rule == by,
        PendingKey::Id(_) => false,
    }
}

/// A pattern with `*` and `?`, tried out every way.
fn is_like(pattern: &str, text: &str) -> bool {
    let rest = |text: &str| text.chars().next().map(|c| text[c.len_utf8()..].to_owned());
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            is_like(&pattern[1..], text) || rest(text).is_some_and(|t| is_like(pattern, &t))
        }
        Some('?') => rest(text).is_some_and(|t| is_like(&pattern[1..], &t)),
        Some(c) => text.starts_with(c) && is_like(&pattern[c.len_utf8()..], &text[c.len_utf8()..]),
    }
}
