//! A fake engine: containers with a life of their own, and restart and start
//! calls in the steps in which the real one takes them, each of which may fail,
//! hang, or be cut off when the engine goes away. Commands run in a container beside
//! that, end with it, and may end it themselves.

use std::collections::BTreeMap;

use policy::{
    AttemptId, Call, Called, ContainerState, Exec, Facts, Health, HealthStatus, Look, Parent,
    Relation, Seen, Timestamp, WallTime,
};

use crate::means::OUTER;
use crate::options::{NAMES, Options};
use crate::rng::Rng;

/// Who stopped a container last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoppedBy {
    Nobody,
    Healer(AttemptId),
    Person,
    Power,
}

#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) state: ContainerState,
    pub(crate) started_at: WallTime,
    pub(crate) finished_at: Option<WallTime>,
    pub(crate) stopped_by: StoppedBy,
    /// By our own stop, which was to keep it down.
    pub(crate) is_down_for_good: bool,
    pub(crate) labels: BTreeMap<String, String>,
    /// It prints matches.
    pub(crate) sick: bool,
    /// It does not answer, without a word.
    pub(crate) is_hung: bool,
    has_check: bool,
    stop_timeout_s: Option<i64>,
    /// How long the process takes to stop, ms.
    stop_ms: u64,
    job: Option<Job>,
    commands: Vec<Command>,
    /// A signal that ends processes was sent to it since its start, and the executor was told.
    asked_to_end_at: Option<Timestamp>,
    /// A person's stop that takes its time is over then.
    ends_at: Option<u64>,
    /// Names and ids of what it depends on, as they were when it was created.
    parents: Vec<(String, Relation, String)>,
}

/// A command that runs in a container.
#[derive(Debug, Clone)]
struct Command {
    attempt: AttemptId,
    epoch: u64,
    /// What it does may be done long before it ends.
    acts_at: Option<u64>,
    /// None: never by itself.
    ends_at: Option<u64>,
    called: Called,
    effect: Effect,
    answered: bool,
}

/// What a command does to its container in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    None,
    Cures,
    EndsIt,
    StartsItAnew { cured: bool },
}

/// What is no target of ours, and may be gone.
#[derive(Debug, Clone)]
pub(crate) struct Outer {
    pub(crate) id: String,
    pub(crate) state: ContainerState,
    pub(crate) health: Option<HealthStatus>,
    /// It runs once: where it has exited its work is done.
    pub(crate) is_done: bool,
}

impl Outer {
    fn has_done(&self) -> bool {
        self.is_done && self.state == ContainerState::Exited
    }
}

/// A restart or start that the engine works on.
#[derive(Debug, Clone)]
struct Job {
    call: Call,
    attempt: AttemptId,
    stops_at: Option<u64>,
    starts_at: u64,
    start_fails: bool,
    lie: Lie,
    answered: bool,
    /// Who waits for an answer.
    epoch: u64,
}

/// What an engine that lies says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// Done, and it has not even begun.
    NothingDone,
    /// The opposite of what came of it.
    TheOpposite,
}

/// An answer for the executor.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) epoch: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) called: Called,
}

#[derive(Debug)]
pub(crate) struct Docker {
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) outer: Option<Outer>,
    pub(crate) away_until: u64,
    /// How often it has lied.
    pub(crate) lies: u64,
    made: u64,
}

/// Both clocks as the engine sees them, and the executor's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) t: u64,
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
}

impl Clock {
    pub(crate) fn wall(self) -> WallTime {
        WallTime {
            secs: self.wall_ms / 1_000,
            nanos: Some(u32::try_from(self.wall_ms % 1_000).expect("below 1,000") * 1_000_000),
        }
    }
}

impl Docker {
    pub(crate) fn new(rng: &mut Rng, options: &Options, clock: Clock) -> Self {
        let mut docker = Self {
            containers: BTreeMap::new(),
            outer: None,
            away_until: 0,
            lies: 0,
            made: 0,
        };
        docker.bring_outer(true);
        for n in 0..options.containers {
            let name = NAMES[usize::try_from(n).expect("an index")];
            docker.create(rng, options, name, clock);
        }
        docker
    }

    /// A new container under this name; an old one is gone.
    pub(crate) fn create(&mut self, rng: &mut Rng, options: &Options, name: &str, clock: Clock) {
        self.made += 1;
        let mut labels = BTreeMap::new();
        if name == NAMES[NAMES.len() - 1] {
            labels.insert("healer.enable".into(), "true".into());
        }
        if rng.chance(150) {
            let value = rng.pick(&["90s", "1s", "bad"]);
            labels.insert("healer.cooldown".into(), value.into());
        }
        for (label, values, often) in [
            ("healer.max_per_window", ["1", "9", "0"], 60),
            ("healer.enable", ["false", "true", "perhaps"], 40),
            ("healer.protect", ["true", "false", "perhaps"], 30),
            ("healer.dry_run", ["true", "false", "perhaps"], 60),
            ("healer.maintenance", ["true", "false", "perhaps"], 30),
            ("com.docker.swarm.service.name", ["web", "web", "web"], 15),
        ] {
            if rng.chance(often) {
                labels.insert(label.into(), rng.pick(&values).into());
            }
        }
        let parents = options.means.parents.get(name);
        let id_of = |parent: &String| match self.containers.get(parent) {
            Some(container) => container.id.clone(),
            None => self
                .outer
                .as_ref()
                .map_or("?".into(), |outer| outer.id.clone()),
        };
        let parents = parents.into_iter().flatten();
        let parents = parents.map(|(parent, how)| (parent.clone(), *how, id_of(parent)));
        let container = Container {
            parents: parents.collect(),
            commands: Vec::new(),
            asked_to_end_at: None,
            ends_at: None,
            is_down_for_good: false,
            name: name.into(),
            id: format!("{:064x}", self.made),
            state: ContainerState::Running,
            started_at: clock.wall(),
            finished_at: None,
            stopped_by: StoppedBy::Nobody,
            labels,
            sick: rng.chance(600),
            is_hung: rng.chance(options.hung),
            has_check: rng.chance(300),
            stop_timeout_s: rng.pick(&[None, Some(1), Some(30)]),
            stop_ms: rng.pick(&[10, 500, 3_000, 9_000]),
            job: None,
        };
        self.containers.insert(name.into(), container);
    }

    pub(crate) fn is_away(&self, clock: Clock) -> bool {
        clock.t < self.away_until
    }

    /// Inspect by name, by id, or by the beginning of an id.
    pub(crate) fn inspect(&self, reference: &str, clock: Clock, read_at: Timestamp) -> Look {
        if self.is_away(clock) {
            return Look::Unavailable {
                why: "connection refused".into(),
            };
        }
        let found = self
            .containers
            .values()
            .find(|c| c.name == reference || c.id == reference);
        match found {
            None => Look::Gone,
            Some(container) => {
                let mut facts = container.facts(clock, read_at);
                let parents = container.parents.iter();
                facts.parents = parents.map(|p| self.parent(p, clock, read_at)).collect();
                Look::Found(facts)
            }
        }
    }

    /// A network is a very container's, all else goes by the name.
    fn parent(
        &self,
        (name, relation, id): &(String, Relation, String),
        clock: Clock,
        read_at: Timestamp,
    ) -> Parent {
        let is_it = |its: &String| *relation == Relation::Needs || its == id;
        let own = self.containers.get(name).filter(|c| is_it(&c.id));
        let outer = self
            .outer
            .as_ref()
            .filter(|o| name == OUTER && is_it(&o.id));
        let seen = match (own, outer) {
            (Some(container), _) => {
                let facts = container.facts(clock, read_at);
                let (state, health) = (facts.state, facts.health.map(|h| h.status));
                Seen::Found { state, health }
            }
            (None, Some(outer)) if outer.has_done() && *relation == Relation::Needs => Seen::Done,
            (None, Some(outer)) => {
                let (state, health) = (outer.state, outer.health);
                Seen::Found { state, health }
            }
            (None, None) => Seen::Gone,
        };
        let is_there = seen != Seen::Gone;
        Parent {
            name: if is_there { name } else { id }.clone(),
            relation: *relation,
            seen,
        }
    }

    /// What is no target of ours is there, the same or another one.
    pub(crate) fn bring_outer(&mut self, is_new: bool) {
        if is_new || self.outer.is_none() {
            self.made += 1;
        }
        self.outer = Some(Outer {
            id: format!("{:064x}", self.made),
            state: ContainerState::Running,
            health: None,
            is_done: false,
        });
    }

    /// Sees to it that nothing stands in the way of what depends on others.
    pub(crate) fn mend_parents_of(&mut self, name: &str, clock: Clock) {
        if self.outer.is_none() {
            self.bring_outer(true);
        } else if let Some(outer) = &mut self.outer {
            (outer.state, outer.health) = (ContainerState::Running, None);
        }
        let names = self.containers.keys().cloned().collect::<Vec<_>>();
        for parent in names.iter().filter(|parent| *parent != name) {
            let container = self.containers.get_mut(parent).expect("named");
            if container.state != ContainerState::Running {
                container.start(clock);
            }
            (container.sick, container.is_hung) = (false, false);
        }
        let ids: BTreeMap<String, String> = self
            .containers
            .values()
            .map(|c| (c.name.clone(), c.id.clone()))
            .chain(self.outer.iter().map(|o| (OUTER.to_owned(), o.id.clone())))
            .collect();
        for (parent, _, id) in &mut self.containers.get_mut(name).expect("named").parents {
            id.clone_from(&ids[parent]);
        }
    }

    /// A call arrives. Some are answered at once.
    pub(crate) fn call(
        &mut self,
        rng: &mut Rng,
        options: &Options,
        clock: Clock,
        who: (u64, AttemptId),
        (call, exec): (Call, Option<&Exec>),
        id: &str,
    ) -> Option<Answer> {
        let (epoch, attempt) = who;
        let answer = |called| {
            Some(Answer {
                epoch,
                attempt,
                called,
            })
        };
        let refused = |status, message: &str| Called::Refused {
            status,
            message: message.into(),
        };
        if self.is_away(clock) {
            return answer(Called::Unclear {
                why: "connection refused".into(),
            });
        }
        let Some(container) = self.containers.values_mut().find(|c| c.id == id) else {
            return answer(refused(404, "no such container"));
        };
        if let Some(exec) = exec {
            if container.state != ContainerState::Running {
                return answer(refused(409, "container is not running"));
            }
            if rng.chance(options.refuses) {
                return answer(refused(500, "no"));
            }
            let command = Command::begin(rng, options, clock, who, exec);
            container.commands.push(command);
            return None;
        }
        let can = [ContainerState::Running, ContainerState::Exited].contains(&container.state);
        if !can || container.job.is_some() {
            return answer(refused(409, "conflict"));
        }
        if rng.chance(options.refuses) {
            return answer(refused(500, "no"));
        }
        let hangs = rng.chance(options.hangs);
        let delay_ms = if hangs {
            rng.range(10_000, 90_000)
        } else {
            rng.range(1, 400)
        };
        let stops_at = (call != Call::Start && container.state == ContainerState::Running)
            .then(|| clock.t + delay_ms + container.stopping_ms());
        if stops_at.is_some() && options.means.asks > 0 {
            // The engine tells of our signals, too.
            container.asked_to_end_at = Some(clock.at);
        }
        container.job = Some(Job {
            call,
            attempt,
            stops_at,
            starts_at: stops_at.unwrap_or(clock.t + delay_ms) + rng.range(5, 900),
            start_fails: rng.chance(options.halves),
            lie: if rng.chance(options.lies) {
                rng.pick(&[Lie::NothingDone, Lie::TheOpposite])
            } else {
                Lie::None
            },
            answered: false,
            epoch,
        });
        None
    }

    /// The client has waited long enough and gone.
    pub(crate) fn time_out(&mut self, epoch: u64, attempt: AttemptId) {
        let jobs = self.containers.values_mut().filter_map(|c| c.job.as_mut());
        for job in jobs.filter(|j| (j.epoch, j.attempt) == (epoch, attempt)) {
            job.answered = true;
        }
        let commands = self.containers.values_mut().flat_map(|c| &mut c.commands);
        for command in commands.filter(|c| (c.epoch, c.attempt) == (epoch, attempt)) {
            command.answered = true;
        }
    }

    /// When something happens next by itself.
    pub(crate) fn next(&self) -> Option<u64> {
        let jobs = self.containers.values().filter_map(|c| c.job.as_ref());
        let commands = self.containers.values().flat_map(|c| &c.commands);
        let ends = self.containers.values().filter_map(|c| c.ends_at);
        jobs.map(|j| j.stops_at.unwrap_or(j.starts_at))
            .chain(ends)
            .chain(commands.filter_map(|c| c.acts_at.or(c.ends_at)))
            .min()
    }

    /// Jobs go on.
    pub(crate) fn run(&mut self, rng: &mut Rng, options: &Options, clock: Clock) -> Vec<Answer> {
        let mut answers = Vec::new();
        for container in self.containers.values_mut() {
            if container.ends_at.is_some_and(|at| at <= clock.t) {
                container.stop(clock, StoppedBy::Person);
            }
            answers.extend(container.end_commands(clock));
            let Some(mut job) = container.job.take() else {
                continue;
            };
            if job.stops_at.is_some_and(|at| at <= clock.t) {
                job.stops_at = None;
                if job.lie != Lie::NothingDone && container.state == ContainerState::Running {
                    container.stop(clock, StoppedBy::Healer(job.attempt));
                    container.is_down_for_good = job.call == Call::Stop;
                }
            }
            if job.stops_at.is_some() || clock.t < job.starts_at {
                container.job = Some(job);
                continue;
            }
            let fails = Called::Refused {
                status: 500,
                message: "cannot start".into(),
            };
            let is_done = if job.lie == Lie::NothingDone {
                true
            } else if job.start_fails {
                job.lie == Lie::TheOpposite
            } else if job.call == Call::Stop {
                job.lie != Lie::TheOpposite
            } else {
                if container.state != ContainerState::Running || job.call == Call::Restart {
                    container.start(clock);
                    container.sick = !rng.chance(options.cures);
                    container.is_hung &= !rng.chance(options.cures);
                }
                job.lie != Lie::TheOpposite
            };
            let called = if is_done { Called::Done } else { fails };
            self.lies += u64::from(job.lie != Lie::None);
            if !job.answered {
                answers.push(Answer {
                    epoch: job.epoch,
                    attempt: job.attempt,
                    called,
                });
            }
        }
        answers
    }

    /// The engine goes away; what it worked on stays as it is.
    pub(crate) fn go_away(&mut self, clock: Clock, until: u64) -> Vec<Answer> {
        self.away_until = until;
        let mut cut = Vec::new();
        let unclear = |epoch, attempt| Answer {
            epoch,
            attempt,
            called: Called::Unclear {
                why: "connection reset".into(),
            },
        };
        for container in self.containers.values_mut() {
            // Commands go on; nobody is told how they end.
            for command in container.commands.iter_mut().filter(|c| !c.answered) {
                command.answered = true;
                cut.push(unclear(command.epoch, command.attempt));
            }
            let Some(job) = container.job.take() else {
                continue;
            };
            // The signal is out: the process still stops.
            if job.stops_at.is_some() && job.attempt % 2 == 0 {
                container.stop(clock, StoppedBy::Healer(job.attempt));
                container.is_down_for_good = job.call == Call::Stop;
            }
            if !job.answered {
                cut.push(unclear(job.epoch, job.attempt));
            }
        }
        cut
    }

    /// Nobody who was told of signals is there any more.
    pub(crate) fn forget_signals(&mut self) {
        for container in self.containers.values_mut() {
            container.asked_to_end_at = None;
        }
    }

    /// Attempts' numbers begin anew: what was done under the old ones has no name.
    pub(crate) fn forget_attempts(&mut self) {
        for container in self.containers.values_mut() {
            if let StoppedBy::Healer(attempt) = &mut container.stopped_by {
                *attempt = 0;
            }
            if let Some(job) = &mut container.job {
                job.attempt = 0;
            }
            for command in &mut container.commands {
                command.attempt = 0;
            }
        }
    }

    /// The machine starts anew: everything stopped, most of it starts again.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng, clock: Clock) {
        for container in self.containers.values_mut() {
            container.job = None;
            container.commands.clear();
            if container.state == ContainerState::Running {
                container.stop(clock, StoppedBy::Power);
                if rng.chance(800) {
                    container.start(clock);
                }
            }
        }
    }
}

impl Container {
    fn facts(&self, clock: Clock, read_at: Timestamp) -> Facts {
        let up_ms = clock.wall_ms.saturating_sub(self.started_at.secs * 1_000);
        let status = if up_ms < 8_000 {
            HealthStatus::Starting
        } else if self.sick {
            HealthStatus::Unhealthy
        } else {
            HealthStatus::Healthy
        };
        Facts {
            id: self.id.clone(),
            name: self.name.clone(),
            state: self.state,
            started_at: Some(self.started_at),
            finished_at: self.finished_at,
            health: self.has_check.then_some(Health {
                status,
                checked_at: Some(WallTime {
                    secs: clock.wall_ms / 1_000,
                    nanos: Some(0),
                }),
                start_period_ms: 8_000,
                interval_ms: 2_000,
            }),
            labels: self.labels.clone(),
            stop_timeout_s: self.stop_timeout_s,
            is_self_or_peer: false,
            parents: Vec::new(),
            asked_to_end_at: self.asked_to_end_at,
            read_at,
        }
    }

    fn stopping_ms(&self) -> u64 {
        let timeout_s = self.stop_timeout_s.unwrap_or(10);
        let timeout_ms = u64::try_from(timeout_s).unwrap_or(600) * 1_000;
        self.stop_ms.min(timeout_ms)
    }

    /// A person asks it to end; one that does not hear of it goes on.
    pub(crate) fn ask_to_end(&mut self, clock: Clock, does_end: bool) {
        self.asked_to_end_at = Some(clock.at);
        self.ends_at = does_end.then(|| clock.t + self.stopping_ms());
    }

    pub(crate) fn stop(&mut self, clock: Clock, by: StoppedBy) {
        self.ends_at = None;
        self.state = ContainerState::Exited;
        self.finished_at = Some(clock.wall());
        self.stopped_by = by;
        self.kill_commands(clock);
    }

    pub(crate) fn start(&mut self, clock: Clock) {
        self.state = ContainerState::Running;
        self.started_at = clock.wall();
        self.stopped_by = StoppedBy::Nobody;
        self.is_down_for_good = false;
        (self.asked_to_end_at, self.ends_at) = (None, None);
        self.kill_commands(clock);
    }

    /// Nothing runs on in a container that ends.
    fn kill_commands(&mut self, clock: Clock) {
        for command in &mut self.commands {
            (command.acts_at, command.ends_at) = (None, Some(clock.t));
            command.called = failed("exit code 137");
        }
    }

    /// Those whose time has come: what they do, and what is answered.
    fn end_commands(&mut self, clock: Clock) -> Vec<Answer> {
        let mut answers = Vec::new();
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= clock.t);
        while let Some(n) = self.commands.iter().position(|c| is_due(c.acts_at)) {
            self.commands[n].acts_at = None;
            let effect = self.commands[n].effect;
            self.affect(effect, clock);
        }
        while let Some(n) = self.commands.iter().position(|c| is_due(c.ends_at)) {
            let command = self.commands.remove(n);
            if !command.answered {
                answers.push(Answer {
                    epoch: command.epoch,
                    attempt: command.attempt,
                    called: command.called,
                });
            }
        }
        answers
    }
}

impl Container {
    /// What a command does.
    fn affect(&mut self, effect: Effect, clock: Clock) {
        let is_up = self.state == ContainerState::Running;
        match effect {
            // Nothing happens in what is paused.
            Effect::EndsIt | Effect::StartsItAnew { .. } if !is_up => {}
            Effect::None => {}
            Effect::Cures => (self.sick, self.is_hung) = (false, false),
            Effect::EndsIt => self.stop(clock, StoppedBy::Nobody),
            Effect::StartsItAnew { cured } => {
                self.stop(clock, StoppedBy::Nobody);
                self.start(clock);
                if cured {
                    (self.sick, self.is_hung) = (false, false);
                }
            }
        }
    }
}

impl Command {
    fn begin(
        rng: &mut Rng,
        options: &Options,
        clock: Clock,
        (epoch, attempt): (u64, AttemptId),
        exec: &Exec,
    ) -> Self {
        let means = &options.means;
        let hangs = rng.chance(means.hangs);
        let takes_ms = if rng.chance(100) {
            rng.range(1, 90_000)
        } else {
            rng.range(1, exec.timeout_ms)
        };
        let called = if rng.chance(means.fails) {
            failed("exit code 1")
        } else if rng.chance(means.unclear) {
            Called::Unclear {
                why: "no exit code".into(),
            }
        } else {
            Called::Done
        };
        let cured = rng.chance(means.cures);
        let effect = match (rng.chance(means.ends), cured) {
            (true, _) if rng.chance(300) => Effect::EndsIt,
            (true, cured) => Effect::StartsItAnew { cured },
            (false, true) => Effect::Cures,
            (false, false) => Effect::None,
        };
        let acts_ms = if rng.chance(500) {
            rng.range(0, takes_ms)
        } else {
            takes_ms
        };
        Self {
            attempt,
            epoch,
            acts_at: (!hangs || acts_ms < takes_ms).then_some(clock.t + acts_ms),
            ends_at: (!hangs).then_some(clock.t + takes_ms),
            called,
            effect,
            answered: false,
        }
    }
}

fn failed(why: &str) -> Called {
    Called::Failed { why: why.into() }
}
