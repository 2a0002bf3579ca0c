//! Containers that share the network of one that has been started anew.

use super::*;
use crate::triggers::NETWORK_LOST;

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
