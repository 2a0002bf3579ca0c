//! A fake engine: containers with a life of their own, and restart and start
//! calls in the steps in which the real one takes them, each of which may fail,
//! hang, or be cut off when the engine goes away.

use std::collections::BTreeMap;

use policy::{
    AttemptId, Call, Called, ContainerState, Facts, Health, HealthStatus, Look, Timestamp, WallTime,
};

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
    pub(crate) away_until: u64,
    /// How often it has lied.
    pub(crate) lies: u64,
    made: u64,
}

/// Both clocks as the engine sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) t: u64,
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
            away_until: 0,
            lies: 0,
            made: 0,
        };
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
        let container = Container {
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
            Some(container) => Look::Found(container.facts(clock, read_at)),
        }
    }

    /// A call arrives. Some are answered at once.
    pub(crate) fn call(
        &mut self,
        rng: &mut Rng,
        options: &Options,
        clock: Clock,
        who: (u64, AttemptId),
        call: Call,
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
        let stops_at = (call == Call::Restart && container.state == ContainerState::Running)
            .then(|| clock.t + delay_ms + container.stopping_ms());
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
    }

    /// When something happens next by itself.
    pub(crate) fn next(&self) -> Option<u64> {
        let jobs = self.containers.values().filter_map(|c| c.job.as_ref());
        jobs.map(|j| j.stops_at.unwrap_or(j.starts_at)).min()
    }

    /// Jobs go on.
    pub(crate) fn run(&mut self, rng: &mut Rng, options: &Options, clock: Clock) -> Vec<Answer> {
        let mut answers = Vec::new();
        for container in self.containers.values_mut() {
            let Some(mut job) = container.job.take() else {
                continue;
            };
            if job.stops_at.is_some_and(|at| at <= clock.t) {
                job.stops_at = None;
                if job.lie != Lie::NothingDone && container.state == ContainerState::Running {
                    container.stop(clock, StoppedBy::Healer(job.attempt));
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
        for container in self.containers.values_mut() {
            let Some(job) = container.job.take() else {
                continue;
            };
            // The signal is out: the process still stops.
            if job.stops_at.is_some() && job.attempt % 2 == 0 {
                container.stop(clock, StoppedBy::Healer(job.attempt));
            }
            if !job.answered {
                cut.push(Answer {
                    epoch: job.epoch,
                    attempt: job.attempt,
                    called: Called::Unclear {
                        why: "connection reset".into(),
                    },
                });
            }
        }
        cut
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
        }
    }

    /// The machine starts anew: everything stopped, most of it starts again.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng, clock: Clock) {
        for container in self.containers.values_mut() {
            container.job = None;
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
            read_at,
        }
    }

    fn stopping_ms(&self) -> u64 {
        let timeout_s = self.stop_timeout_s.unwrap_or(10);
        let timeout_ms = u64::try_from(timeout_s).unwrap_or(600) * 1_000;
        self.stop_ms.min(timeout_ms)
    }

    pub(crate) fn stop(&mut self, clock: Clock, by: StoppedBy) {
        self.state = ContainerState::Exited;
        self.finished_at = Some(clock.wall());
        self.stopped_by = by;
    }

    pub(crate) fn start(&mut self, clock: Clock) {
        self.state = ContainerState::Running;
        self.started_at = clock.wall();
        self.stopped_by = StoppedBy::Nobody;
    }
}
