//! Why a message did not go out, and what that means for the next try.

use std::fmt;

/// One fault. Shown as `WHAT; ADVICE`, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to do with the message.
    pub(super) kind: FailureKind,
    /// What failed, on what, and why.
    pub(super) what: String,
    /// What to do; empty where there is nothing to do.
    pub(super) advice: String,
}

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It may go out later; where the receiver said when, after so many ms.
    Later(Option<u64>),
    /// Nothing goes out until somebody has changed something.
    Setup,
    /// The receiver does not want this message, and would not the next time.
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(super) fn later(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Later(None), what, "")
    }

    pub(super) fn setup(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(FailureKind::Setup, what, advice)
    }

    pub(super) fn refused(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, what, advice)
    }

    pub(super) fn new(
        kind: FailureKind,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            what: what.into(),
            advice: advice.into(),
        }
    }
}
