//! What metrics are told apart by. Every value is a word of ours.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// A word as a label's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Word(pub(super) &'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    pub(super) decision: Word,
    pub(super) gate: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SocketLabels {
    pub(super) socket: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LookupLabels {
    pub(super) found: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabels {
    pub(super) result: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TriggerLabels {
    pub(super) trigger: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EndLabels {
    pub(super) end: Word,
}

/// Which socket an error was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SocketName {
    Intents,
    Admin,
    Docker,
    Http,
}

impl SocketName {
    pub(super) const ALL: [Self; 4] = [Self::Intents, Self::Admin, Self::Docker, Self::Http];

    pub(super) fn word(self) -> Word {
        Word(match self {
            Self::Intents => "intents",
            Self::Admin => "admin",
            Self::Docker => "docker",
            Self::Http => "http",
        })
    }
}

/// By what the container of a kernel line was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelLookup {
    /// The process is still there.
    Process,
    /// The process has ended, and was seen before.
    Memory,
    /// The line's cgroup.
    Cgroup,
    /// It was not.
    Nothing,
}

impl KernelLookup {
    pub(super) const ALL: [Self; 4] = [Self::Process, Self::Memory, Self::Cgroup, Self::Nothing];

    pub(super) fn word(self) -> Word {
        Word(match self {
            Self::Process => "process",
            Self::Memory => "memory",
            Self::Cgroup => "cgroup",
            Self::Nothing => "nothing",
        })
    }
}
