//! Intents that the executor answered with `error` and whose chunk comes again
//! for the sake of another: they are wrong and would be wrong again, so they
//! are not sent a second time, and their chunk is an error once it is done.
//!
//! Kept true: at most [`REJECTED_MAX`] ids; beyond it the oldest is forgotten
//! and would be sent, refused and counted once more.

use std::borrow::Cow;
use std::collections::BTreeMap;

use executor_api::Intent;

/// Most ids. Each waiting chunk may have some.
pub const REJECTED_MAX: usize = 1_024;

/// See the module's description.
#[derive(Debug, Default)]
pub struct Rejected {
    /// With the number of their coming.
    ids: BTreeMap<String, u64>,
    count: u64,
}

impl Rejected {
    /// The chunk of this intent comes again.
    pub fn remember(&mut self, intent: &Intent) {
        self.count += 1;
        self.ids.insert(intent.id.clone(), self.count);
        if self.ids.len() > REJECTED_MAX
            && let Some((oldest, _)) = self.ids.iter().min_by_key(|(_, number)| **number)
        {
            let oldest = oldest.clone();
            self.ids.remove(&oldest);
        }
    }

    /// The chunk of these intents is done with.
    pub fn forget(&mut self, intents: &[Intent]) {
        if !self.ids.is_empty() {
            intents.iter().for_each(|intent| {
                self.ids.remove(&intent.id);
            });
        }
    }

    /// What of a chunk is still to be sent; all of it, but for a chunk that
    /// comes again.
    pub fn leave_out<'o>(&self, intents: &'o [Intent]) -> Cow<'o, [Intent]> {
        let is_known = |intent: &Intent| self.ids.contains_key(&intent.id);
        if self.ids.is_empty() || !intents.iter().any(is_known) {
            return Cow::Borrowed(intents);
        }
        let rest = intents.iter().filter(|intent| !is_known(intent));
        Cow::Owned(rest.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use executor_api::{LastMatch, Remedy, TargetRef};

    fn intent(id: usize) -> Intent {
        Intent {
            id: id.to_string(),
            target: TargetRef::Name("app".into()),
            rule: "cuda-oom".into(),
            remedy: Remedy::Restart,
            times: vec![(1, 1)],
            last: LastMatch(1, None),
            sample: String::new(),
            tag: String::new(),
            source: "test".into(),
        }
    }

    #[test]
    fn what_is_remembered_is_left_out_until_it_is_forgotten() {
        let chunk = [intent(1), intent(2)];
        let mut rejected = Rejected::default();
        assert_eq!(rejected.leave_out(&chunk), chunk.as_slice());
        rejected.remember(&chunk[0]);
        assert_eq!(rejected.leave_out(&chunk), &chunk[1..]);
        rejected.forget(&chunk);
        assert_eq!(rejected.leave_out(&chunk), chunk.as_slice());
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut rejected = Rejected::default();
        for id in 0..REJECTED_MAX {
            rejected.remember(&intent(id));
        }
        let chunk = [intent(0), intent(1)];
        assert_eq!(rejected.leave_out(&chunk), [].as_slice());
        rejected.remember(&intent(REJECTED_MAX));
        assert_eq!(rejected.ids.len(), REJECTED_MAX);
        assert_eq!(rejected.leave_out(&chunk), &chunk[..1]);
    }
}
