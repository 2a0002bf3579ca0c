//! One bench for all; what is tried on it by theme in files of their own.

mod ending;
mod health;
mod network;
mod off;
mod starts;
mod unfinished;

use std::collections::BTreeSet;

use policy::{ContainerState, HealthStatus, RuleRemedy, Sign};
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::docker::{AtPath, Check, Checks, Inspected};
use crate::triggers::Fired;

/// Wall clock at the test's beginning, s.
const EPOCH: u64 = 1_795_310_000;

fn id(n: u8) -> String {
    format!("{n:064x}")
}

/// A fleet, its clock, and the labels and states of the containers that it is told of.
struct Bench {
    fleet: Fleet,
    at_ms: u64,
    told: Vec<Signal>,
    looks: Vec<String>,
    /// Files that were asked for.
    finds: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// Watches what is labelled; connected, with an empty list.
    fn with(change: impl FnOnce(&mut WatchTarget)) -> Self {
        Self::watching(|watch| change(&mut watch.defaults))
    }

    fn watching(change: impl FnOnce(&mut Watch)) -> Self {
        let mut config = Config::default();
        change(&mut config.watch);
        let fleet = Fleet::new(Rc::new(Settings {
            policy: config.policy,
            watch: config.watch,
        }));
        let mut bench = Self {
            fleet,
            at_ms: 1_000,
            told: Vec::new(),
            looks: Vec::new(),
            finds: Vec::new(),
        };
        bench.fleet.connected(bench.now());
        bench
    }

    fn now(&self) -> Now {
        Now {
            at: Timestamp(self.at_ms),
            wall_ms: EPOCH * 1_000 + self.at_ms,
        }
    }

    fn wall(&self) -> WallTime {
        self.now().wall()
    }

    /// Time passes; what is due is done, and all signals are taken.
    fn pass(&mut self, ms: u64) -> &mut Self {
        self.at_ms += ms;
        let now = self.now();
        for order in self.fleet.orders(now) {
            match order {
                Order::Look(id) => self.looks.push(id),
                Order::Find { file, .. } => self.finds.push(file),
                Order::Tell(signal) => {
                    self.fleet.told(now, &signal, true);
                    self.told.push(signal);
                }
            }
        }
        self
    }

    fn event_of(&mut self, n: u8, what: What, labels: &[(&str, &str)]) -> &mut Self {
        let mut attributes = labels_of(labels);
        attributes.insert("name".to_owned(), format!("c{n}"));
        let event = Event {
            id: id(n),
            name: format!("c{n}"),
            what,
            at: self.wall(),
            attributes,
        };
        self.fleet.event(self.now(), &event);
        self.pass(1)
    }

    fn event(&mut self, what: What) -> &mut Self {
        self.event_of(1, what, &[])
    }

    /// A list of just this container.
    fn list(&mut self, state: &str, health: RowHealth) -> &mut Self {
        self.pass(1);
        self.fleet.list_began(self.now());
        self.fleet.row(&Row {
            id: id(1),
            name: "c1".to_owned(),
            state: state.to_owned(),
            health,
            labels: labels_of(&[]),
            network_parent: None,
        });
        self.fleet.list_ended(true);
        self.pass(1)
    }

    /// A list in which it shares the network of that container.
    fn list_sharing(&mut self, parent: u8) -> &mut Self {
        self.pass(1);
        self.fleet.list_began(self.now());
        self.fleet.row(&Row {
            id: id(1),
            name: "c1".to_owned(),
            state: "running".to_owned(),
            health: RowHealth::Unknown,
            labels: labels_of(&[]),
            network_parent: Some(id(parent)),
        });
        self.fleet.list_ended(true);
        self.pass(1)
    }

    /// The look that was asked for finds this; panics where none was.
    #[track_caller]
    fn finds(&mut self, seen: &Seen) -> &mut Self {
        assert_eq!(self.looks, [id(1)], "looks asked for");
        self.looks.clear();
        self.fleet.seen(self.now(), &id(1), Ok(Some(seen)));
        self.pass(1)
    }

    #[track_caller]
    fn is_quiet(&mut self) -> &mut Self {
        assert_eq!(self.told, []);
        self
    }

    #[track_caller]
    fn fired(&mut self) -> Fired {
        match self.told.as_slice() {
            [Signal::Fired(fired)] => {
                let fired = fired.clone();
                self.told.clear();
                fired
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn cleared(&mut self, rule: &str) -> WallTime {
        match self.told.as_slice() {
            [Signal::Cleared(cleared)] if cleared.rule == rule => {
                let found = cleared.found;
                self.told.clear();
                found
            }
            other => panic!("{other:?}"),
        }
    }
}

fn labels_of(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let enabled = [("healer.enable", "true")];
    let all = enabled.iter().chain(more);
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// An inspect; time in ms on the bench's clock.
fn seen(state: ContainerState) -> Seen {
    Seen {
        container: Inspected {
            id: id(1),
            name: "c1".to_owned(),
            state,
            started_at: None,
            finished_at: None,
            health: None,
            labels: labels_of(&[]),
            stop_timeout_s: None,
            network: Default::default(),
            exit: Default::default(),
        },
        is_oom_killed: false,
        restart_count: 0,
        stop_signal: None,
        checks: None,
    }
}

fn sick(bench: &Bench, failing_streak: u64) -> Seen {
    let mut seen = seen(ContainerState::Running);
    let status = HealthStatus::Unhealthy;
    seen.container.health = Some(policy::Health {
        status,
        checked_at: None,
        start_period_ms: 5_000,
        interval_ms: 10_000,
    });
    seen.checks = Some(Checks {
        failing_streak,
        log: vec![Check {
            at: bench.wall(),
            exit_code: 1,
            output: "connection refused\n".to_owned(),
        }],
        timeout_ms: 1_000,
    });
    seen
}

fn down(bench: &Bench, exit_code: i64) -> Seen {
    let mut seen = seen(ContainerState::Exited);
    seen.container.finished_at = Some(bench.wall());
    seen.container.exit.code = exit_code;
    seen
}

const DIE: What = What::Die { exit_code: Some(1) };
const TERM: What = What::Kill { signal: Some(15) };
const UNHEALTHY_EVENT: What = What::Health(HealthStatus::Unhealthy);
const HEALTHY_EVENT: What = What::Health(HealthStatus::Healthy);

#[test]
fn what_could_not_be_told_is_told_again() {
    let mut bench = Bench::new();
    bench.event(What::Start).event(UNHEALTHY_EVENT);
    let sick = sick(&bench, 3);
    bench.looks.clear();
    bench.fleet.seen(bench.now(), &id(1), Ok(Some(&sick)));
    let orders = bench.fleet.orders(bench.now());
    let [Order::Tell(signal)] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    bench.fleet.told(bench.now(), signal, false);
    bench.pass(1_000);
    assert_eq!(Signal::Fired(bench.finds(&sick).fired()), *signal);
}

#[test]
fn a_look_that_fails_is_taken_again_with_a_growing_pause() {
    let mut bench = Bench::new();
    bench.event(What::Start).event(UNHEALTHY_EVENT);
    for pause_ms in [1_000, 2_000, 4_000] {
        assert_eq!(bench.looks, [id(1)]);
        bench.looks.clear();
        bench.fleet.seen(bench.now(), &id(1), Err(()));
        bench.pass(pause_ms - 1);
        assert_eq!(bench.looks, [""; 0]);
        bench.pass(1);
    }
}

#[test]
fn an_end_that_no_event_told_of_means_that_the_stream_is_broken() {
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Unknown);
    // The event may be on its way.
    bench.list("exited", RowHealth::Unknown);
    assert!(!bench.fleet.has_missed());
    bench.pass(60_000).list("exited", RowHealth::Unknown);
    assert!(bench.fleet.has_missed());
    bench.list("exited", RowHealth::Unknown).is_quiet();
    assert!(!bench.fleet.has_missed(), "told once");
}

#[test]
fn only_what_may_be_healed_is_watched() {
    let mut bench = Bench::new();
    let labelled = |labels: &[(&str, &str)]| {
        let pairs = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    for (labels, is_watched) in [
        (labelled(&[]), false),
        (labelled(&[("healer.enable", "true")]), true),
        (labelled(&[("healer.enable", "false")]), false),
        (
            labelled(&[("healer.enable", "true"), ("healer.protect", "true")]),
            false,
        ),
        (
            labelled(&[("healer.enable", "true"), ("io.kubernetes.pod.name", "x")]),
            false,
        ),
    ] {
        assert_eq!(
            bench.fleet.admit(&id(1), "c1", &labels),
            is_watched,
            "{labels:?}"
        );
        assert_eq!(bench.fleet.len(), usize::from(is_watched));
    }
    assert!(
        !bench
            .fleet
            .admit("short", "c1", &labelled(&[("healer.enable", "true")]))
    );
}

#[test]
fn what_a_whole_list_does_not_show_is_forgotten() {
    let mut bench = Bench::new();
    bench.event_of(2, What::Start, &[]);
    assert_eq!(bench.fleet.len(), 1);
    bench.list("running", RowHealth::Unknown);
    assert_eq!(bench.fleet.len(), 1, "c1 and no more c2");
    bench.pass(1);
    bench.fleet.list_began(bench.now());
    bench.fleet.list_ended(false);
    assert_eq!(bench.fleet.len(), 1, "a cut list shows nobody gone");
}

#[test]
fn more_containers_than_the_limit_are_counted_and_not_watched() {
    let mut bench = Bench::new();
    let labels = labels_of(&[]);
    bench.fleet.list_began(bench.now());
    for n in 0..WATCHED_MAX + 2 {
        let id = format!("{n:064x}");
        bench.fleet.admit(&id, "c", &labels);
    }
    assert_eq!(bench.fleet.list_ended(false), 2);
    assert_eq!(bench.fleet.len(), WATCHED_MAX);
}

fn any_event() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Start),
        Just(DIE),
        Just(TERM),
        Just(What::Kill { signal: Some(9) }),
        Just(What::Stop),
        Just(What::Pause),
        Just(What::Unpause),
        Just(What::Oom),
        Just(What::Destroy),
        Just(UNHEALTHY_EVENT),
        Just(HEALTHY_EVENT),
    ]
}

proptest! {
    /// Whatever comes in whichever order: no more looks than allowed at once, nothing is due in
    /// the past for ever, and what was asked for since its start never counts as an end of its own.
    #[test]
    fn any_events_leave_it_sound(events in prop::collection::vec((any_event(), 0_u64..4_000), 0..60)) {
        let mut bench = Bench::new();
        bench.event(What::Start);
        let mut asked = BTreeSet::new();
        for (what, pause_ms) in events {
            let down = down(&bench, 1);
            bench.event(what);
            match what {
                What::Start => asked.clear(),
                TERM | What::Stop | What::Kill { .. } => { asked.insert("stop"); }
                What::Pause => { asked.insert("pause"); }
                What::Unpause => { asked.remove("pause"); }
                _ => {}
            }
            bench.pass(pause_ms);
            for id in std::mem::take(&mut bench.looks) {
                bench.fleet.seen(bench.now(), &id, Ok(Some(&down)));
            }
            bench.pass(1);
            for signal in std::mem::take(&mut bench.told) {
                if let Signal::Fired(fired) = signal && fired.sign == Sign::Ended {
                    prop_assert!(!asked.contains("stop"), "{what:?}");
                }
            }
            let due = bench.fleet.next_due();
            prop_assert!(due.is_none_or(|due| due >= bench.now().at), "{due:?}");
            prop_assert!(bench.fleet.looks_out <= LOOKS_MAX);
        }
    }
}
