//! Health checks that fail, and those that pass again.

use super::*;
use crate::triggers::UNHEALTHY;

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
fn where_health_goes_untold_what_has_a_check_is_looked_at_with_each_list() {
    let mut bench = Bench::new();
    bench.list("running", RowHealth::Unknown);
    assert_eq!(
        bench.looks, [""; 0],
        "Docker tells it, where there is a check"
    );

    bench.fleet.set_health_untold(true);
    bench.list("exited", RowHealth::Unknown);
    bench.event(What::Start).list("running", RowHealth::Unknown);
    let mut well = sick(&bench, 0);
    well.container.health.as_mut().unwrap().status = HealthStatus::Healthy;
    well.checks.as_mut().unwrap().log[0].exit_code = 0;
    bench.finds(&well).cleared(UNHEALTHY);
    bench.list("running", RowHealth::Unknown);
    let sick = sick(&bench, 3);
    bench.finds(&sick).fired();

    // One without a check is looked at once for each start.
    let mut without = sick.clone();
    without.checks = None;
    bench.event(What::Start).list("running", RowHealth::Unknown);
    bench.finds(&without).is_quiet();
    bench.list("running", RowHealth::Unknown);
    assert_eq!(bench.looks, [""; 0]);

    let mut off = Bench::with(|it| it.unhealthy_checks = 0);
    off.fleet.set_health_untold(true);
    off.list("running", RowHealth::Unknown);
    assert_eq!(off.looks, [""; 0]);
}
