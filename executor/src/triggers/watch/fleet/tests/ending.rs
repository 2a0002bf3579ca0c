//! Ends by themselves, and what is none.

use super::*;
use crate::config::Died;
use crate::triggers::{DIED, OOM_KILLED};

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

/// A container of the project `shop`, as Compose labels it.
fn of_shop(service: &'static str, one_off: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", service),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.oneoff", one_off),
    ]
}

/// Of which container, what, and its labels.
type Told<'a> = (u8, What, &'a [(&'a str, &'a str)]);

/// What happens to containers 2 and 3 before the first ends by itself; whether it is started.
fn is_started_after(events: &[Told<'_>]) -> bool {
    let web = of_shop("web", "False");
    let mut bench = Bench::new();
    bench.event_of(1, What::Start, &web);
    for (n, what, labels) in events {
        bench.event_of(*n, *what, labels);
    }
    bench.pass(3_000);
    let down = down(&bench, 1);
    bench.event_of(1, DIE, &web).pass(2_000);
    for _ in 0..40 {
        if !bench.looks.is_empty() {
            bench.finds(&down);
        }
        bench.pass(2_000);
    }
    !bench.told.is_empty()
}

#[test]
fn a_service_that_was_created_anew_explains_no_end_and_one_taken_down_does() {
    let db = of_shop("db", "False");
    let db: &[(&str, &str)] = &db;
    let stop = [(2, TERM, db), (2, DIE, db), (2, What::Stop, db)];
    let (create, start) = ((3, What::Create, db), (3, What::Start, db));
    let destroy = (2, What::Destroy, db);
    // As Compose 2 does it, and Compose 1.
    let second = [&[create][..], &stop, &[destroy, start]].concat();
    let first = [&stop[..], &[create, start, destroy]].concat();
    assert!(is_started_after(&second));
    assert!(is_started_after(&first));
    let down = [&stop[..], &[destroy]].concat();
    assert!(!is_started_after(&down));
    // The other stops first, and this one is still on its way down.
    assert!(!is_started_after(&stop[..1]));
    // Down again after it was created anew.
    let again = [(3, TERM, db), (3, DIE, db)];
    assert!(!is_started_after(&[&second[..], &again].concat()));
}

#[test]
fn what_compose_run_makes_and_what_is_tidied_up_explains_no_end() {
    let one_off = of_shop("db", "True");
    let one_off: &[(&str, &str)] = &one_off;
    let run = [
        (2, What::Create, one_off),
        (2, What::Start, one_off),
        (2, TERM, one_off),
        (2, DIE, one_off),
        (2, What::Destroy, one_off),
    ];
    assert!(is_started_after(&run));
    let db = of_shop("db", "False");
    assert!(is_started_after(&[(2, What::Destroy, &db)]));
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
