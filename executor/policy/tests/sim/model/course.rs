//! What is to be done about a match by the owner's word, and how far an attempt has come
//! with it.

use policy::{
    AttemptId, Call, Cause, Charge, Entry, ExecEnd, Facts, Measure, PendingKey, Remedy, RuleRemedy,
    Sign, Timestamp, WallTime,
};

use super::past::Past;

/// A command's own time and so much more is waited for its end, ms.
const MARGIN_MS: u64 = 10_000;

/// What is watched: since when, and what runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) at: Timestamp,
    pub(super) wall_ms: u64,
    pub(super) started_at: WallTime,
    /// A command was run; the container goes on as it did.
    pub(super) by_exec: bool,
}

/// One measure of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// Its place in the plan.
    pub(super) place: usize,
    pub(super) begun: Timestamp,
    /// Each call with both its times.
    pub(super) sent: Vec<(Call, Timestamp, u64)>,
    pub(super) watched: Option<Watched>,
}

/// A measure as the table sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Restart,
    Start,
    Stop,
    Exec,
}

impl Watched {
    /// A line from then on speaks against it.
    pub(super) fn since(&self) -> WallTime {
        if !self.by_exec {
            return self.started_at;
        }
        let below = u32::try_from(self.wall_ms % 1_000).expect("below 1,000");
        WallTime {
            secs: self.wall_ms / 1_000,
            nanos: Some(below * 1_000_000),
        }
    }
}

impl Course {
    pub(super) fn kind(&self, charge: &Charge) -> Kind {
        let ended = matches!(
            charge.cause,
            Cause::Match {
                sign: Sign::Ended,
                ..
            }
        );
        match charge.plan.get(self.place) {
            Some(Measure::Exec(_)) => Kind::Exec,
            Some(Measure::Stop) => Kind::Stop,
            _ if ended => Kind::Start,
            _ => Kind::Restart,
        }
    }

    /// The next measure, where a command has done nothing but run.
    pub(super) fn next(&self, charge: &Charge) -> Option<usize> {
        let next = self.place + 1;
        let is_by_exec = self.kind(charge) == Kind::Exec;
        let is_anew = self.watched.is_some_and(|w| !w.by_exec);
        let is_call = !matches!(charge.plan.get(next), None | Some(Measure::Escalate));
        (is_by_exec && !is_anew && is_call).then_some(next)
    }

    /// It is a person's turn after this.
    pub(super) fn is_before_person(&self, charge: &Charge) -> bool {
        charge.plan.get(self.place + 1) == Some(&Measure::Escalate)
    }
}

/// The longest call that a charge may make, ms.
pub(super) fn longest_ms(charge: &Charge) -> u64 {
    let mut longest_ms = charge.stop_wait_ms;
    for measure in &charge.plan {
        if let Measure::Exec(exec) = measure {
            longest_ms = longest_ms.max(exec.timeout_ms + MARGIN_MS);
        }
    }
    longest_ms
}

impl Past<'_> {
    /// By the settings as they are now: what is named wins, `*` speaks of restarts only,
    /// and what has ended can only be started.
    pub(super) fn wanted(self, target: &str, rule: &str, own: RuleRemedy, sign: Sign) -> Remedy {
        let listed = self.config.targets.get(target);
        let remedies = &listed.unwrap_or(&self.config.defaults).remedies;
        let set = match (remedies.by_rule.get(rule), &remedies.other, own) {
            (Some(named), _, _) => Some(named.clone()),
            (None, Some(other), RuleRemedy::Restart) => Some(other.clone()),
            _ => None,
        };
        if sign == Sign::EndedUnseen {
            // Nobody knows whether somebody stopped it: a person is told at most.
            return match set {
                Some(Remedy::Note) => Remedy::Note,
                _ => Remedy::Escalate,
            };
        }
        let Some(set) = set else {
            return match own {
                RuleRemedy::Restart => Remedy::Heal(vec![Measure::Restart]),
                RuleRemedy::Escalate => Remedy::Escalate,
                RuleRemedy::Note => Remedy::Note,
            };
        };
        let Remedy::Heal(plan) = &set else {
            return set;
        };
        if sign != Sign::Ended {
            return set;
        }
        if !plan.contains(&Measure::Restart) {
            return Remedy::Escalate;
        }
        let is_left =
            |measure: &&Measure| **measure == Measure::Restart || **measure == Measure::Escalate;
        Remedy::Heal(plan.iter().filter(is_left).cloned().collect())
    }

    /// Whether a restart or anything like it may come of it, at any target.
    pub(super) fn may_heal(self, rule: &str, own: RuleRemedy, sign: Sign) -> bool {
        let mut heals = own == RuleRemedy::Restart;
        for target in self.config.targets.values().chain([&self.config.defaults]) {
            heals |= matches!(target.remedies.by_rule.get(rule), Some(Remedy::Heal(_)));
        }
        heals && sign != Sign::EndedUnseen
    }

    /// Whether that is so at every target.
    pub(super) fn always_heals(self, rule: &str, own: RuleRemedy, sign: Sign) -> bool {
        let mut names: Vec<&str> = self.config.targets.keys().map(String::as_str).collect();
        // One that is not listed.
        names.push("");
        let heals = |name: &&str| matches!(self.wanted(name, rule, own, sign), Remedy::Heal(_));
        names.iter().all(heals)
    }

    pub(super) fn course(self, of: AttemptId) -> Course {
        let (charged_at, charge) = self.charge(of).expect("it was charged");
        let mut course = Course {
            place: 0,
            begun: charged_at,
            sent: Vec::new(),
            watched: None,
        };
        for record in self.records {
            let watched = |started_at, by_exec| {
                Some(Watched {
                    at: record.at,
                    wall_ms: record.wall_ms,
                    started_at,
                    by_exec,
                })
            };
            match record.entry {
                Entry::NextMeasure { attempt, step, .. } if attempt == of => {
                    course = Course {
                        place: step,
                        begun: record.at,
                        sent: Vec::new(),
                        watched: None,
                    };
                }
                Entry::Sent { attempt, call } if attempt == of => {
                    course.sent.push((call, record.at, record.wall_ms));
                }
                Entry::Executed { attempt, .. } if attempt == of => {
                    course.watched = watched(charge.started_at, true);
                }
                Entry::Restarted {
                    attempt,
                    started_at,
                } if attempt == of => course.watched = watched(started_at, false),
                _ => {}
            }
        }
        course
    }

    /// Lines from before then speak of what a command has dealt with.
    pub(super) fn eased_at(self, facts: &Facts) -> Option<WallTime> {
        let real = |(_, c): &(Timestamp, &Charge)| c.target == facts.name && !c.shadow;
        let (_, newest) = self.charges().filter(real).last()?;
        let watched = self.course(newest.attempt).watched.filter(|w| w.by_exec)?;
        let outcome = self.outcome(newest.attempt).map(|(_, outcome)| outcome);
        let is_good = matches!(outcome, None | Some(policy::Outcome::Recovered));
        let is_its =
            newest.container_id == facts.id && facts.started_at == Some(watched.started_at);
        (is_good && is_its).then(|| watched.since())
    }

    /// A parent is being healed, or has been until just now, or waits for it.
    pub(super) fn is_being_healed(self, name: &str, now: Timestamp) -> bool {
        let key = PendingKey::Target(name.to_owned());
        let recovery = self.config.target(name).recovery;
        let settles_ms = recovery.start_delay_ms + recovery.stable_for_ms;
        let is_fresh = |attempt| {
            let watched = self.course(attempt).watched;
            watched.is_some_and(|watched| now < watched.at.plus(settles_ms))
        };
        self.in_progress(name).is_some()
            || self.watched(name).is_some_and(is_fresh)
            || self.pendings().contains_key(&key)
    }
}

/// A restart alone needs no plan.
pub(super) fn plan_of(remedy: Remedy) -> Vec<Measure> {
    match remedy {
        Remedy::Heal(plan) if plan.len() == 1 && plan[0] == Measure::Restart => Vec::new(),
        Remedy::Heal(plan) => plan,
        Remedy::Note | Remedy::Escalate => Vec::new(),
    }
}

pub(super) fn kind_of(remedy: &Remedy) -> RuleRemedy {
    match remedy {
        Remedy::Note => RuleRemedy::Note,
        Remedy::Escalate => RuleRemedy::Escalate,
        Remedy::Heal(_) => RuleRemedy::Restart,
    }
}

/// The end of a command in a step.
pub(super) fn executed_of(entries: &[Entry]) -> Option<ExecEnd> {
    entries.iter().find_map(|entry| match entry {
        Entry::Executed { end, .. } => Some(*end),
        _ => None,
    })
}

/// Where an attempt goes on, in a step.
pub(super) fn next_of(entries: &[Entry], of: AttemptId) -> Option<usize> {
    entries.iter().find_map(|entry| match entry {
        Entry::NextMeasure { attempt, step, .. } if *attempt == of => Some(*step),
        _ => None,
    })
}
