//! Runs from a seed: containers that print, processes that are killed at any time
//! or step, disks that fail, an engine that is slow, away, refuses and hangs,
//! clocks that jump, machines that start anew, people. What must hold is judged
//! from the journal's file and the containers alone.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use executor_api::Decision;
use parking_lot::Mutex;
use policy::{AttemptId, Charge, Config, ContainerState, Entry, Record};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Duration, sleep, timeout};

use super::docker::Troubles;
use super::life::End;
use super::{Rng, World, in_virtual_time};
use crate::journal::Journal;
use crate::journal::faults::{Fate, Faults};

/// Seeds of an ordinary run.
const SEEDS: u64 = 40;
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
/// Longest that a run may take to come to rest, after which something hangs.
const REST: Duration = Duration::from_secs(24 * 3_600);

/// What a seed draws before it begins; chances per mille.
#[derive(Debug, Clone)]
struct Plan {
    config: Config,
    containers: usize,
    lines: u64,
    every_ms: u64,
    troubles: Troubles,
    fails: u64,
    dies: u64,
    kill_after_ms: u64,
    compact_bytes: u64,
    jumps: bool,
    people: bool,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Self {
        let mut sometimes = |most: u64| {
            if rng.chance(400) {
                0
            } else {
                rng.range(1, most)
            }
        };
        let troubles = Troubles {
            refuses: sometimes(300),
            hangs: sometimes(200),
            stops_only: sometimes(200),
            slow: sometimes(200),
            away: sometimes(100),
        };
        let (fails, dies) = (sometimes(100), sometimes(40));
        let mut config = crate::config::Config::default().policy;
        config.defaults.limits.cooldown_ms = rng.range(0, 60) * 1_000;
        config.defaults.limits.max_per_window = u32::try_from(rng.range(1, 6)).expect("small");
        config.defaults.recovery.stable_for_ms = rng.range(1, 60) * 1_000;
        config.defaults.recovery.max_attempts = 100;
        config.host_max = 1_000;
        config.storm.attempts = 0;
        config.attempts_parallel = u32::try_from(rng.range(1, 4)).expect("small");
        Self {
            config,
            containers: usize::try_from(rng.range(1, NAMES.len() as u64)).expect("small"),
            lines: rng.range(5, 60),
            every_ms: rng.range(500, 30_000),
            troubles,
            fails,
            dies,
            kill_after_ms: rng.range(1_000, 120_000),
            compact_bytes: [600, 4_000, 1 << 20][usize::try_from(rng.range(0, 2)).expect("small")],
            jumps: rng.chance(300),
            people: rng.chance(300),
        }
    }
}

/// What a run was.
struct Ran {
    trace: String,
    lives: u32,
    charges: usize,
}

fn run(seed: u64) -> Ran {
    in_virtual_time(async move {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        let names = &NAMES[..plan.containers];
        let world = World::new(plan.config.clone(), names, Rng::new(rng.next()));
        world.containers.troubles.set(plan.troubles);
        let (stop, stopped) = watch::channel(false);
        let calm = Rc::new(std::cell::Cell::new(false));
        let processes = spawn_local({
            let (world, plan, calm) = (Rc::clone(&world), plan.clone(), Rc::clone(&calm));
            let rng = Rng::new(rng.next());
            async move { processes(&world, &plan, rng, &calm, stopped).await }
        });
        let sent = busy(&world, &plan, &mut rng).await;
        // No more faults, and every sender is heard in the end.
        calm.set(true);
        world.containers.troubles.set(Troubles::default());
        for one in sent {
            let heard = timeout(REST, one).await;
            heard.expect("every sender is heard").expect("no panic");
        }
        at_rest(&world).await;
        served(&world, names).await;
        let _ = stop.send(true);
        let ended = timeout(REST, processes).await;
        ended.expect("it ends").expect("no panic");
        let charges = check(&world, &plan);
        Ran {
            trace: world.trace.borrow().join("\n"),
            lives: world.lives.get(),
            charges,
        }
    })
}

async fn processes(
    world: &Rc<World>,
    plan: &Plan,
    rng: Rng,
    calm: &Rc<std::cell::Cell<bool>>,
    stopped: watch::Receiver<bool>,
) {
    let rng = Arc::new(Mutex::new(rng));
    loop {
        let faults = Faults::default();
        if !calm.get() {
            let (fails, dies, rng) = (plan.fails, plan.dies, Arc::clone(&rng));
            faults.script(move |_| {
                let mut rng = rng.lock();
                match (rng.chance(fails), rng.chance(dies)) {
                    (_, true) => Fate::Dies,
                    (true, _) => Fate::Fails,
                    _ => Fate::Done,
                }
            });
        }
        let killer = spawn_local({
            let faults = faults.clone();
            let after_ms = rng.lock().range(1, plan.kill_after_ms * 2);
            let kills = !calm.get() && plan.dies > 0;
            let calm = Rc::clone(calm);
            async move {
                sleep(Duration::from_millis(after_ms)).await;
                if kills && !calm.get() {
                    faults.kill();
                }
            }
        });
        // In the calm a disk works.
        let healer = spawn_local({
            let (faults, calm) = (faults.clone(), Rc::clone(calm));
            async move {
                while !calm.get() {
                    sleep(Duration::from_millis(500)).await;
                }
                faults.script(|_| Fate::Done);
            }
        });
        let mut stopped = stopped.clone();
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let end = world.live(faults, plan.compact_bytes, stop).await;
        killer.abort();
        healer.abort();
        if end == End::Stopped {
            return;
        }
        let (is_reboot, off_ms) = {
            let mut rng = rng.lock();
            (rng.chance(100), rng.range(10, 20_000))
        };
        if is_reboot && plan.jumps {
            world.note("reboot");
            world.time.reboot();
        }
        sleep(Duration::from_millis(off_ms)).await;
    }
}

/// Lines, each with a sender of its own, and whatever people and clocks do.
async fn busy(world: &Rc<World>, plan: &Plan, rng: &mut Rng) -> Vec<tokio::task::JoinHandle<()>> {
    let mut sent = Vec::new();
    for n in 0..plan.lines {
        sleep(Duration::from_millis(rng.range(1, plan.every_ms * 2))).await;
        let which = rng.range(0, plan.containers as u64 - 1);
        let name = NAMES[usize::try_from(which).expect("small")];
        if plan.people && rng.chance(100) {
            let to = if rng.chance(500) {
                ContainerState::Exited
            } else {
                ContainerState::Running
            };
            world.note(&format!("by hand: {name} {to:?}"));
            world.containers.by_hand(name, to);
        }
        if plan.jumps && rng.chance(50) {
            let by_ms = i64::try_from(rng.range(0, 7_200_000)).expect("small") - 3_600_000;
            world.note(&format!("the wall clock jumps by {by_ms}"));
            world.time.jump_wall(by_ms);
        }
        let (_, container) = world.containers.get(name).expect("named");
        if container.state != ContainerState::Running {
            continue;
        }
        let intent = world.intent(&format!("i{n}"), &container.id);
        for _ in 0..=u64::from(rng.chance(200)) {
            let (world, intent) = (Rc::clone(world), intent.clone());
            let (late_ms, patience) = (rng.range(0, 5_000), Rng::new(rng.next()));
            sent.push(spawn_local(async move {
                sleep(Duration::from_millis(late_ms)).await;
                world.send(intent, patience).await;
            }));
        }
    }
    sent
}

fn records(world: &World) -> Vec<Record> {
    Journal::peek(&world.state.path).expect("readable")
}

/// Nothing pending, no attempt without an end.
async fn at_rest(world: &World) {
    let rest = async {
        loop {
            let records = records(world);
            let mut policy = policy::Policy::new(world.config.clone());
            for record in &records {
                policy.apply(record);
            }
            let now = records.last().map(|r| policy::Now {
                at: r.at,
                wall_ms: r.wall_ms,
            });
            let counts = now.map(|now| policy.counts(now));
            if counts.is_none_or(|c| c.pending + c.in_progress + c.verified == 0) {
                return;
            }
            sleep(Duration::from_secs(10)).await;
        }
    };
    let rested = timeout(REST, rest).await;
    assert!(rested.is_ok(), "it never comes to rest");
}

/// With all faults gone, a fresh line of each is served at once.
async fn served(world: &Rc<World>, names: &[&str]) {
    sleep(Duration::from_secs(24 * 3_600)).await;
    for name in names {
        world.containers.by_hand(name, ContainerState::Running);
        let (_, before) = world.containers.get(name).expect("named");
        let intent = world.intent(&format!("last-{name}"), &before.id);
        let answer = timeout(REST, world.send(intent, Rng::new(9))).await;
        let answer = answer.expect("answered");
        if answer.gate.as_deref() == Some("held") {
            continue;
        }
        assert_eq!(answer.decision, Decision::Restart, "{name}: {answer:?}");
        at_rest(world).await;
        let (_, after) = world.containers.get(name).expect("named");
        assert_eq!(after.state, ContainerState::Running, "{name}");
        assert!(
            after.started_ms != before.started_ms,
            "{name} runs as before"
        );
    }
}

/// The limits, and one end for each charge; how many charges there were.
fn check(world: &World, plan: &Plan) -> usize {
    let records = records(world);
    let mut charges: Vec<(u64, &Charge)> = Vec::new();
    let mut ends: BTreeMap<AttemptId, u32> = BTreeMap::new();
    for record in &records {
        match &record.entry {
            Entry::Charge(charge) => charges.push((record.at.0, charge)),
            Entry::Outcome { attempt, .. } => *ends.entry(*attempt).or_default() += 1,
            _ => {}
        }
    }
    for (i, (at, charge)) in charges.iter().enumerate() {
        let own = charges[..i]
            .iter()
            .filter(|(_, c)| c.target == charge.target);
        let own: Vec<u64> = own.map(|(at, _)| *at).collect();
        let limits = charge.limits;
        let far = own
            .last()
            .is_none_or(|last| at - last >= limits.cooldown_ms);
        assert!(far, "two charges of {} within the cooldown", charge.target);
        let within = own.iter().filter(|b| **b + limits.window_ms > *at).count();
        assert!(
            within < limits.max_per_window as usize,
            "{within} in a window"
        );
        assert_eq!(
            ends.get(&charge.attempt),
            Some(&1),
            "attempt {}",
            charge.attempt
        );
    }
    check_ids(&charges);
    let held = |name: &str| {
        let is_it = |r: &Record| matches!(&r.entry, Entry::Held { target, .. } if target == name);
        records.iter().any(is_it)
    };
    for name in &NAMES[..plan.containers] {
        let (_, container) = world.containers.get(name).expect("named");
        assert!(!container.is_busy(), "{name}");
        let is_up = container.state == ContainerState::Running;
        assert!(is_up || plan.people || held(name), "{name} is left down");
    }
    charges.len()
}

/// Each intent leads to one charge at most.
fn check_ids(charges: &[(u64, &Charge)]) {
    let mut all = Vec::new();
    for (_, charge) in charges {
        if let policy::Cause::Match { ids, .. } = &charge.cause {
            all.extend(ids.iter());
        }
    }
    all.sort();
    let counted = all.len();
    all.dedup();
    assert_eq!(all.len(), counted, "an id has led to two charges");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
    )
}

#[test]
#[allow(clippy::print_stderr)]
fn from_any_seed_the_engine_keeps_its_promises() {
    if let Some(seed) = number("ENGINE_SIM_SEED") {
        eprintln!("{}", run(seed).trace);
        return;
    }
    let seeds = number("ENGINE_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut lives, mut charges) = (0, 0);
    for seed in 0..seeds {
        let ran = std::panic::catch_unwind(|| run(seed));
        let ran = ran.unwrap_or_else(|_| panic!("seed {seed}: again with ENGINE_SIM_SEED={seed}"));
        lives += ran.lives;
        charges += ran.charges;
    }
    eprintln!("engine simulation: {seeds} seeds, {lives} processes, {charges} charges");
    // A simulation in which nothing happens shows nothing.
    assert!(u64::from(lives) > 2 * seeds, "{lives} processes");
    assert!(charges as u64 > seeds, "{charges} charges");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1_000..1_005 {
        let (first, again) = (run(seed).trace, run(seed).trace);
        assert!(first.lines().count() > 5, "{first}");
        assert!(first == again, "seed {seed}:\n{first}\n\n{again}");
    }
}
