//! Crash loops of a container's own restart policy.

use super::*;
use crate::triggers::CRASH_LOOP;

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
