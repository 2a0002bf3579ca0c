//! Whether restarts make it worse on this host.

use super::{Ask, Refusal};
use crate::figures::limit;
use crate::state::Storm;
use crate::{Config, Gate, Now};

/// For as long as it is on, whoever asks.
pub(super) fn storm(ask: &Ask<'_>) -> Option<Refusal> {
    let storm = ask.state.storms.on.as_ref()?;
    Some(storm_because(storm, ask.config, ask.now))
}

/// Also for one that this very decision begins.
pub(crate) fn storm_because(storm: &Storm, config: &Config, now: Now) -> Refusal {
    let quiet_ms = config.storm.quiet_ms;
    let detail = format!(
        "Storm: {}: no restarts until it has been quiet for {} (`healer resume` ends it)",
        storm.why,
        limit(quiet_ms)
    );
    // Not sooner than it can be over; its end brings the decision at once.
    let over = storm
        .last_match
        .plus(quiet_ms)
        .max(now.at.plus(quiet_ms / 4));
    Refusal::new(Gate::Storm, detail).until(over.max(now.at.plus(crate::LOOK_WAIT_MAX_MS)))
}
