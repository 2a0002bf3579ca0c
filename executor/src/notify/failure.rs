//! Why a message did not go out, and what that means for the next try.

use std::fmt;

/// One fault. Shown as `WHAT: SAID; ADVICE`, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to do with the message.
    pub(super) kind: FailureKind,
    /// What failed, on what, and why, in our own words.
    pub(crate) what: String,
    /// In the receiver's words; it may repeat what it was sent.
    pub(super) said: String,
    /// What to do; empty where there is nothing to do.
    pub(crate) advice: String,
    /// The receiver has looked at the message and could not take it; another may
    /// fare better.
    pub(super) is_answer: bool,
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
        if !self.said.is_empty() {
            write!(f, ": {}", self.said)?;
        }
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
            said: String::new(),
            advice: advice.into(),
            is_answer: false,
        }
    }

    /// With what the receiver says, as it came: cut and cleaned by who shows it.
    pub(super) fn saying(mut self, said: impl Into<String>) -> Self {
        self.said = said.into();
        self
    }

    /// See [`Failure::is_answer`].
    pub(super) fn answered(mut self) -> Self {
        self.is_answer = true;
        self
    }

    /// For our own log, where no text of a container may stand: without what the
    /// receiver says, if it was ever sent any.
    pub(super) fn logged(&self, has_log_text: bool) -> String {
        if !has_log_text || self.said.is_empty() {
            return self.to_string();
        }
        let bare = Self {
            said: String::new(),
            ..self.clone()
        };
        format!("{bare} (its words may repeat log text: `healer notify test` shows them)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_says_is_not_logged_where_it_was_sent_log_text() {
        let failure = Failure::refused("h answers 400", "see body").saying("bad: CUDA oom");
        assert_eq!(
            failure.to_string(),
            "h answers 400: bad: CUDA oom; see body"
        );
        assert_eq!(failure.logged(false), failure.to_string());
        let logged = failure.logged(true);
        assert!(logged.starts_with("h answers 400; see body (") && !logged.contains("CUDA"));
        let silent = Failure::later("h: cannot connect");
        assert_eq!(silent.logged(true), "h: cannot connect");
    }
}
