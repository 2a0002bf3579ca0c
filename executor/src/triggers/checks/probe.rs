//! Active probes: something is tried at a container again and again.
//!
//! Keeps true:
//! - a probe is begun at its own times, one at a time, and what it missed is not made up;
//! - each has an end; so many run together as [`slots`] has room for, so that a host with many
//!   has neither a peak nor a growing queue, and what hangs leaves room for what does not;
//! - what the executor itself cannot try (the engine is away, a name has no address) is
//!   neither a failure nor a success: it is told once, and counted apart.

mod exec;
mod http;
mod process;
mod slots;
mod state;
mod tcp;

use std::rc::Rc;
use std::time::Duration;

use policy::{Now, Sign};
use tokio::time::Instant;

use self::exec::Exec;
use self::state::{State, clear_within_ms};
use super::reach::Reach;
use super::subject::{Running, Subject};
use super::tell::{Finding, Teller};
use super::verdict::{Start, Verdict};
use super::{Context, spread};
use crate::config::{Outside, Probe, ProbeKind};
use crate::docker::{Client, Network};
use crate::triggers::PROBE_PREFIX;
pub(super) use slots::Slots;

/// Their first rounds are spread over this time, or their interval where that is shorter.
const SPREAD_MAX: Duration = Duration::from_secs(30);

/// Longest wait for an address; to find it is our own affair.
const FIND_MAX: Duration = Duration::from_secs(5);

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// As it should be.
    Passed,
    /// What the container did not do.
    Failed {
        /// Our own words and figures.
        why: String,
        /// What the container said.
        sample: String,
    },
    /// Nothing is known of the container by it.
    Unable {
        /// For the log.
        why: String,
    },
}

impl Tried {
    fn failed(why: impl Into<String>) -> Self {
        let (why, sample) = (why.into(), String::new());
        Self::Failed { why, sample }
    }

    fn unable(why: impl Into<String>) -> Self {
        Self::Unable { why: why.into() }
    }
}

struct Watch {
    context: Rc<Context>,
    subject: Rc<Subject>,
    probe: Probe,
    state: State,
    exec: Exec,
    teller: Teller,
    /// Why it could not be tried, as far as that was told.
    unable_told: Option<String>,
    /// It took long when it was last tried: it may hang again.
    was_slow: bool,
}

/// Tries for as long as it is not dropped.
pub(super) async fn watch(context: Rc<Context>, subject: Rc<Subject>, probe: Probe) {
    let interval = Duration::from_millis(probe.pace.interval_ms);
    let mut due = Instant::now() + spread(&subject.name, interval.min(SPREAD_MAX));
    let rule = format!("{PROBE_PREFIX}{}", probe.name);
    let mut watch = Watch {
        state: State::new(probe.pace),
        exec: Exec::default(),
        teller: Teller::new(&context, &subject.name, rule, probe.remedy),
        unable_told: None,
        was_slow: false,
        context,
        subject,
        probe,
    };
    loop {
        tokio::time::sleep_until(due).await;
        watch.round(next_after(due, interval, Instant::now())).await;
        due = next_after(due, interval, Instant::now());
    }
}

/// The first of its times after `now`.
fn next_after(due: Instant, interval: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due);
    let rounds = late.as_millis() / interval.as_millis().max(1) + 1;
    due + interval * u32::try_from(rounds).unwrap_or(u32::MAX)
}

impl Watch {
    async fn round(&mut self, next: Instant) {
        let context = Rc::clone(&self.context);
        let slot = context.slots.take(self.was_slow).await;
        let taken = Instant::now();
        let looked = self.subject.look().await;
        self.was_slow = self.is_slow(taken);
        let running = match looked {
            Ok(Some(running)) => running,
            Ok(None) => return self.sleep(),
            Err(why) => return self.unable(why),
        };
        let (began, started) = (self.context.clock.now(), Instant::now());
        let result = self.run(&running).await;
        let word = match &result {
            Tried::Passed => "passed",
            Tried::Failed { .. } => "failed",
            Tried::Unable { .. } => "unable",
        };
        let kind = self.probe.kind.word();
        self.context.metrics.probed(kind, word, started.elapsed());
        self.was_slow = self.is_slow(taken);
        drop(slot);
        match result {
            Tried::Unable { why } => self.unable(why),
            Tried::Passed => self.take(&running.start, began, None, next).await,
            Tried::Failed { why, sample } => {
                self.take(&running.start, began, Some((why, sample)), next)
                    .await;
            }
        }
    }

    fn is_slow(&self, since: Instant) -> bool {
        since.elapsed() >= Duration::from_millis(self.probe.pace.timeout_ms) / 2
    }

    /// What does not run is not failing, either.
    fn sleep(&mut self) {
        self.state.sleep();
        let metrics = &self.context.metrics;
        metrics.set_failing(&self.subject.name, self.teller.rule(), false);
    }

    async fn run(&mut self, running: &Running) -> Tried {
        let timeout = Duration::from_millis(self.probe.pace.timeout_ms);
        let (context, id) = (&self.context, &running.start.container_id);
        match &self.probe.kind {
            ProbeKind::Exec(command) => {
                let exec = &mut self.exec;
                exec.run(&context.docker, id, command, timeout, &context.metrics)
                    .await
            }
            ProbeKind::Outside(outside) => {
                let (docker, reach) = (&context.docker, &context.reach);
                from_outside(docker, reach, outside, id, &running.network, timeout).await
            }
        }
    }

    fn unable(&mut self, why: String) {
        let (target, probe) = (&*self.subject.name, &*self.probe.name);
        if self.unable_told.is_none() {
            tracing::warn!(target, probe, "the probe cannot be tried: {why}");
        }
        self.unable_told = Some(why);
    }

    async fn take(
        &mut self,
        start: &Start,
        began: Now,
        failed: Option<(String, String)>,
        next: Instant,
    ) {
        if self.unable_told.take().is_some() {
            let (target, probe) = (&*self.subject.name, &*self.probe.name);
            tracing::info!(target, probe, "the probe can be tried again");
        }
        let verdict = self.state.take(start, began, failed.is_none());
        let (name, probe) = (&self.subject.name, &self.probe.name);
        let (rule, is_failing) = (self.teller.rule(), self.state.is_failing());
        self.context.metrics.set_failing(name, rule, is_failing);
        let finding = match (verdict, failed) {
            (None, _) => return,
            (Some(Verdict::Fired), Some((why, sample))) => {
                let (kind, failures) = (self.probe.kind.word(), self.state.failures());
                let clear_within_ms = clear_within_ms(&self.probe.pace);
                Finding::Fired {
                    sign: Sign::Watched { clear_within_ms },
                    why: format!("{kind} probe '{probe}' failed {failures} times in a row: {why}"),
                    sample,
                }
            }
            (Some(_), _) => Finding::Cleared,
        };
        let container_id = start.container_id.clone();
        if !self
            .teller
            .tell(container_id, began.wall(), finding, next)
            .await
        {
            self.state.untold();
        }
    }
}

/// One try at a container without running anything in it.
pub(super) async fn from_outside(
    docker: &Client,
    reach: &Reach,
    outside: &Outside,
    container_id: &str,
    network: &Network,
    timeout: Duration,
) -> Tried {
    let endpoint = match outside {
        Outside::Http(http) => &http.endpoint,
        Outside::Tcp(endpoint) => endpoint,
        Outside::Process(pattern) => {
            return process::run(docker, container_id, pattern, timeout).await;
        }
    };
    let find_until = Instant::now() + FIND_MAX;
    let address = match reach.find(endpoint, network, find_until).await {
        Ok(address) => address,
        Err(why) => return Tried::unable(why),
    };
    let asked = async {
        match outside {
            Outside::Http(http) => http::run(address, http).await,
            _ => tcp::run(address).await,
        }
    };
    let late = |_| Tried::failed(format!("no answer within {} ms", timeout.as_millis()));
    let asked = tokio::time::timeout(timeout, asked).await;
    asked.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_rounds_are_not_made_up() {
        let due = Instant::now();
        let second = Duration::from_secs(1);
        for (late_ms, rounds) in [(0, 1), (999, 1), (1_000, 2), (5_500, 6)] {
            let next = next_after(due, second, due + Duration::from_millis(late_ms));
            assert_eq!(next, due + second * rounds, "{late_ms}");
        }
    }
}
