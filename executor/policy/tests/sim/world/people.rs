//! People, at the engine and at the healer.

use policy::{ContainerState, RequestInput};

use super::{What, World};
use crate::docker::StoppedBy;
use crate::exec::timed;
use crate::options;

impl World {
    pub(super) fn people(&mut self) {
        let names: Vec<String> = self.docker.containers.keys().cloned().collect();
        let clock = self.clock();
        let which = self.rng.range(0, names.len() as u64 - 1);
        let name = names[usize::try_from(which).expect("an index")].clone();
        // Reloads, and what is done to others, only where a seed has them.
        let last = if self.options.means.remedies > 0 {
            14
        } else {
            12
        };
        let deed = self.rng.range(0, last);
        self.note(&format_args!("people {deed} {name}"));
        let container = self.docker.containers.get_mut(&name).expect("named");
        match (deed, container.state) {
            (0, ContainerState::Running) => {
                if self.later.chance(self.options.means.asks) {
                    container.ask_to_end(clock, self.later.chance(700));
                    self.totals.count("asked to end");
                } else {
                    container.stop(clock, StoppedBy::Person);
                }
                self.end_is_told_of(&name);
            }
            (1, ContainerState::Exited) => container.start(clock),
            (2, ContainerState::Running) => container.state = ContainerState::Paused,
            (2, ContainerState::Paused) => container.state = ContainerState::Running,
            (3, _) => self
                .docker
                .create(&mut self.rng, &self.options, &name, clock),
            (4, ContainerState::Running) => container.start(clock),
            (10, _) => self.crash(&name),
            (11, _) => self.mark_stopped(&name),
            (12, _) => self.draw_windows(),
            (13 | 14, _) => self.reload(),
            (5, _) => self.pause(Some(&name)),
            (6, _) => self.pause(None),
            (7, _) => self.resume(None),
            (8, _) => self.resume(Some(&name)),
            (9, _) => {
                let request = RequestInput {
                    target: name,
                    cooldown_ms: self.rng.chance(500).then_some(0),
                    window_ms: None,
                    max_per_window: self.rng.chance(300).then_some(3),
                };
                self.ask(What::Request(request));
            }
            _ => {}
        }
    }

    /// A marker file keeps a target from being restarted, until it is removed.
    pub(super) fn mark_stopped(&mut self, name: &str) {
        let stopped = &mut self.exec.config.stopped;
        if !stopped.remove(name) {
            stopped.insert(name.to_owned());
        }
        let stopped = stopped.clone();
        if let Some(policy) = &mut self.exec.policy {
            policy.set_stopped(stopped);
        }
    }

    /// The calendar is another from now on: some windows open now, some later.
    pub(super) fn draw_windows(&mut self) {
        let now_ms = self.now().wall_ms;
        let windows = options::windows(&mut self.rng, now_ms);
        self.exec.config.windows.clone_from(&windows);
        if let Some(policy) = &mut self.exec.policy {
            policy.set_windows(windows);
        }
    }

    /// The owner has set other remedies.
    fn reload(&mut self) {
        let means = self.options.means.clone();
        means.set_remedies(&mut self.rng, &mut self.exec.config);
        means.set_unfinished(&mut self.later, &mut self.exec.config);
        self.totals.count("reload");
        if let Some(policy) = &mut self.exec.policy {
            policy.configure(self.exec.config.clone());
        }
    }

    pub(super) fn pause(&mut self, target: Option<&str>) {
        let now = self.now();
        let for_ms = self.rng.chance(800).then(|| self.rng.range(1, 600_000));
        if let Some(policy) = self.exec.asked() {
            let step = timed(|| policy.handle_pause(now, target, for_ms, "a reason"));
            let _ = self.perform(&step, None);
        }
    }

    pub(super) fn resume(&mut self, target: Option<&str>) {
        let now = self.now();
        if let Some(policy) = self.exec.asked() {
            let step = timed(|| policy.handle_resume(now, target, "a person"));
            let _ = self.perform(&step, None);
        }
    }
}
