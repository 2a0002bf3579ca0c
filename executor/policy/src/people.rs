//! Pauses, and the end of pauses and holds. What a person says is durable.

use crate::draft::decided;
use crate::figures::{limit, with_reason};
use crate::{Entry, Event, Now, PAUSES_MAX, PendingKey, Policy, Step, Verdict};

/// What `healer resume` names in its answer; the rest is a number.
const NAMED_MAX: usize = 16;

impl Policy {
    pub(crate) fn pause(
        &self,
        now: Now,
        target: Option<&str>,
        for_ms: Option<u64>,
        reason: &str,
    ) -> Step {
        let mut step = Step::default();
        let paused = |t: &&crate::state::Target| t.is_paused(now.at);
        let count = self.state.targets.values().filter(paused).count();
        let whose = target.map_or("all targets".into(), |name| format!("'{name}'"));
        if target.is_some() && count >= PAUSES_MAX {
            let detail = format!("{PAUSES_MAX} targets are paused already: pause all instead");
            step.answer = Some(decided(Verdict::Refused, None, detail));
            return step;
        }
        step.durable = true;
        step.entries.push(Entry::Paused {
            target: target.map(str::to_owned),
            until: for_ms.map(|ms| now.at.plus(ms)),
            reason: reason.to_owned(),
        });
        let detail = match for_ms {
            Some(ms) => format!("Paused {whose} for {}", limit(ms)),
            None => format!("Paused {whose} until `healer resume`"),
        };
        let detail = with_reason(detail, reason);
        step.answer = Some(decided(Verdict::Noted, None, detail));
        step
    }

    pub(crate) fn resume(&self, now: Now, target: Option<&str>, by: &str) -> Step {
        let mut step = Step::default();
        let mut ended = Vec::new();
        let of = |name: &str| target.is_none_or(|one| one == name);
        let is_all_paused = self.state.pause.as_ref().is_some_and(|p| p.is_on(now.at));
        let all_paused = target.is_none() && is_all_paused;
        let paused: Vec<&String> = self
            .state
            .targets
            .iter()
            .filter(|(name, t)| of(name) && t.is_paused(now.at))
            .map(|(name, _)| name)
            .collect();
        if all_paused || !paused.is_empty() {
            step.entries.push(Entry::Resumed {
                target: target.map(str::to_owned),
            });
            if all_paused {
                ended.push("the pause of all targets".to_owned());
            }
            ended.extend(paused.iter().map(|name| format!("the pause of '{name}'")));
        }
        for (name, state) in &self.state.targets {
            if state.held.is_some() && of(name) {
                step.entries.push(Entry::Released {
                    target: name.clone(),
                    by: by.to_owned(),
                    uncured: 0,
                });
                step.tell(Event::Released {
                    target: name.clone(),
                    by: by.to_owned(),
                });
                ended.push(format!("the hold of '{name}'"));
            }
        }
        if target.is_none() && self.is_closed(now) {
            step.entries.push(Entry::FailClosedEnded);
            ended.push("counting everything as spent after the journal's damage".into());
        }
        if target.is_none() && self.state.storms.on.is_some() {
            self.end_storm(&mut step, by);
            ended.push("the storm".into());
        }
        step.durable = !step.entries.is_empty();
        let detail = match (&*ended, target) {
            ([], Some(name)) if is_all_paused => format!(
                "'{name}' itself is neither paused nor held; all targets are paused: \
                 `healer resume` without a target ends that"
            ),
            ([], Some(name)) if self.state.storms.on.is_some() => format!(
                "'{name}' itself is neither paused nor held; restarts of all targets are \
                 stopped by a storm: `healer resume` without a target ends that"
            ),
            ([], Some(name)) => format!("'{name}' is neither paused nor held"),
            ([], None) => "Nothing is paused or held".into(),
            (ended, _) if ended.len() > NAMED_MAX => {
                let more = ended.len() - NAMED_MAX;
                format!("Ended {} and {more} more", ended[..NAMED_MAX].join(", "))
            }
            (ended, _) => format!("Ended {}", ended.join(", ")),
        };
        step.answer = Some(decided(Verdict::Noted, None, detail));
        step
    }

    /// Names that targets are known by: those of the configuration, and those that something was
    /// charged, held or waits for. A pause alone makes no name known: it may be mistyped.
    pub fn known_names(&self) -> impl Iterator<Item = &str> {
        let is_met = |t: &crate::state::Target| !t.spent.is_empty() || t.held.is_some();
        let met = self.state.targets.iter().filter(move |(_, t)| is_met(t));
        let waits = self.state.pendings.keys().filter_map(|key| match key {
            PendingKey::Target(name) => Some(name),
            _ => None,
        });
        let listed = self.config.targets.keys();
        let names = listed.chain(met.map(|(name, _)| name)).chain(waits);
        names.map(String::as_str)
    }

    /// Names that [`Policy::handle_resume`] ends a pause or a hold of.
    pub fn resumable_names(&self, now: Now) -> impl Iterator<Item = &str> {
        let ends = move |t: &crate::state::Target| t.held.is_some() || t.is_paused(now.at);
        let targets = self.state.targets.iter().filter(move |(_, t)| ends(t));
        targets.map(|(name, _)| name.as_str())
    }

    pub(crate) fn is_closed(&self, now: Now) -> bool {
        let closed = self.state.fail_closed.as_ref();
        closed.is_some_and(|closed| now.at < closed.until)
    }
}
