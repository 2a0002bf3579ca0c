use std::collections::BTreeSet;

use policy::{HealthStatus, RuleRemedy, Sign};
use proptest::prelude::*;

use super::*;
use crate::config::{Config, Died};
use crate::docker::{Check, Checks, Inspected};
use crate::triggers::{CRASH_LOOP, DIED, Fired, NETWORK_LOST, OOM_KILLED, UNHEALTHY};

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
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// Watches what is labelled; connected, with an empty list.
    fn with(change: impl FnOnce(&mut WatchTarget)) -> Self {
        let mut config = Config::default();
        change(&mut config.watch.defaults);
        let fleet = Fleet::new(Rc::new(Settings {
            policy: config.policy,
            watch: config.watch,
        }));
        let mut bench = Self {
            fleet,
            at_ms: 1_000,
            told: Vec::new(),
            looks: Vec::new(),
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
        },
        exit_code: 0,
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
    seen.exit_code = exit_code;
    seen
}

const DIE: What = What::Die { exit_code: Some(1) };
const TERM: What = What::Kill { signal: Some(15) };
const UNHEALTHY_EVENT: What = What::Health(HealthStatus::Unhealthy);
const HEALTHY_EVENT: What = What::Health(HealthStatus::Healthy);

#[test]
fn so_many_failed_checks_in_a_row_fire_and_health_clears() {
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Is(HealthStatus::Healthy));
    bench.cleared(UNHEALTHY);
    bench.event(UNHEALTHY_EVENT);
    let sick = sick(&bench, 3);
    let fired = bench.finds(&sick).fired();
    assert_eq!(
        (&*fired.rule, &*fired.target, &*fired.container_id),
        (UNHEALTHY, "c1", &*id(1))
    );
    assert_eq!(fired.remedy, RuleRemedy::Restart);
    assert_eq!(fired.found, sick.checks.unwrap().log[0].at);
    assert_eq!(fired.why, "unhealthy: 3 checks in a row have failed");
    assert_eq!(fired.sample, "exit 1: connection refused\n");
    // 5 s and three checks of 11 s, and two minutes.
    let clear_within_ms = 158_000;
    assert_eq!(fired.sign, Sign::Watched { clear_within_ms });
    let healthy_at = bench.wall();
    bench.event(HEALTHY_EVENT);
    assert_eq!(bench.cleared(UNHEALTHY), healthy_at);
}

#[test]
fn it_fires_again_every_five_minutes_while_it_lasts() {
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Is(HealthStatus::Unhealthy));
    let first = sick(&bench, 3);
    bench.finds(&first).fired();
    // Podman tells of each check.
    bench.event(UNHEALTHY_EVENT).pass(60_000);
    bench
        .list("running", RowHealth::Is(HealthStatus::Unhealthy))
        .pass(200_000);
    assert_eq!(bench.looks, [""; 0]);
    bench.pass(40_000);
    let later = sick(&bench, 30);
    let fired = bench.finds(&later).fired();
    assert_eq!(fired.why, "unhealthy: 30 checks in a row have failed");
}

#[test]
fn too_few_failed_checks_are_looked_at_again_each_interval() {
    let mut bench = Bench::new();
    bench.event(What::Start).event(UNHEALTHY_EVENT);
    for failed in 1..3 {
        let sick = sick(&bench, failed);
        bench.finds(&sick).is_quiet().pass(9_000);
        assert_eq!(bench.looks, [""; 0]);
        bench.pass(1_001);
    }
    let sick = sick(&bench, 3);
    bench.finds(&sick).fired();
}

#[test]
fn one_that_is_starting_or_became_well_meanwhile_is_none() {
    let mut bench = Bench::new();
    bench.event(What::Start).event(UNHEALTHY_EVENT);
    let mut starting = sick(&bench, 3);
    starting.container.health.as_mut().unwrap().status = HealthStatus::Starting;
    bench.finds(&starting).is_quiet();
    bench.event(UNHEALTHY_EVENT);
    let mut well = sick(&bench, 0);
    well.container.health.as_mut().unwrap().status = HealthStatus::Healthy;
    well.checks.as_mut().unwrap().log[0].exit_code = 0;
    bench.finds(&well).cleared(UNHEALTHY);
    bench.event(UNHEALTHY_EVENT);
    let paused = Seen {
        container: Inspected {
            state: ContainerState::Paused,
            ..sick(&bench, 3).container
        },
        ..sick(&bench, 3)
    };
    bench.finds(&paused).is_quiet();
}

#[test]
fn health_is_told_once_after_each_start() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.event(What::Start).event(HEALTHY_EVENT);
        bench.cleared(UNHEALTHY);
        bench.event(HEALTHY_EVENT);
        bench
            .list("running", RowHealth::Is(HealthStatus::Healthy))
            .is_quiet();
    }
    bench.fleet.broken();
    bench.list("running", RowHealth::Is(HealthStatus::Healthy));
    bench.cleared(UNHEALTHY);
}

#[test]
fn switched_off_nothing_of_its_health_is_looked_at_or_told() {
    let mut bench = Bench::with(|it| it.unhealthy_checks = 0);
    bench
        .event(What::Start)
        .event(UNHEALTHY_EVENT)
        .event(HEALTHY_EVENT);
    bench
        .list("running", RowHealth::Is(HealthStatus::Unhealthy))
        .pass(600_000)
        .is_quiet();
    assert_eq!(bench.looks, [""; 0]);
}

#[test]
fn one_that_ends_by_itself_and_stays_down_has_died() {
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Unknown).pass(5_000);
    let down = down(&bench, 3);
    bench.event(DIE).pass(1_900).is_quiet();
    assert_eq!(bench.looks, [""; 0], "not settled yet");
    bench.pass(100);
    let fired = bench.finds(&down).fired();
    assert_eq!((&*fired.rule, fired.sign), (DIED, Sign::Ended));
    assert_eq!(Some(fired.found), down.container.finished_at);
    assert_eq!(fired.why, "ended by itself with exit code 3");
    // Once is enough: what comes of it is the policy's.
    bench
        .list("exited", RowHealth::Unknown)
        .pass(600_000)
        .is_quiet();
}

#[test]
fn what_was_asked_for_is_left_alone_in_whichever_order_it_is_told() {
    let hup = What::Kill { signal: Some(1) };
    let nameless = What::Kill { signal: None };
    let cases: [&[What]; 12] = [
        &[TERM, DIE, What::Stop],
        &[DIE, TERM, What::Stop],
        &[DIE, What::Stop],
        &[What::Kill { signal: Some(9) }, DIE],
        &[DIE, What::Kill { signal: Some(9) }],
        &[nameless, DIE],
        &[hup, DIE],
        &[What::Pause, DIE],
        &[What::Kill { signal: Some(9) }, DIE, What::Destroy],
        &[DIE, What::Destroy],
        &[TERM, hup, DIE],
        &[What::Kill { signal: Some(2) }, DIE],
    ];
    for events in cases {
        let mut bench = Bench::new();
        bench.list("running", RowHealth::Unknown);
        let down = down(&bench, 143);
        for event in events {
            bench.event(*event);
        }
        bench.pass(2_000);
        if !bench.looks.is_empty() {
            bench.finds(&down);
        }
        bench.pass(600_000).is_quiet();
    }
}

#[test]
fn a_signal_that_means_no_end_is_forgotten_after_a_minute_unless_it_is_the_stop_signal() {
    for (stop_signal, fires) in [(None, true), (Some(28), false)] {
        let mut bench = Bench::new();
        bench.event(What::Start);
        bench
            .event(What::Kill { signal: Some(28) })
            .pass(60_001)
            .event(DIE);
        let mut down = down(&bench, 1);
        down.container.finished_at = Some(WallTime::from_ms(EPOCH * 1_000));
        down.stop_signal = stop_signal;
        bench.pass(2_000).finds(&down);
        assert_eq!(bench.told.len(), usize::from(fires), "{stop_signal:?}");
    }
}

#[test]
fn what_was_not_seen_from_its_beginning_is_left_alone() {
    let dies = |bench: &mut Bench| {
        bench.event(DIE).pass(2_000).is_quiet();
        assert_eq!(bench.looks, [""; 0]);
    };
    // Never seen to run.
    dies(Bench::new().list("exited", RowHealth::Unknown));
    // Listed before the stream was there.
    let mut bench = Bench::new();
    bench.fleet.broken();
    bench.list("running", RowHealth::Unknown);
    bench.fleet.connected(bench.now());
    dies(&mut bench);
    // A gap since.
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Unknown);
    bench.fleet.broken();
    bench.fleet.connected(bench.now());
    dies(&mut bench);
    // A gap before it was settled.
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Unknown).event(DIE);
    let down = down(&bench, 1);
    bench.fleet.broken();
    bench.pass(2_000);
    bench.finds(&down).is_quiet();
}

#[test]
fn its_own_restart_policy_comes_first() {
    let mut bench = Bench::new();
    bench.event(What::Start).event(DIE).pass(2_000);
    bench.finds(&seen(ContainerState::Restarting)).is_quiet();
    // Its retries are spent: the list shows it down.
    let mut down = down(&bench, 1);
    down.container.finished_at = Some(WallTime {
        secs: EPOCH,
        nanos: None,
    });
    bench
        .pass(60_000)
        .list("exited", RowHealth::Unknown)
        .finds(&down)
        .fired();
}

#[test]
fn exit_codes_and_switches_decide_what_is_a_trigger() {
    let label = |seen: &mut Seen| {
        let labels = &mut seen.container.labels;
        labels.insert("healer.died".to_owned(), "off".to_owned());
    };
    let oom = |seen: &mut Seen| seen.is_oom_killed = true;
    type Case<'a> = (Died, bool, i64, &'a dyn Fn(&mut Seen), Option<&'a str>);
    let cases: [Case<'_>; 10] = [
        (Died::Failed, true, 1, &|_| {}, Some(DIED)),
        (Died::Failed, true, 0, &|_| {}, None),
        (Died::Any, true, 0, &|_| {}, Some(DIED)),
        (Died::Off, true, 1, &|_| {}, None),
        (Died::Any, true, 1, &label, None),
        (Died::Failed, true, 137, &oom, Some(OOM_KILLED)),
        (Died::Off, true, 137, &oom, Some(OOM_KILLED)),
        (Died::Any, false, 137, &oom, None),
        (Died::Failed, true, 137, &|_| {}, Some(DIED)),
        // The mark is of another process, long ago.
        (Died::Failed, true, 1, &oom, Some(DIED)),
    ];
    for (died, oom_killed, exit_code, change, rule) in cases {
        let mut bench = Bench::with(|it| (it.died, it.oom_killed) = (died, oom_killed));
        bench.event(What::Start);
        let mut down = down(&bench, exit_code);
        change(&mut down);
        bench.event(DIE).pass(2_000).finds(&down);
        let told = bench.told.first().map(|signal| match signal {
            Signal::Fired(fired) => &*fired.rule,
            Signal::Cleared(_) => "cleared",
        });
        assert_eq!(told, rule, "{died:?} {oom_killed} {exit_code}");
    }
}

#[test]
fn an_oom_event_names_the_cause_of_an_end_soon_after() {
    for (pause_ms, rule) in [(1, OOM_KILLED), (60_000, DIED)] {
        let mut bench = Bench::new();
        bench.event(What::Start).event(What::Oom).pass(pause_ms);
        let down = down(&bench, 1);
        bench.event(DIE).pass(2_000);
        assert_eq!(bench.finds(&down).fired().rule, rule);
    }
}

#[test]
fn an_end_that_is_not_the_one_that_was_told_of_is_left_alone() {
    let mut bench = Bench::new();
    bench.event(What::Start).event(DIE).pass(2_000);
    let later = down(&bench, 1);
    bench.finds(&later).is_quiet();
}

#[test]
fn siblings_that_were_stopped_explain_an_end_unless_they_come_back() {
    let compose = [("com.docker.compose.project", "shop")];
    let other = [("com.docker.compose.project", "other")];
    for (comes_back, labels, fires) in [
        (false, &compose, false),
        (true, &compose, true),
        (false, &other, true),
    ] {
        let mut bench = Bench::new();
        bench
            .event_of(1, What::Start, &compose)
            .event_of(2, What::Start, labels);
        bench
            .event_of(2, TERM, labels)
            .event_of(2, DIE, labels)
            .event_of(2, What::Stop, labels);
        bench.pass(3_000);
        let down = down(&bench, 1);
        bench.event_of(1, DIE, &compose).pass(2_000);
        if comes_back {
            bench
                .finds(&down)
                .is_quiet()
                .event_of(2, What::Start, labels);
        }
        for _ in 0..40 {
            bench.pass(2_000);
            if !bench.looks.is_empty() {
                bench.finds(&down);
            }
        }
        assert_eq!(
            bench.told.len(),
            usize::from(fires),
            "{comes_back} {labels:?}"
        );
    }
}

#[test]
fn a_crash_loop_of_its_own_restart_policy_is_told_and_cleared() {
    let mut bench = Bench::new();
    bench.event(What::Start);
    for _ in 0..5 {
        bench.event(DIE).event(What::Start).pass(100);
    }
    let mut running = seen(ContainerState::Running);
    running.restart_count = 5;
    let fired = bench.finds(&running).fired();
    assert_eq!(
        (&*fired.rule, fired.remedy),
        (CRASH_LOOP, RuleRemedy::Escalate)
    );
    assert!(fired.why.contains("5 times within 10m"), "{}", fired.why);
    bench
        .event(DIE)
        .event(What::Start)
        .is_quiet()
        .pass(599_000)
        .is_quiet();
    bench.pass(1_000).cleared(CRASH_LOOP);
}

#[test]
fn starts_by_others_or_far_apart_are_no_crash_loop() {
    let mut running = seen(ContainerState::Running);
    // Started by the executor, say: each time anew.
    running.restart_count = 1;
    let mut bench = Bench::new();
    bench.event(What::Start);
    for _ in 0..5 {
        bench.event(DIE).event(What::Start).pass(100);
    }
    bench.finds(&running).is_quiet();
    let mut bench = Bench::new();
    bench.event(What::Start);
    for _ in 0..5 {
        bench.event(DIE).event(What::Start).looks.clear();
        bench.pass(150_000);
    }
    assert_eq!(bench.looks, [""; 0], "150 s apart");
    let mut bench = Bench::new();
    bench.event(What::Start);
    for _ in 0..9 {
        bench.event(TERM).event(DIE).event(What::Start).pass(100);
    }
    assert_eq!(bench.looks, [""; 0], "somebody restarts it");
}

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

/// Runs since then.
fn running_since(at: WallTime) -> Seen {
    let mut seen = seen(ContainerState::Running);
    seen.container.started_at = Some(at);
    seen
}

#[test]
fn what_shares_the_network_of_a_container_that_starts_anew_has_lost_it() {
    let mut bench = Bench::new();
    let child = running_since(bench.wall());
    bench.list_sharing(2).pass(1_000);
    // Not its parent, and not watched: nothing follows.
    bench.event_of(3, What::Start, &[]).pass(6_000).is_quiet();
    bench.event_of(2, What::Start, &[]).pass(4_000);
    assert_eq!(bench.looks, [""; 0], "Compose may start it next");
    bench.pass(1_000);
    let fired = bench.finds(&child).fired();
    assert_eq!((&*fired.rule, fired.sign), (NETWORK_LOST, Sign::Line));
    assert!(fired.why.contains("'c2'"), "{}", fired.why);
    bench.pass(299_000).is_quiet();
    bench.pass(2_000);
    bench.finds(&child).fired();
}

#[test]
fn a_child_that_was_started_since_has_its_parents_network() {
    let mut bench = Bench::new();
    bench
        .list_sharing(2)
        .event_of(2, What::Start, &[])
        .pass(1_000);
    bench.event(What::Start).pass(6_000);
    assert_eq!(bench.looks, [""; 0], "its own start is known");
    bench.event_of(2, What::Start, &[]);
    let child = running_since(bench.wall());
    bench.pass(5_000);
    bench.finds(&child).is_quiet();
}
