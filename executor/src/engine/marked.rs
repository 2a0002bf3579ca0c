//! What marker files ask for; see [`crate::markers`].

use crate::docker::Docker;
use crate::markers::stopped_of;
use crate::report::{Mark, MarkKind};

use super::Engine;

impl<D: Docker + 'static> Engine<D> {
    /// Follows the markers that are there now. Those that are done with, to be
    /// removed.
    pub(super) async fn take_markers(&mut self, marks: Vec<Mark>) -> Vec<Mark> {
        self.policy.set_stopped(stopped_of(&marks));
        let mut obeyed = Vec::new();
        for mark in marks {
            let whose = match mark.kind {
                MarkKind::Resume => Some(&*mark.target),
                MarkKind::ResumeAll => None,
                MarkKind::Stopped => continue,
            };
            let now = self.clock.now();
            let step = self.policy.handle_resume(now, whose, "marker");
            // What could not be written is asked for again with the next look.
            if self.commit(now, &step).await.is_ok() {
                self.act(step.actions);
                obeyed.push(mark);
            }
        }
        obeyed
    }
}
