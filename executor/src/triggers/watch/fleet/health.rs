//! Judges health checks: unhealthy is not enough, so many in a row have to have failed.

use policy::{HealthStatus, RuleRemedy, Sign, Timestamp, WallTime};

use crate::docker::{Checks, Seen};
use crate::triggers::{AGAIN_AFTER, Fired, TEXT_BYTES_MAX, UNHEALTHY};

/// Beside its checks' own time a container is given so long to say that it is healthy, ms: a
/// broken stream of events is made good by the next list.
const CLEAR_MARGIN_MS: u64 = 120_000;
/// Shortest pause between two looks, ms.
const LOOK_MS_MIN: u64 = 1_000;

/// What has been told of one container since its start.
#[derive(Debug, Default)]
pub(super) struct Health {
    fired_at: Option<Timestamp>,
    /// That it is healthy has been told, and nothing else since.
    pub(super) is_clear: bool,
    /// It was looked at, and has no health check.
    pub(super) has_no_check: bool,
}

pub(super) enum Judged {
    Nothing,
    /// Healthy, since that time at the latest.
    Well(WallTime),
    /// Not yet: to be looked at again then.
    Later(Timestamp),
    Fires {
        fired: Box<Fired>,
        again_at: Timestamp,
    },
}

impl Health {
    pub(super) fn is_firing(&self) -> bool {
        self.fired_at.is_some()
    }

    /// It is healthy; true where that is news.
    pub(super) fn clear(&mut self) -> bool {
        self.fired_at = None;
        !std::mem::replace(&mut self.is_clear, true)
    }

    /// A signal did not arrive.
    pub(super) fn untold(&mut self, rule: &str) {
        if rule == UNHEALTHY {
            *self = Self::default();
        }
    }

    /// Judges a running container; `wanted` checks have to have failed, 0 = never.
    pub(super) fn judge(&mut self, now: Timestamp, seen: &Seen, wanted: u32) -> Judged {
        let (Some(health), Some(checks)) = (&seen.container.health, &seen.checks) else {
            self.has_no_check = true;
            return Judged::Nothing;
        };
        if wanted == 0 {
            return Judged::Nothing;
        }
        match health.status {
            HealthStatus::Starting => Judged::Nothing,
            HealthStatus::Healthy => {
                let newest = checks.log.last().filter(|check| check.exit_code == 0);
                newest.map_or(Judged::Nothing, |check| Judged::Well(check.at))
            }
            HealthStatus::Unhealthy if checks.failing_streak < u64::from(wanted) => {
                let pause_ms = health.interval_ms.max(LOOK_MS_MIN);
                Judged::Later(now.plus(pause_ms))
            }
            HealthStatus::Unhealthy => self.fire(now, seen, checks),
        }
    }

    fn fire(&mut self, now: Timestamp, seen: &Seen, checks: &Checks) -> Judged {
        let again_ms = u64::try_from(AGAIN_AFTER.as_millis()).unwrap_or(u64::MAX);
        if let Some(fired_at) = self.fired_at
            && now.since(fired_at) < again_ms
        {
            return Judged::Later(fired_at.plus(again_ms));
        }
        // The engine keeps no log where checks could not even be run.
        let Some(found) = checks.log.last().map(|check| check.at) else {
            return Judged::Later(now.plus(LOOK_MS_MIN));
        };
        self.fired_at = Some(now);
        self.is_clear = false;
        let health = seen.container.health;
        let (start_ms, interval_ms) = health.map_or((0, 0), |health| {
            (health.start_period_ms, health.interval_ms)
        });
        let checks_ms = interval_ms
            .saturating_add(checks.timeout_ms)
            .saturating_mul(3);
        let clear_within_ms = start_ms.saturating_add(checks_ms) + CLEAR_MARGIN_MS;
        let fired = Fired {
            container_id: seen.container.id.clone(),
            target: seen.container.name.clone(),
            rule: UNHEALTHY.to_owned(),
            remedy: RuleRemedy::Restart,
            sign: Sign::Watched { clear_within_ms },
            found,
            round: 0,
            why: format!(
                "unhealthy: {} checks in a row have failed",
                checks.failing_streak
            ),
            sample: sample(checks),
        };
        Judged::Fires {
            fired: Box::new(fired),
            again_at: now.plus(again_ms),
        }
    }
}

/// What the newest checks printed, oldest first; where it is too long the newest of it.
fn sample(checks: &Checks) -> String {
    let mut sample = String::new();
    for check in &checks.log {
        let output = check.output.trim();
        sample.push_str(&format!("exit {}: {output}\n", check.exit_code));
    }
    let mut from = sample.len().saturating_sub(TEXT_BYTES_MAX);
    while !sample.is_char_boundary(from) {
        from += 1;
    }
    sample.split_off(from)
}
