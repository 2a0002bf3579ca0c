//! One run: time, the engine, people, senders, and the executor in between.

mod end;
mod nature;
mod people;
mod senders;
mod steps;
mod triggers;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use policy::{
    AttemptId, Called, IntentInput, Look, Now, PendingKey, RequestInput, Timestamp, Verdict,
};

use crate::docker::{Answer, Clock, Docker};
use crate::exec::{Exec, policy_ns};
use crate::model::{Model, Seen};
use crate::options::{NAMES, Options};
use crate::rng::Rng;
use crate::totals::Totals;

/// The policy's clock at the beginning.
const AT0: u64 = 1_000_000_000;
/// The wall clock at the beginning, ms since the epoch.
const WALL0: u64 = 1_760_000_000_000;
/// Longest wait for facts before an intent becomes pending, ms.
const FACTS_MAX_MS: u64 = 100;

/// What comes at its time.
#[derive(Debug, Clone)]
enum Event {
    Print {
        name: String,
    },
    Watch {
        name: String,
    },
    Died {
        name: String,
    },
    Unseen {
        name: String,
    },
    Deliver {
        intent: usize,
    },
    Read(Look2),
    Arrive(Look2, Box<Look>),
    TimeOut {
        who: (u64, AttemptId),
        call: u64,
        called: Called,
    },
    Called(Answer),
    Boot {
        stood_still_ms: u64,
    },
    People,
    Jump,
    Revive {
        name: String,
    },
    Aim {
        name: String,
    },
    Outer,
    EngineAway,
    Flush,
}

/// What becomes of a run's trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    Off,
    Recorded,
    /// As it comes, so that a failing run shows how it came to it.
    Shown,
}

/// A look on its way: who asked, and when.
#[derive(Debug, Clone)]
struct Look2 {
    epoch: u64,
    asked_at: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Intent(usize),
    Request(RequestInput),
    Attempt(AttemptId, String),
    Pending(PendingKey),
    Target(String),
}

#[derive(Debug)]
pub(crate) struct World {
    rng: Rng,
    /// For what came later, so that a seed without it is what it was.
    later: Rng,
    options: Options,
    t: u64,
    /// The wall clock's error, ms.
    skew_ms: i64,
    /// The policy's clock stood still for so long while the machine was off, ms.
    off_ms: u64,
    has_jumped: bool,
    is_over: bool,
    again_at: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    docker: Docker,
    exec: Exec,
    intents: Vec<Sent>,
    /// The newest look of each container's, for answers from memory.
    recent: BTreeMap<String, (u64, Look)>,
    /// What each attempt's last look showed.
    attempt_looks: BTreeMap<AttemptId, Look>,
    /// What this process has seen of its attempts, and of what is pending: when it
    /// may be looked at next, none while a look is out.
    seen: Seen,
    looked: BTreeMap<PendingKey, Option<Timestamp>>,
    begun_at: Timestamp,
    /// When a write last failed.
    unwritten_at: u64,
    /// When a look for an attempt last found the engine away, ms on the wall.
    away_wall_ms: BTreeMap<AttemptId, u64>,
    answers: VecDeque<Answer>,
    /// Which of its calls each process waits for.
    calls_out: BTreeMap<(u64, AttemptId), u64>,
    trace: Trace,
    recorded: String,
    totals: Totals,
}

/// An intent and what its sender knows of it.
#[derive(Debug, Clone)]
struct Sent {
    input: IntentInput,
    answered: Option<Verdict>,
    tries: u32,
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let mut apart = Rng::new(seed.wrapping_add(1 << 40));
        let mut later = Rng::new(seed.wrapping_add(2 << 40));
        let mut options = Options::draw(&mut rng, &mut apart);
        options.means.draw_later(&mut later);
        let means = &options.means;
        means.set_unfinished(&mut later, &mut options.config);
        let clock = Clock {
            t: 0,
            at: Timestamp(AT0),
            wall_ms: WALL0,
        };
        let docker = Docker::new(&mut rng, &options, clock);
        let exec = Exec::new(options.config.clone());
        Self {
            rng,
            later,
            options,
            t: 0,
            skew_ms: 0,
            off_ms: 0,
            has_jumped: false,
            is_over: false,
            again_at: 0,
            queue: BTreeMap::new(),
            events: 0,
            docker,
            exec,
            intents: Vec::new(),
            recent: BTreeMap::new(),
            attempt_looks: BTreeMap::new(),
            seen: Seen::default(),
            looked: BTreeMap::new(),
            begun_at: Timestamp(AT0),
            unwritten_at: 0,
            away_wall_ms: BTreeMap::new(),
            answers: VecDeque::new(),
            calls_out: BTreeMap::new(),
            trace,
            recorded: String::new(),
            totals: Totals::default(),
        }
    }

    pub(crate) fn totals(mut self) -> Totals {
        self.totals.steps = self.exec.steps;
        self.totals.policy_ns = policy_ns();
        self.totals.count_many("lied", self.docker.lies);
        self.totals
    }

    pub(crate) fn trace(&self) -> &str {
        &self.recorded
    }

    pub(crate) fn run(&mut self) {
        self.begin();
        self.go_on_until(self.options.busy_ms);
        self.calm_down();
        self.settle();
        self.check_end();
        self.serve();
    }

    fn begin(&mut self) {
        self.t = 1;
        self.after(0, Event::Boot { stood_still_ms: 0 });
        for n in 0..self.options.containers {
            let name = NAMES[usize::try_from(n).expect("an index")].to_owned();
            let wait = self.rng.range(0, self.options.print_every_ms * 2);
            self.after(wait, Event::Print { name: name.clone() });
            if self.options.hung > 0 {
                let wait = self.rng.range(0, 20_000);
                self.after(wait, Event::Watch { name });
            }
        }
        for (every_ms, event) in [
            (self.options.people_every_ms, Event::People),
            (self.options.jumps_every_ms, Event::Jump),
            (self.options.means.outer_every_ms(), Event::Outer),
            (self.options.engine_away_every_ms, Event::EngineAway),
            (5_000, Event::Flush),
        ] {
            if every_ms > 0 {
                let wait = self.rng.range(0, every_ms * 2);
                self.after(wait, event);
            }
        }
    }

    /// No more faults, no more people, no more matches.
    fn calm_down(&mut self) {
        self.is_over = true;
        self.options.dies = 0;
        self.options.disk = 0;
        self.options.refuses = 0;
        self.options.hangs = 0;
        self.options.halves = 0;
        self.options.slow = 0;
        self.options.lies = 0;
        self.options.loses = 0;
        self.options.damages = 0;
        self.options.means.calm_down();
        self.options.cures = 1_000;
        self.options.late = 0;
        self.options.doubles = 0;
        self.docker.away_until = 0;
        let noise = |event: &Event| {
            matches!(
                event,
                Event::Print { .. }
                    | Event::Watch { .. }
                    | Event::Aim { .. }
                    | Event::Outer
                    | Event::People
                    | Event::Jump
                    | Event::EngineAway
            )
        };
        self.queue.retain(|_, event| !noise(event));
    }

    fn settle(&mut self) {
        // The longest anything may take: a pending target's life (it may have
        // waited for an hour's pause), a watch, and all that follows.
        let end = self.t + 6 * 3_600_000;
        // Until all is quiet, and for long enough for holds and storms to end.
        let mut quiet_for = 0;
        while self.t < end && quiet_for < 3 {
            self.go_on_until(self.t + 1_200_000);
            let now = self.now();
            let counts = self.exec.policy.as_ref().map(|p| p.counts(now));
            let is_quiet = counts.is_some_and(|c| c.pending + c.in_progress + c.verified == 0);
            // A clock that was set back has to come to where holds began, before a health
            // check can have found anything since.
            let records = self.exec.history.records.iter();
            let latest_ms = records.map(|record| record.wall_ms).max().unwrap_or(0);
            let is_quiet = is_quiet && now.wall_ms >= latest_ms;
            quiet_for = if is_quiet { quiet_for + 1 } else { 0 };
        }
    }

    fn go_on_until(&mut self, end: u64) {
        loop {
            let queued = self.queue.first_key_value().map(|((t, _), _)| *t);
            let job = self.docker.next();
            let policy = self.exec.policy.as_ref().and_then(|p| p.poll_timeout());
            let due = policy.map(|at| (at.0 + self.off_ms).saturating_sub(AT0).max(self.t));
            // After a write that failed the engine waits a second.
            let due = due.map(|t| t.max(self.again_at));
            let Some(next) = [queued, job, due].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            self.t = next.max(self.t);
            self.events += 1;
            assert!(self.events < 400_000, "rest: it does not come to rest");
            if job == Some(next) {
                let clock = self.clock();
                let answers = self.docker.run(&mut self.rng, &self.options, clock);
                self.called_soon(answers);
            } else if queued == Some(next) {
                if let Some((_, event)) = self.queue.pop_first() {
                    self.happen(event);
                }
            } else {
                self.time_out();
            }
        }
        self.t = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Print { name } => self.print(&name),
            Event::Watch { name } => self.watch(&name),
            Event::Died { name } => self.died(&name),
            Event::Unseen { name } => self.ended_unseen(&name),
            Event::Deliver { intent } => self.deliver(intent),
            Event::Read(look) => self.read(look),
            Event::Arrive(ask, look) => self.arrive(&ask, &look),
            Event::TimeOut { who, call, called } => {
                if self.calls_out.get(&who) == Some(&call) {
                    let (epoch, attempt) = who;
                    self.docker.time_out(epoch, attempt);
                    self.called_soon(vec![Answer {
                        epoch,
                        attempt,
                        called,
                    }]);
                }
            }
            Event::Called(answer) => self.called(&answer),
            Event::Boot { stood_still_ms } => {
                self.off_ms += stood_still_ms;
                let now = self.now();
                if self.exec.epoch == 0 && self.rng.chance(200) {
                    self.import();
                } else if self.exec.epoch > 0 && self.rng.chance(self.options.damages) {
                    self.damage();
                }
                self.seen = Seen::boot(&self.model());
                self.looked.clear();
                self.begun_at = now.at;
                let step = self.exec.boot(now);
                // What could not be written now comes back by itself.
                let _ = self.write_and_look(&step);
            }
            Event::People => {
                self.people();
                let every_ms = self.options.people_every_ms;
                let wait = self.rng.range(1, every_ms * 2);
                self.after(wait, Event::People);
            }
            Event::Revive { name } => self.revive(&name),
            Event::Aim { name } => self.aim(&name),
            Event::Outer => self.outer(),
            Event::Jump => {
                self.has_jumped = true;
                self.skew_ms = self
                    .rng
                    .pick(&[-3_600_000, -60_000, -500, 0, 500, 86_400_000]);
                let wait = self.rng.range(1, self.options.jumps_every_ms * 2);
                self.after(wait, Event::Jump);
            }
            Event::EngineAway => {
                let until = self.t + self.rng.range(100, 120_000);
                let cut = self.docker.go_away(self.clock(), until);
                self.docker.forget_signals();
                self.called_soon(cut);
                let wait = self.rng.range(1, self.options.engine_away_every_ms * 2);
                self.after(wait, Event::EngineAway);
            }
            Event::Flush => {
                self.exec.flush();
                if !self.is_over {
                    self.after(5_000, Event::Flush);
                }
            }
        }
    }

    fn after(&mut self, wait_ms: u64, event: Event) {
        self.events += 1;
        self.queue.insert((self.t + wait_ms, self.events), event);
    }

    fn clock(&self) -> Clock {
        Clock {
            t: self.t,
            at: Timestamp(AT0 + self.t - self.off_ms),
            wall_ms: (WALL0 + self.t).saturating_add_signed(self.skew_ms + self.drifted_ms()),
        }
    }

    /// The second opinion, on what is on record by now.
    fn model(&self) -> Model<'_> {
        Model::new(&self.exec.history.records, &self.exec.config, self.now())
    }

    /// How far the wall clock has gone astray by itself.
    fn drifted_ms(&self) -> i64 {
        i64::try_from(self.t).expect("not for ever") * self.options.drift_ppm / 1_000_000
    }

    fn now(&self) -> Now {
        let Clock { at, wall_ms, .. } = self.clock();
        Now { at, wall_ms }
    }

    fn note(&mut self, what: &dyn std::fmt::Display) {
        match self.trace {
            Trace::Off => {}
            Trace::Recorded => {
                let _ = writeln!(self.recorded, "{} {what}", self.t);
            }
            #[allow(clippy::print_stderr)]
            Trace::Shown => eprintln!("{} {what}", self.t),
        }
    }
}
