//! Telling what is done: commands, stops, and the way from one measure to the next; and
//! keeping what commands print for those who may see it. It is opaque and never goes into
//! the log.

use std::time::Duration;

use policy::{AttemptId, Call, Called, Event, ExecEnd};

use super::Engine;
use crate::docker::{Docker, Ended, Ran};
use crate::evidence::Measured;
use crate::metrics::{MeasureResult, SocketName};

/// What was done for an attempt, and what of it the policy does not ask for.
#[derive(Debug)]
pub(super) struct Did {
    call: Call,
    /// The command's name, and what came of it.
    ran: Option<(String, Ran)>,
}

impl Did {
    pub(super) fn call(call: Call) -> Self {
        Self { call, ran: None }
    }

    pub(super) fn exec(name: &str, ran: Ran) -> Self {
        Self {
            call: Call::Exec,
            ran: Some((name.to_owned(), ran)),
        }
    }

    fn result(&self, called: &Called) -> MeasureResult {
        match &self.ran {
            Some((_, ran)) if matches!(ran.end, Ended::NotBegun { .. }) => MeasureResult::Refused,
            _ => MeasureResult::from(called),
        }
    }
}

/// For the evidence.
pub(super) fn measured(name: &str, ran: &Ran, took: Duration) -> Measured {
    Measured {
        measure: format!("exec '{name}'"),
        ended: in_words(&ran.end),
        exit_code: match ran.end {
            Ended::Exited(code) => Some(code),
            _ => None,
        },
        took,
        output: ran.output.clone(),
        is_cut: ran.is_cut,
    }
}

fn in_words(end: &Ended) -> String {
    match Called::from(end) {
        Called::Done => "exit code 0".to_owned(),
        Called::Failed { why } | Called::Unclear { why } => why,
        Called::Refused { status, message } => format!("{status}: {message}"),
    }
}

/// What people are told of a command that did not end well; none where that is said
/// without it, as nothing was printed.
fn printed(name: &str, ran: &Ran) -> Option<String> {
    let is_well = ran.end == Ended::Exited(0);
    let output = String::from_utf8_lossy(&ran.output);
    // A secret that was cut in two might not look like one.
    let output = match ran.is_cut {
        true => &output[..output.rfind(char::is_whitespace).unwrap_or(0)],
        false => &output,
    };
    let output = output.trim();
    (!is_well && !output.is_empty())
        .then(|| format!("exec '{name}' {}: {output}", in_words(&ran.end)))
}

impl<D: Docker + 'static> Engine<D> {
    /// How a call went, as soon as it is known: what becomes of its attempt may take
    /// minutes.
    pub(super) fn tell_called(&self, attempt: AttemptId, did: &Did, called: &Called) {
        let metrics = &self.site.metrics;
        metrics.measures().taken(did.call, did.result(called));
        let text = did.ran.as_ref().and_then(|(name, ran)| printed(name, ran));
        if let Some(text) = text.and_then(|text| self.evidence.masked(attempt, &text)) {
            self.notifications.remember_printed(attempt, &text);
        }
        let view = self.policy.attempt(attempt);
        let target = view.map(|view| view.target).unwrap_or_default();
        match called {
            // A command's end is told by an event.
            Called::Done | Called::Failed { .. } => {}
            Called::Refused { status, message } => tracing::warn!(
                attempt,
                target,
                "the engine refused the call ({status}): {message}; looking at the container"
            ),
            Called::Unclear { why } => {
                metrics.socket_error(SocketName::Docker);
                tracing::warn!(
                    attempt,
                    target,
                    "the call has no clear answer: {why}; looking at the container"
                );
            }
        }
    }

    pub(super) fn tell_measure(&self, event: &Event) {
        match event {
            Event::Healing {
                attempt,
                target,
                measure,
                ..
            } => tracing::info!(attempt, target, "healing '{target}': {measure} ..."),
            Event::Executed {
                attempt,
                target,
                end,
                name,
                detail,
            } => match end {
                ExecEnd::Done => tracing::info!(attempt, target, "exec '{name}' done, watching"),
                ExecEnd::Failed => tracing::warn!(attempt, target, "exec '{name}': {detail}"),
                ExecEnd::Unknown => tracing::warn!(
                    attempt,
                    target,
                    "exec '{name}' is not run again: {detail}; watching whether it has cured"
                ),
            },
            Event::NextMeasure {
                attempt,
                target,
                measure,
                why,
            } => tracing::warn!(attempt, target, "not cured ({why}): next, {measure}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(end: Ended, output: &[u8], is_cut: bool) -> Ran {
        Ran {
            end,
            output: output.to_vec(),
            is_cut,
        }
    }

    #[test]
    fn what_a_command_prints_is_told_where_it_did_not_end_well() {
        let late = Ended::TimedOut {
            within: Duration::from_secs(2),
        };
        for (ran, text) in [
            (ran(Ended::Exited(0), b"well", false), None),
            (ran(Ended::Exited(1), b" \n", false), None),
            (
                ran(Ended::Exited(1), b"no such file\n\xff", false),
                Some("exec 'reload' exit code 1: no such file\n\u{fffd}"),
            ),
            (
                ran(late, b"still at it hf_abc", true),
                Some("exec 'reload' it did not end within 2s, and may still run: still at it"),
            ),
            (ran(Ended::Flood, b"yyyyyyyy", true), None),
        ] {
            assert_eq!(printed("reload", &ran).as_deref(), text, "{ran:?}");
        }
    }

    #[test]
    fn a_command_that_was_not_begun_counts_as_refused() {
        let result = |end: Ended| {
            let called = Called::from(&end);
            Did::exec("x", ran(end, b"", false)).result(&called)
        };
        let why = || "why".to_owned();
        for (end, expected) in [
            (Ended::Exited(0), MeasureResult::Done),
            (Ended::Exited(1), MeasureResult::Failed),
            (Ended::Flood, MeasureResult::Failed),
            (Ended::NotBegun { why: why() }, MeasureResult::Refused),
            (Ended::Unclear { why: why() }, MeasureResult::Unclear),
        ] {
            assert_eq!(result(end.clone()), expected, "{end:?}");
        }
        let refused = Called::Refused {
            status: 500,
            message: why(),
        };
        let restart = Did::call(Call::Restart).result(&refused);
        assert_eq!(restart, MeasureResult::Refused);
    }
}
