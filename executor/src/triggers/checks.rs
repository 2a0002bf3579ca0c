//! The checks that the configuration asks for, each a task of its own: begun, ended and
//! begun anew as the configuration changes, with what is unchanged left alone.

mod probe;
mod quiet;
mod reach;
mod subject;
mod tell;
mod trial;
mod verdict;
mod wanted;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_local};

use self::probe::Slots;
pub use self::probe::Tried;
use self::reach::Reach;
use self::subject::Subject;
pub use self::trial::Trial;
use self::wanted::{Wanted, wanted};
use crate::clock::Clock;
use crate::config::{self, Activity, Config, OutputSource, Probe, Silence};
use crate::docker::Client;
use crate::engine::Handle;
use crate::http::Site;
use crate::metrics::CheckMetrics;
use crate::resolve::OwnContainer;

/// What all checks work with.
#[derive(Debug)]
struct Context {
    docker: Rc<Client>,
    clock: Clock,
    engine: Handle,
    site: Rc<Site>,
    metrics: CheckMetrics,
    reach: Reach,
    slots: Slots,
}

/// The checks under way. Dropping it ends them.
#[derive(Debug)]
pub struct Checks {
    context: Rc<Context>,
    subjects: BTreeMap<String, Rc<Subject>>,
    /// By target and rule.
    tasks: BTreeMap<(String, String), Task>,
}

/// A check that is under way.
#[derive(Debug)]
struct Task {
    check: Check,
    handle: AbortHandle,
}

/// One check with all its settings: with others it is another check.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Check {
    Probe(Probe),
    Silence(Silence),
    Activity(Activity),
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Checks {
    /// None yet: see [`Self::configure`].
    pub fn new(
        docker: Rc<Client>,
        clock: Clock,
        engine: Handle,
        site: Rc<Site>,
        own: OwnContainer,
    ) -> Self {
        let context = Context {
            reach: Reach::new(Rc::clone(&docker), own),
            docker,
            clock,
            engine,
            metrics: site.metrics.checks(),
            site,
            slots: Slots::new(),
        };
        Self {
            context: Rc::new(context),
            subjects: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    /// What is set up for targets that are not off is wanted from now on. What is wanted as
    /// before goes on undisturbed; on a `LocalSet`.
    pub fn configure(&mut self, config: &Config) {
        // Of targets that are off, too: `healer beat` goes on to be taken, and what came counts
        // when they are switched on.
        self.expect(&config.checks);
        let Wanted { checks, off } = wanted(config);
        if let Some(text) = wanted::told(&off) {
            tracing::info!("{text}");
        }
        let wanted = checks;
        let metrics = self.context.metrics.clone();
        self.tasks.retain(|key, task| {
            let stays = wanted.get(key) == Some(&task.check);
            if !stays {
                metrics.forget(&key.0, &key.1);
            }
            stays
        });
        for ((target, rule), check) in wanted {
            let key = (target, rule);
            if !self.tasks.contains_key(&key) {
                let handle = self.begin(&key.0, check.clone());
                self.tasks.insert(key, Task { check, handle });
            }
        }
        let tasks = &self.tasks;
        self.subjects
            .retain(|name, _| tasks.keys().any(|(target, _)| target == name));
    }

    /// What others tell counts from now on, and only this.
    fn expect(&self, wanted: &config::Checks) {
        let board = &self.context.site.board;
        let awaited = wanted
            .iter()
            .filter(|(_, checks)| checks.activity.is_some());
        board.expect_beats(awaited.map(|(target, _)| target.clone()));
        let silences = wanted.values().filter_map(|checks| checks.silence.as_ref());
        let by_plugin = silences.filter(|silence| silence.source == OutputSource::Plugin);
        board.expect_progress(by_plugin.map(quiet::pattern_text));
    }

    fn begin(&mut self, target: &str, check: Check) -> AbortHandle {
        let docker = &self.context.docker;
        let subject = self
            .subjects
            .entry(target.to_owned())
            .or_insert_with(|| Rc::new(Subject::new(target, Rc::clone(docker))));
        let (context, subject) = (Rc::clone(&self.context), Rc::clone(subject));
        match check {
            Check::Probe(probe) => spawn_local(probe::watch(context, subject, probe)),
            Check::Silence(silence) => spawn_local(quiet::watch_silence(context, subject, silence)),
            Check::Activity(activity) => {
                spawn_local(quiet::watch_activity(context, subject, activity))
            }
        }
        .abort_handle()
    }
}

/// A target's checks begin together, so that they share looks; targets apart.
fn spread(target: &str, over: Duration) -> Duration {
    let share = crc32fast::hash(target.as_bytes()) % 1_000;
    over * share / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_begin_apart() {
        let minute = Duration::from_secs(60);
        let mut offsets: Vec<Duration> = (0..100)
            .map(|n| spread(&format!("web-{n}"), minute))
            .collect();
        offsets.sort_unstable();
        assert!(offsets[99] < minute && offsets[99] - offsets[0] > minute / 2);
        assert_eq!(spread("web", minute), spread("web", minute));
    }
}
