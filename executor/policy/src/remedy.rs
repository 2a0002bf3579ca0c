//! What is done about a match: by its rule's own remedy, or as the host's owner has set it
//! for a target and a rule. Never as the wire says.
//!
//! A remedy that heals is a *plan*: measures in their order, all under one charge. Commands
//! come first, each once; then a restart or a stop, or none; then, or instead, a person. The
//! next measure is taken when the one before it did not cure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::{Call, Cause, Charge, RuleRemedy, STOP_MARGIN_MS, Sign};

/// Most measures of one remedy.
pub const MEASURES_MAX: usize = 8;

/// A command in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// As the configuration calls it; what people are told.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How long it may run, milliseconds.
    pub timeout_ms: u64,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Restart the container; start it where it has ended by itself.
    Restart,
    /// Stop the container: it stays down, and is held.
    Stop,
    /// Run a command in it.
    Exec(Exec),
    /// Hold it for a person.
    Escalate,
}

/// What a match calls for in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Count it.
    Note,
    /// Tell a person, and hold it.
    Escalate,
    /// These, in their order; never empty.
    Heal(Vec<Measure>),
}

/// The remedies that the host's owner has set for one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remedies {
    /// By the rule's or the trigger's name, whatever the rule itself calls for.
    pub by_rule: BTreeMap<String, Remedy>,
    /// For all others that call for a restart.
    pub other: Option<Remedy>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecEnd {
    /// Exit code 0: whether it cured is seen by watching.
    Done,
    /// Another exit code, out of time, or it could not be run at all.
    Failed,
    /// Nobody knows; it is not run again, and watching tells whether it cured.
    Unknown,
}

/// A measure as an attempt takes it; shown in a few words: `exec 'reload'`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MeasureView {
    Restart,
    /// Of what has ended by itself, in place of a restart.
    Start,
    Stop,
    /// By the command's name.
    Exec(String),
    Escalate,
}

impl Measure {
    /// In a few words: `exec 'reload'`.
    pub fn in_words(&self) -> String {
        MeasureView::from(self).to_string()
    }
}

impl From<&Measure> for MeasureView {
    fn from(measure: &Measure) -> Self {
        match measure {
            Measure::Restart => Self::Restart,
            Measure::Stop => Self::Stop,
            Measure::Exec(exec) => Self::Exec(exec.name.clone()),
            Measure::Escalate => Self::Escalate,
        }
    }
}

impl fmt::Display for MeasureView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart => f.write_str("restart"),
            Self::Start => f.write_str("start"),
            Self::Stop => f.write_str("stop"),
            Self::Exec(name) => write!(f, "exec '{name}'"),
            Self::Escalate => f.write_str("escalate"),
        }
    }
}

impl Serialize for MeasureView {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Remedy {
    /// What kind it is, in the rules' own words.
    pub fn kind(&self) -> RuleRemedy {
        match self {
            Self::Note => RuleRemedy::Note,
            Self::Escalate => RuleRemedy::Escalate,
            Self::Heal(_) => RuleRemedy::Restart,
        }
    }

    /// As a charge has it: a restart alone needs no plan.
    pub(crate) fn plan(self) -> Vec<Measure> {
        match self {
            Self::Heal(measures) if measures != [Measure::Restart] => measures,
            Self::Heal(_) | Self::Note | Self::Escalate => Vec::new(),
        }
    }
}

impl Remedies {
    /// What a match of `rule` calls for, whose own remedy is `own`.
    pub fn of(&self, rule: &str, own: RuleRemedy, sign: Sign) -> Remedy {
        let set = self.by_rule.get(rule);
        let set = set.or(self.other.as_ref().filter(|_| own.is_restart()));
        match set {
            // A person may have stopped it.
            set if sign == Sign::EndedUnseen => match set {
                Some(Remedy::Note) => Remedy::Note,
                _ => Remedy::Escalate,
            },
            Some(Remedy::Heal(measures)) if sign == Sign::Ended => ended(measures),
            Some(remedy) => remedy.clone(),
            None => match own {
                RuleRemedy::Restart => Remedy::Heal(vec![Measure::Restart]),
                RuleRemedy::Escalate => Remedy::Escalate,
                RuleRemedy::Note => Remedy::Note,
            },
        }
    }
}

/// What is left of a plan for a container that has ended by itself: nothing can be run in
/// it, and nothing is left to stop.
fn ended(measures: &[Measure]) -> Remedy {
    let left = |m: &&Measure| matches!(m, Measure::Restart | Measure::Escalate);
    let left: Vec<Measure> = measures.iter().filter(left).cloned().collect();
    match left.first() {
        Some(Measure::Restart) => Remedy::Heal(left),
        _ => Remedy::Escalate,
    }
}

impl Charge {
    /// The measure at this place of the plan; without a plan one restart is all.
    pub(crate) fn measure(&self, step: usize) -> Option<&Measure> {
        match step {
            0 if self.plan.is_empty() => Some(&Measure::Restart),
            step => self.plan.get(step),
        }
    }

    /// Its measures, in order.
    pub(crate) fn measures(&self) -> Vec<MeasureView> {
        let measures = (0..).map_while(|step| Some((step, self.measure(step)?)));
        measures
            .map(|(step, measure)| match measure {
                Measure::Restart if self.call(step) == Call::Start => MeasureView::Start,
                _ => measure.into(),
            })
            .collect()
    }

    /// The call that takes it.
    pub(crate) fn call(&self, step: usize) -> Call {
        match self.measure(step) {
            Some(Measure::Exec(_)) => Call::Exec,
            Some(Measure::Stop) => Call::Stop,
            Some(Measure::Restart | Measure::Escalate) | None => match &self.cause {
                Cause::Match {
                    sign: Sign::Ended, ..
                } => Call::Start,
                Cause::Match { .. } | Cause::Person => Call::Restart,
            },
        }
    }

    /// The command at this place, where it is one.
    pub(crate) fn exec(&self, step: usize) -> Option<&Exec> {
        match self.measure(step)? {
            Measure::Exec(exec) => Some(exec),
            Measure::Restart | Measure::Stop | Measure::Escalate => None,
        }
    }

    /// How long any of its calls may take, ms.
    pub(crate) fn longest_call_ms(&self) -> u64 {
        let execs = (0..self.plan.len()).filter_map(|step| self.exec(step));
        let longest = execs.map(Exec::wait_ms).max().unwrap_or(0);
        longest.max(self.stop_wait_ms)
    }
}

impl Exec {
    /// Its time and a margin for the engine, ms.
    pub(crate) fn wait_ms(&self) -> u64 {
        self.timeout_ms.saturating_add(STOP_MARGIN_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec() -> Measure {
        Measure::Exec(Exec {
            name: "reload".into(),
            argv: vec!["/bin/true".into()],
            timeout_ms: 1_000,
        })
    }

    #[test]
    fn what_is_named_wins_and_the_rest_is_for_restarts_only() {
        use {Measure::Restart, Remedy::Heal, RuleRemedy as Own};
        let remedies = Remedies {
            by_rule: BTreeMap::from([
                ("oom".into(), Heal(vec![exec(), Restart])),
                ("xid".into(), Heal(vec![Restart])),
                ("nan".into(), Remedy::Note),
            ]),
            other: Some(Remedy::Escalate),
        };
        for (rule, own, remedy) in [
            ("oom", Own::Restart, Heal(vec![exec(), Restart])),
            ("xid", Own::Escalate, Heal(vec![Restart])),
            ("nan", Own::Restart, Remedy::Note),
            ("other", Own::Restart, Remedy::Escalate),
            ("other", Own::Note, Remedy::Note),
            ("other", Own::Escalate, Remedy::Escalate),
        ] {
            assert_eq!(remedies.of(rule, own, Sign::Line), remedy, "{rule} {own:?}");
        }
        let none = Remedies::default();
        assert_eq!(
            none.of("oom", Own::Restart, Sign::Line),
            Heal(vec![Restart])
        );
    }

    #[test]
    fn where_nobody_saw_the_end_no_remedy_does_more_than_tell() {
        use {Measure::Restart, Remedy::Heal};
        for (set, remedy) in [
            (None, Remedy::Escalate),
            (Some(Heal(vec![Restart])), Remedy::Escalate),
            (Some(Remedy::Escalate), Remedy::Escalate),
            (Some(Remedy::Note), Remedy::Note),
        ] {
            for own in [RuleRemedy::Restart, RuleRemedy::Escalate] {
                let by_rule = set.iter().map(|set| ("unfinished".to_owned(), set.clone()));
                let remedies = Remedies {
                    by_rule: by_rule.collect(),
                    other: Some(Heal(vec![Restart])),
                };
                let of = remedies.of("unfinished", own, Sign::EndedUnseen);
                assert_eq!(of, remedy, "{set:?} {own:?}");
            }
        }
    }

    #[test]
    fn what_has_ended_is_started_or_given_to_a_person() {
        use Measure::{Escalate, Restart, Stop};
        for (plan, left) in [
            (vec![Restart], Remedy::Heal(vec![Restart])),
            (vec![exec(), Restart], Remedy::Heal(vec![Restart])),
            (
                vec![exec(), Restart, Escalate],
                Remedy::Heal(vec![Restart, Escalate]),
            ),
            (vec![exec()], Remedy::Escalate),
            (vec![Stop], Remedy::Escalate),
            (vec![exec(), Escalate], Remedy::Escalate),
        ] {
            assert_eq!(ended(&plan), left, "{plan:?}");
        }
    }
}
