//! The row of gates, written down once more: early returns in the order of the
//! list, everything worked out from the past.

use policy::{
    ContainerState, Facts, Gate, HealthStatus, Limits, Now, PendingKey, Recovery, Relation,
    RuleRemedy, Seen, Sign, Timestamp, WallTime,
};

use super::Model;
use super::course::longest_ms;
use super::past::Past;
use crate::check::wall_ms;

/// What waits for a parent is looked at so often, ms.
const PARENT_LOOK_MS: u64 = 5_000;

/// What was not seen in time is looked at for longer so soon, ms.
const LONGER_LOOK_MS: u64 = 1_000;

/// Configuration and labels of one container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) is_enabled: bool,
    pub(super) is_protected: bool,
    pub(super) is_dry_run: bool,
    /// Before they grow.
    pub(super) limits: Limits,
    pub(super) recovery: Recovery,
}

/// A match that asks.
#[derive(Debug, Clone)]
pub(super) struct Match<'a> {
    pub(super) rule: &'a str,
    /// By the owner's word.
    pub(super) remedy: RuleRemedy,
    pub(super) line: WallTime,
    pub(super) sign: Sign,
    pub(super) threshold: Option<(u32, u64)>,
    pub(super) times: Vec<(u64, u32)>,
    /// Where else its earlier matches may be.
    pub(super) counted_as: Option<&'a PendingKey>,
    pub(super) is_arrival: bool,
    /// It has called for nothing yet.
    pub(super) is_news: bool,
    /// Under its charge already.
    pub(super) is_charged: bool,
}

/// One question to the row.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) past: Past<'a>,
    pub(super) now: Now,
    pub(super) facts: &'a Facts,
    /// None: a person asks.
    pub(super) matched: Option<Match<'a>>,
    pub(super) wire_id: Option<&'a str>,
}

/// A refusal, and until when where it is one by time.
pub(super) type Refusal = (Gate, Option<Timestamp>);

impl Past<'_> {
    pub(super) fn settings(self, facts: &Facts) -> Settings {
        let listed = self.config.targets.get(&facts.name);
        let base = listed.unwrap_or(&self.config.defaults);
        let may_loosen = self.config.labels_may_loosen;
        let label = |name: &str| facts.labels.get(name).map(String::as_str);
        let is_enabled = match (label("healer.enable"), listed) {
            (Some("false"), _) => false,
            (Some("true"), Some(listed)) => listed.enabled || may_loosen,
            (_, Some(listed)) => listed.enabled,
            (Some("true"), None) => true,
            _ => false,
        };
        let switch = |name: &str, base: bool| match label(name) {
            Some("true") => true,
            Some("false") => base && !may_loosen,
            _ => base,
        };
        let mut limits = base.limits;
        // What the world writes: `90s`, `1s`, `bad`.
        let given_s = label("healer.cooldown").and_then(|text| text.strip_suffix('s'));
        if let Some(seconds) = given_s.and_then(|text| text.parse::<u64>().ok())
            && (may_loosen || seconds * 1_000 >= limits.cooldown_ms)
        {
            limits.cooldown_ms = seconds * 1_000;
        }
        let given = label("healer.max_per_window").and_then(|text| text.parse::<u32>().ok());
        if let Some(max) = given.filter(|max| *max > 0)
            && (may_loosen || max <= limits.max_per_window)
        {
            limits.max_per_window = max;
        }
        Settings {
            is_enabled,
            is_protected: switch("healer.protect", base.protected),
            is_dry_run: switch("healer.dry_run", base.dry_run || self.config.dry_run),
            limits,
            recovery: base.recovery,
        }
    }
}

/// The cooldown after so many attempts in a row that did not cure.
pub(super) fn grown(limits: Limits, recovery: Recovery, uncured: u32) -> Limits {
    let ceiling_ms = recovery.cooldown_max_ms.max(limits.cooldown_ms);
    let mut cooldown_ms = limits.cooldown_ms;
    for _ in 0..uncured.min(64) {
        cooldown_ms =
            (cooldown_ms * u64::from(recovery.backoff.max(1_000)) / 1_000).min(ceiling_ms);
    }
    Limits {
        cooldown_ms,
        ..limits
    }
}

/// Older than a line may be on its arrival.
pub(super) fn is_too_old(line: WallTime, now: Now, max_age_ms: u64) -> bool {
    let age_ms = match line.nanos {
        Some(_) => now.wall_ms.saturating_sub(wall_ms(line)),
        None => (now.wall_ms / 1_000).saturating_sub(line.secs) * 1_000,
    };
    age_ms > max_age_ms
}

/// The match's time is the container's end, which is true until its next start.
pub(super) fn is_an_end(sign: Sign) -> bool {
    matches!(sign, Sign::Ended | Sign::EndedUnseen)
}

pub(super) fn is_before(line: WallTime, start: WallTime) -> bool {
    match (line.nanos, start.nanos) {
        (Some(l), Some(s)) => (line.secs, l) < (start.secs, s),
        _ => line.secs < start.secs,
    }
}

impl Question<'_> {
    /// Who it is, what the line is worth: the gates that need no person's word.
    pub(super) fn by_container(&self) -> Option<Refusal> {
        let facts = self.facts;
        let settings = self.past.settings(facts);
        if settings.is_protected || facts.is_self_or_peer {
            return Some((Gate::Protected, None));
        }
        let is_of_swarm = |label: &String| label.starts_with("com.docker.swarm.");
        if facts.labels.keys().any(is_of_swarm) {
            return Some((Gate::Orchestrated, None));
        }
        if self.matched.is_some() && !settings.is_enabled {
            return Some((Gate::NotEnabled, None));
        }
        if let Some(matched) = &self.matched {
            let max_age_ms = self.past.config.max_age_ms;
            if matched.is_arrival
                && !is_an_end(matched.sign)
                && is_too_old(matched.line, self.now, max_age_ms)
            {
                return Some((Gate::Stale, None));
            }
            let eased_at = self.past.eased_at(facts).filter(|_| !matched.is_charged);
            let since = [facts.started_at, eased_at];
            let is_old = |since: WallTime| is_before(matched.line, since);
            if !self.is_told_of_watch() && since.into_iter().flatten().any(is_old) {
                return Some((Gate::Stale, None));
            }
        }
        let is_another = self.wire_id.is_some_and(|id| !facts.id.starts_with(id));
        let sign = self
            .matched
            .as_ref()
            .map(|matched| (matched.sign, matched.line));
        if is_another {
            return Some((Gate::NotRunning, None));
        }
        if let Some(until) = self.stopped_until() {
            return Some((Gate::NotRunning, Some(until)));
        }
        if let Some((sign, ended_at)) = sign
            && is_an_end(sign)
        {
            let is_so =
                facts.state == ContainerState::Exited && facts.finished_at == Some(ended_at);
            return (!is_so).then_some((Gate::NotEnded, None));
        }
        let is_down = facts.state != ContainerState::Running && !self.is_told_of_watch();
        is_down.then_some((Gate::NotRunning, None))
    }

    /// Until when what runs is taken for being stopped, by somebody else: a match that would
    /// restart it waits for that.
    fn stopped_until(&self) -> Option<Timestamp> {
        let facts = self.facts;
        let asked_at = facts.asked_to_end_at?;
        let timeout_s = facts.stop_timeout_s.unwrap_or(10);
        let until = asked_at.plus(u64::try_from(timeout_s).unwrap_or(600) * 1_000 + 10_000);
        let would_restart = self.matched.as_ref()?.remedy == RuleRemedy::Restart;
        let has_called = |attempt| !self.past.course(attempt).sent.is_empty();
        let is_ours = self.past.in_progress(&facts.name).is_some_and(has_called);
        let is_so = facts.state == ContainerState::Running && would_restart && !is_ours;
        (is_so && self.now.at < until).then_some(until)
    }

    /// What is watched is told to people whatever has become of the container since.
    fn is_told_of_watch(&self) -> bool {
        self.matched.as_ref().is_some_and(|matched| {
            matched.remedy != RuleRemedy::Restart && matches!(matched.sign, Sign::Watched { .. })
        })
    }

    pub(super) fn by_pause(&self) -> Option<Refusal> {
        let name = &self.facts.name;
        if self.past.config.stopped.contains(name) {
            return Some((Gate::Maintenance, None));
        }
        let label = self.facts.labels.get("healer.maintenance");
        if label.is_some_and(|value| value == "true") {
            return Some((Gate::Maintenance, None));
        }
        let pause = self.past.paused(name, self.now.at);
        let open = self.past.window_until(name, self.now.wall_ms);
        let open = open.map(|until| self.now.at.plus(until - self.now.wall_ms));
        match (pause, open) {
            (None, None) => None,
            (Some(None), _) => Some((Gate::Maintenance, None)),
            (Some(pause), open) => Some((Gate::Maintenance, pause.max(open))),
            (None, open) => Some((Gate::Maintenance, open)),
        }
    }

    pub(super) fn by_hold(&self) -> Option<Refusal> {
        let is_held = self.past.is_held(&self.facts.name);
        is_held.then_some((Gate::Held, None))
    }

    pub(super) fn by_attempt(&self) -> Option<Refusal> {
        let open = self.past.in_progress(&self.facts.name)?;
        let (_, charge) = self.past.charge(open).expect("it was charged");
        let until = self.now.at.plus(longest_ms(charge));
        Some((Gate::InProgress, Some(until)))
    }

    pub(super) fn by_threshold(&self) -> Option<Refusal> {
        let matched = self.matched.as_ref()?;
        let (count, within_ms) = matched.threshold?;
        let name = PendingKey::Target(self.facts.name.clone());
        let mut all = self.past.matches(&name, matched.rule);
        if let Some(other) = matched.counted_as.filter(|other| **other != name) {
            all.extend(self.past.matches(other, matched.rule));
        }
        all.extend(&matched.times);
        let from = self.facts.started_at.map_or(0, |start| start.secs);
        all.retain(|(second, _)| *second >= from);
        let mut new: Vec<u64> = matched.times.iter().map(|(second, _)| *second).collect();
        new.push(matched.line.secs);
        let within_s = within_ms.div_ceil(1_000);
        // The fullest span that holds a new match, wherever it ends.
        let most = all.iter().map(|(end, _)| {
            let span = end.saturating_sub(within_s)..=*end;
            if !new.iter().any(|second| span.contains(second)) {
                return 0;
            }
            let inside = all.iter().filter(|(second, _)| span.contains(second));
            inside.map(|(_, n)| u64::from(*n)).sum()
        });
        (most.max().unwrap_or(0) < u64::from(count)).then_some((Gate::BelowThreshold, None))
    }

    /// All of these in a row.
    pub(super) fn before_budget(&self) -> Option<Refusal> {
        self.by_container()
            .or_else(|| self.by_pause())
            .or_else(|| self.by_hold())
            .or_else(|| self.by_attempt())
            .or_else(|| self.by_threshold())
    }

    pub(super) fn by_storm(&self) -> Option<Refusal> {
        let storm = self.past.storm()?;
        let model = Model {
            past: self.past,
            now: self.now,
        };
        Some((Gate::Storm, Some(model.storm_until(storm.last_match))))
    }

    /// What a remedy that restarts nothing passes.
    pub(super) fn told_refusal(&self) -> Option<Refusal> {
        let refusal = self.by_container().or_else(|| self.by_pause());
        let remedy = self.matched.as_ref().map(|matched| matched.remedy);
        let counts = remedy == Some(RuleRemedy::Escalate);
        refusal.or_else(|| counts.then(|| self.by_threshold()).flatten())
    }

    /// What it needs and has not; a person knows what they ask for.
    pub(super) fn by_parents(&self) -> Option<Refusal> {
        self.matched.as_ref()?;
        let (mut has_to_wait, mut is_unknown) = (false, false);
        for parent in &self.facts.parents {
            if (parent.relation, parent.seen) == (Relation::Network, Seen::Gone) {
                return Some((Gate::Dependency, None));
            }
            has_to_wait |= self.past.is_being_healed(&parent.name, self.now.at);
            match parent.seen {
                Seen::Found { state, health } => {
                    has_to_wait |= state != ContainerState::Running;
                    has_to_wait |= health.is_some_and(|health| health != HealthStatus::Healthy);
                }
                Seen::Unknown => is_unknown = true,
                // What has done its work, and what is not there, is not waited for.
                Seen::Done | Seen::Gone => {}
            }
        }
        let wait_ms = match (has_to_wait, is_unknown) {
            (true, _) => PARENT_LOOK_MS,
            (false, true) => LONGER_LOOK_MS,
            (false, false) => return None,
        };
        Some((Gate::Dependency, Some(self.now.at.plus(wait_ms))))
    }

    /// Parents, storm, cooldown, window, host, by the limits in force.
    pub(super) fn by_budget(&self, limits: Limits) -> Option<Refusal> {
        if let Some(refusal) = self.by_parents() {
            return Some(refusal);
        }
        if let Some(refusal) = self.by_storm() {
            return Some(refusal);
        }
        let (past, now) = (self.past, self.now.at);
        let is_dry_run = past.settings(self.facts).is_dry_run;
        let own = past.spent(Some(&self.facts.name), is_dry_run);
        if let Some(last) = own.last()
            && now.since(*last) < limits.cooldown_ms
        {
            return Some((Gate::Cooldown, Some(last.plus(limits.cooldown_ms))));
        }
        if let Some(until) = past.closed(now) {
            return Some((Gate::Window, Some(until)));
        }
        if let Some(free) = full(&own, now, limits.max_per_window, limits.window_ms) {
            return Some((Gate::Window, Some(free)));
        }
        let config = past.config;
        let host = past.spent(None, is_dry_run);
        let free = full(&host, now, config.host_max, config.host_window_ms)?;
        Some((Gate::HostLimit, Some(free)))
    }
}

/// When a window that is full now has room again.
fn full(spent: &[Timestamp], now: Timestamp, max: u32, window_ms: u64) -> Option<Timestamp> {
    let within: Vec<&Timestamp> = spent
        .iter()
        .filter(|at| now.since(**at) < window_ms)
        .collect();
    let max = max as usize;
    (within.len() >= max).then(|| within[within.len() - max].plus(window_ms))
}
