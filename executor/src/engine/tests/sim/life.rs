//! One process after another over one state directory: each opens the journal,
//! runs the engine, and ends in good order or by a kill at any step.

use std::rc::Rc;

use tokio::task::LocalSet;
use tokio::time::Duration;

use super::World;
use super::docker::Socket;
use crate::config;
use crate::engine::{Engine, Parts, Settings};
use crate::evidence::Evidence;
use crate::http::Site;
use crate::journal::Journal;
use crate::journal::faults::Faults;
use crate::notify::Notifications;
use crate::procs::Procs;
use crate::report::Reports;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Stopped,
    Killed,
    /// It could not be started on what is there.
    NoStart,
}

impl World {
    /// Runs one process until `stop` comes, or `faults` kill it.
    pub(super) async fn live(
        self: &Rc<Self>,
        faults: Faults,
        compact_bytes: u64,
        stop: impl Future<Output = ()>,
    ) -> End {
        self.lives.set(self.lives.get() + 1);
        // Dropped with everything in it: whatever a process was about to do.
        let process = LocalSet::new();
        let world = Rc::clone(self);
        let end = process
            .run_until(async move {
                let opened = Journal::open_on_this_thread(
                    &world.state.dir(),
                    world.config.largest_limit_ms(),
                    faults.clone(),
                    compact_bytes,
                );
                let Ok(opened) = opened else {
                    return End::NoStart;
                };
                assert!(
                    !matches!(opened.damage, Some(crate::journal::Damage::SetAside { .. })),
                    "a kill is no damage: {:?}",
                    opened.damage
                );
                let (handle, inbox) = Engine::<Socket>::inbox();
                let parts = world.parts(opened, faults.clone());
                *world.now.borrow_mut() = Some((handle, faults.clone()));
                let engine = Engine::new(parts).run(inbox, stop);
                tokio::select! {
                    biased;
                    () = faults.died() => End::Killed,
                    () = engine => End::Stopped,
                }
            })
            .await;
        *self.now.borrow_mut() = None;
        drop(process);
        self.note(&format!("{end:?}"));
        end
    }

    fn parts(&self, opened: crate::journal::Opened, faults: Faults) -> Parts<Socket> {
        let defaults = config::Config::default();
        Parts {
            settings: Settings {
                calendar: Default::default(),
                policy: self.config.clone(),
                rules: rules::RuleBook::load("gpu").expect("a built-in pack"),
                stop_timeouts: defaults.stop_timeouts,
                shutdown_grace: Duration::from_secs(25),
            },
            docker: Rc::new(Socket {
                containers: Rc::clone(&self.containers),
                faults,
            }),
            journal: opened.journal,
            journal_failing: opened.not_writable.is_some(),
            records: opened.records,
            clock: opened.clock,
            procs: Procs::new("/proc".as_ref()),
            site: Rc::<Site>::default(),
            reports: Reports::start(
                config::Reports {
                    dir: None,
                    ..defaults.reports
                },
                |_| {},
            )
            .expect("switched off"),
            evidence: Evidence::off(),
            notifications: Notifications::off(),
        }
    }
}
