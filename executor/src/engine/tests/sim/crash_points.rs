//! Every file operation of one attempt in turn fails, fails for a while, or is the
//! last thing that the process does; the state afterwards is right.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use executor_api::Decision;
use policy::{ContainerState, Entry, Outcome};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Duration, sleep, timeout};

use super::{Rng, World, in_virtual_time};
use crate::config::Config;
use crate::journal::faults::{Fate, Faults};

/// Small enough that an attempt compacts the journal more than once.
const COMPACT_BYTES: u64 = 600;
const NO_COMPACTION: u64 = 1 << 20;
/// Longest that all of it may take, with every wait there is.
const END: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// This operation fails.
    Once,
    /// It and those after it, up to so many.
    Row(u32),
    Kill,
}

/// One attempt, from the line to the recovery, with this operation hit; how many
/// operations there were.
fn attempt(hit: Option<(u32, Hit)>, compact_bytes: u64) -> u32 {
    in_virtual_time(async move {
        let mut config = Config::default().policy;
        config.host_max = 100;
        let world = World::new(config, &["web"], Rng::new(1));
        let taken = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = watch::channel(false);
        let processes = spawn_local({
            let (world, taken) = (Rc::clone(&world), Arc::clone(&taken));
            async move { run(&world, &taken, hit, compact_bytes, stopped).await }
        });
        sleep(Duration::from_millis(10)).await;
        let id = format!("{:064x}", 1);
        let intent = world.intent("i1", &id);
        let answered = timeout(END, world.send(intent.clone(), Rng::new(2))).await;
        answered.expect("it is answered in the end");
        let recovered = async {
            while !is_recovered(&world) {
                sleep(Duration::from_secs(5)).await;
            }
        };
        let in_time = timeout(END, recovered).await;
        let trace = world.trace.borrow().join("\n");
        assert!(in_time.is_ok(), "{hit:?}: it never recovers:\n{trace}");
        // Sent once more it is answered with what became of it, and no more.
        let again = timeout(END, world.send(intent, Rng::new(3))).await;
        let again = again.expect("answered").decision;
        assert_eq!(again, Decision::Restart, "{hit:?}\n{trace}");
        let _ = stop.send(true);
        timeout(END, processes)
            .await
            .expect("it ends")
            .expect("no panic");
        check(&world, hit);
        taken.load(Ordering::Relaxed)
    })
}

/// Processes, until told to stop; the first one is hit.
async fn run(
    world: &Rc<World>,
    taken: &Arc<AtomicU32>,
    hit: Option<(u32, Hit)>,
    compact_bytes: u64,
    stopped: watch::Receiver<bool>,
) {
    for life in 0.. {
        let faults = Faults::default();
        if life == 0 {
            let taken = Arc::clone(taken);
            faults.script(move |_| {
                let number = taken.fetch_add(1, Ordering::Relaxed);
                match hit {
                    Some((at, Hit::Once)) if number == at => Fate::Fails,
                    Some((at, Hit::Row(n))) if (at..at + n).contains(&number) => Fate::Fails,
                    Some((at, Hit::Kill)) if number == at => Fate::Dies,
                    _ => Fate::Done,
                }
            });
        }
        let mut stopped = stopped.clone();
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let end = world.live(faults, compact_bytes, stop).await;
        if end == super::life::End::Stopped {
            return;
        }
        sleep(Duration::from_secs(2)).await;
    }
}

fn records(world: &World) -> Vec<Entry> {
    let records = crate::journal::Journal::peek(&world.state.path).expect("readable");
    records.into_iter().map(|record| record.entry).collect()
}

fn is_recovered(world: &World) -> bool {
    let recovered = Outcome::Recovered;
    records(world)
        .iter()
        .any(|e| matches!(e, Entry::Outcome { outcome, .. } if *outcome == recovered))
}

/// One charge, one restart, one end; the container runs.
fn check(world: &World, hit: Option<(u32, Hit)>) {
    let trace = world.trace.borrow().join("\n");
    let entries = records(world);
    let count = |is: &dyn Fn(&Entry) -> bool| entries.iter().filter(|e| is(e)).count();
    let charges = count(&|e| matches!(e, Entry::Charge(_)));
    let ends = count(&|e| matches!(e, Entry::Outcome { .. }));
    let waiting = count(&|e| matches!(e, Entry::Pending(_)));
    assert_eq!((charges, ends, waiting), (1, 1, 0), "{hit:?}\n{trace}");
    let (_, web) = world.containers.get("web").expect("it is there");
    assert_eq!(web.state, ContainerState::Running, "{hit:?}\n{trace}");
    assert_eq!(web.starts, 1, "{hit:?}: restarted once\n{trace}");
}

fn every_operation(compact_bytes: u64) {
    let operations = attempt(None, compact_bytes);
    assert!(operations >= 6, "only {operations} operations");
    for at in 0..operations {
        for hit in [Hit::Once, Hit::Row(3), Hit::Row(40), Hit::Kill] {
            attempt(Some((at, hit)), compact_bytes);
        }
    }
}

#[test]
fn whichever_file_operation_of_an_attempt_fails_or_kills_it_is_made_once_and_ends_well() {
    every_operation(NO_COMPACTION);
}

#[test]
fn the_same_while_the_journal_is_compacted_again_and_again() {
    every_operation(COMPACT_BYTES);
}
