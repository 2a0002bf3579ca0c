//! What a match stood on is over.

use crate::{Policy, Sign, Step, WallTime};

impl Policy {
    /// Pendings of that container and rule end as recovered; an attempt of it that is
    /// under way keeps it in mind: the watch may be quicker than the engine's answer. Where a match was found after `found` nothing is over.
    pub(crate) fn clear(&mut self, container_id: &str, rule: &str, found: WallTime) -> Step {
        let mut step = Step::default();
        let is_its = |id: &str| container_id.starts_with(id);
        let over = self.state.pendings.values().filter(|pending| {
            matches!(pending.sign, Sign::Watched { .. })
                && pending.rule == rule
                && pending.container_id.as_deref().is_some_and(is_its)
                && pending.line.is_before(found)
        });
        for pending in over {
            step.end_pending(&self.config, pending, "recovered by itself");
        }
        for (id, live) in &mut self.live.attempts {
            let is_meant = self.state.open(*id).is_some_and(|attempt| {
                attempt.charge.container_id == container_id
                    && attempt.charge.cause.rule() == Some(rule)
            });
            if is_meant {
                live.cleared = Some(found);
            }
        }
        step
    }
}
