//! Hands what a check found to the engine, until it takes it or the check knows better.

use std::time::Duration;

use policy::{RuleRemedy, Sign, WallTime};
use tokio::time::Instant;

use super::Context;
use crate::engine::Handle;
use crate::triggers::{Cleared, Fired, Signal, TEXT_BYTES_MAX};

/// Between two tries while nothing can be kept of it.
const PAUSE: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug)]
pub(super) enum Finding {
    Fired {
        sign: Sign,
        why: String,
        sample: String,
    },
    Cleared,
}

/// Speaks for one check of one target.
#[derive(Debug)]
pub(super) struct Teller {
    engine: Handle,
    target: String,
    rule: String,
    remedy: RuleRemedy,
}

impl Teller {
    pub(super) fn new(context: &Context, target: &str, rule: String, remedy: RuleRemedy) -> Self {
        Self {
            engine: context.engine.clone(),
            target: target.to_owned(),
            rule,
            remedy,
        }
    }

    /// The rule that it speaks for.
    pub(super) fn rule(&self) -> &str {
        &self.rule
    }

    /// False where it could not be handed on until `until`.
    pub(super) async fn tell(
        &self,
        container_id: String,
        found: WallTime,
        finding: Finding,
        until: Instant,
    ) -> bool {
        let signal = self.signal(container_id, found, finding);
        loop {
            if self.engine.signal(signal.clone()).await {
                return true;
            }
            if Instant::now() + PAUSE >= until {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn signal(&self, container_id: String, found: WallTime, finding: Finding) -> Signal {
        let rule = self.rule.clone();
        match finding {
            Finding::Cleared => Signal::Cleared(Cleared {
                container_id,
                rule,
                found,
            }),
            Finding::Fired { sign, why, sample } => Signal::Fired(Fired {
                container_id,
                target: self.target.clone(),
                rule,
                remedy: self.remedy,
                sign,
                found,
                round: 0,
                why: cut(why),
                sample: cut(sample),
            }),
        }
    }
}

fn cut(mut text: String) -> String {
    executor_api::clamp_str(&mut text, TEXT_BYTES_MAX);
    text
}
