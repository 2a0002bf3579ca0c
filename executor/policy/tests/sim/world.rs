//! One run: time, the engine, people, senders, and the executor in between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use policy::{
    Action, AttemptId, Call, Called, ContainerState, Entry, IntentInput, Look, Now, OnRefusal,
    PendingKey, RequestInput, RuleFacts, RuleRemedy, Step, Timestamp, Verdict,
};

use crate::check::{self, check_call, check_charge};
use crate::docker::{Answer, Clock, Docker, StoppedBy};
use crate::exec::{Exec, Faults, Stop, calls};
use crate::options::{NAMES, Options};
use crate::rng::Rng;

/// The policy's clock at the beginning.
const AT0: u64 = 1_000_000_000;
/// The wall clock at the beginning, ms since the epoch.
const WALL0: u64 = 1_760_000_000_000;
/// Longest wait for facts before an intent becomes pending, ms.
const FACTS_MAX_MS: u64 = 100;

/// What comes at its time.
#[derive(Debug, Clone)]
enum Event {
    Print { name: String },
    Deliver { intent: usize },
    Read(Look2),
    Arrive(Look2, Look),
    TimeOut { epoch: u64, attempt: AttemptId },
    Called(Answer),
    Boot,
    People,
    Jump,
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
}

#[derive(Debug)]
pub(crate) struct World {
    rng: Rng,
    options: Options,
    t: u64,
    /// The wall clock's error, ms.
    skew_ms: i64,
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
    answers: VecDeque<Answer>,
    calls_out: BTreeSet<(u64, AttemptId)>,
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

/// What was seen over all seeds; each must be above zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    seen: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, n) in &other.seen {
            *self.seen.entry(what).or_default() += n;
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) fn assert_all_seen(&self) {
        let all = [
            "charge",
            "shadow",
            "restart",
            "start",
            "died",
            "power cut",
            "disk",
            "pending",
            "renewed",
            "ended",
            "retry",
            "repeat",
            "recovered",
            "relapsed",
            "failed",
            "aborted",
            "unknown",
            "held",
            "queued",
            "old facts",
            "no facts",
            "served",
        ];
        for what in all {
            assert!(self.seen.contains_key(what), "never seen: {what}: {self:?}");
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let options = Options::draw(&mut rng);
        let clock = Clock {
            t: 0,
            wall_ms: WALL0,
        };
        let docker = Docker::new(&mut rng, &options, clock);
        let exec = Exec::new(options.config.clone());
        Self {
            rng,
            options,
            t: 0,
            skew_ms: 0,
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
            answers: VecDeque::new(),
            calls_out: BTreeSet::new(),
            trace,
            recorded: String::new(),
            totals: Totals::default(),
        }
    }

    pub(crate) fn totals(self) -> Totals {
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
        self.after(0, Event::Boot);
        for n in 0..self.options.containers {
            let name = NAMES[usize::try_from(n).expect("an index")].to_owned();
            let wait = self.rng.range(0, self.options.print_every_ms * 2);
            self.after(wait, Event::Print { name });
        }
        for (every_ms, event) in [
            (self.options.people_every_ms, Event::People),
            (self.options.jumps_every_ms, Event::Jump),
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
        self.options.cures = 1_000;
        self.options.late = 0;
        self.options.doubles = 0;
        self.docker.away_until = 0;
        let noise = |event: &Event| {
            matches!(
                event,
                Event::Print { .. } | Event::People | Event::Jump | Event::EngineAway
            )
        };
        self.queue.retain(|_, event| !noise(event));
    }

    fn settle(&mut self) {
        // The longest anything may take: a pending target's life (it may have
        // waited for an hour's pause), a watch, and all that follows.
        let end = self.t + 6 * 3_600_000;
        self.go_on_until(end);
    }

    fn go_on_until(&mut self, end: u64) {
        loop {
            let queued = self.queue.first_key_value().map(|((t, _), _)| *t);
            let job = self.docker.next();
            let policy = self.exec.policy.as_ref().and_then(|p| p.poll_timeout());
            let due = policy.map(|at| (at.0 - AT0).max(self.t));
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
            assert!(self.events < 400_000, "it does not come to rest");
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
            Event::Deliver { intent } => self.deliver(intent),
            Event::Read(look) => self.read(look),
            Event::Arrive(ask, look) => self.arrive(&ask, &look),
            Event::TimeOut { epoch, attempt } => {
                if self.calls_out.remove(&(epoch, attempt)) {
                    self.docker.time_out(epoch, attempt);
                    let called = Called::Unclear {
                        why: "timed out".into(),
                    };
                    self.called_soon(vec![Answer {
                        epoch,
                        attempt,
                        called,
                    }]);
                }
            }
            Event::Called(answer) => self.called(&answer),
            Event::Boot => {
                let step = self.exec.boot(self.now());
                // What could not be written now comes back by itself.
                let _ = self.perform(&step, None);
            }
            Event::People => {
                self.people();
                let every_ms = self.options.people_every_ms;
                let wait = self.rng.range(1, every_ms * 2);
                self.after(wait, Event::People);
            }
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

    // ---- containers and their senders ------------------------------------

    fn print(&mut self, name: &str) {
        let wait = self.rng.range(1, self.options.print_every_ms * 2);
        self.after(wait, Event::Print { name: name.into() });
        let clock = self.clock();
        let Some(container) = self.docker.containers.get_mut(name) else {
            return;
        };
        if container.state != ContainerState::Running {
            return;
        }
        if !container.sick {
            container.sick = self.rng.chance(100);
            return;
        }
        let id = container.id.clone();
        self.intent(name, id, clock);
    }

    fn intent(&mut self, name: &str, id: String, clock: Clock) {
        let whole_seconds = self.rng.chance(300);
        let rule = self.rng.pick(&["oom", "nccl", "rare"]);
        let mut line = clock.wall();
        if whole_seconds {
            line.nanos = None;
        }
        let by_name = self.rng.chance(100);
        let input = IntentInput {
            id: format!("i{}", self.intents.len()),
            wire_target: if by_name { name.to_owned() } else { id.clone() },
            wire_id: (!by_name).then_some(id),
            rule: rule.into(),
            known: Some(RuleFacts {
                remedy: RuleRemedy::Restart,
                threshold: (rule == "rare").then_some((2, 120_000)),
            }),
            times: vec![(line.secs, 1)],
            line,
        };
        let index = self.intents.len();
        self.intents.push(Sent {
            input,
            answered: None,
            tries: 0,
        });
        let wait = if self.rng.chance(self.options.late) {
            self.rng.range(1_000, 1_200_000)
        } else {
            self.rng.range(3, 50)
        };
        self.after(wait, Event::Deliver { intent: index });
        while self.rng.chance(self.options.doubles) {
            let wait = self.rng.range(1, 1_300_000);
            self.after(wait, Event::Deliver { intent: index });
        }
    }

    fn deliver(&mut self, index: usize) {
        let now = self.now();
        let Some(policy) = &mut self.exec.policy else {
            return self.send_again(index);
        };
        let input = self.intents[index].input.clone();
        if let Some(answer) = policy.handle_repeat(now, &input.id) {
            self.totals.count("repeat");
            return self.answered(index, answer.verdict);
        }
        let recent = self.recent.get(&input.wire_target);
        if let Some((_, look)) = recent.filter(|(read, _)| self.t - read <= 1_000) {
            let look = look.clone();
            match policy.handle_intent(now, now.at, &input, &look) {
                Some(step) => {
                    self.totals.count("old facts");
                    return self.decided(index, &step, &look, now.at.0);
                }
                None => self.totals.count("fresh facts needed"),
            }
        }
        self.ask(What::Intent(index));
    }

    fn decided(&mut self, index: usize, step: &Step, look: &Look, asked_at: u64) {
        if self.perform(step, Some((look, asked_at))).is_ok() {
            if let Some(answer) = &step.answer {
                self.answered(index, answer.verdict);
            }
        } else {
            self.send_again(index);
        }
    }

    fn answered(&mut self, index: usize, verdict: Verdict) {
        self.intents[index].answered = Some(verdict);
    }

    /// Fluent Bit keeps its chunk.
    fn send_again(&mut self, index: usize) {
        self.totals.count("retry");
        self.intents[index].tries += 1;
        let tries = u64::from(self.intents[index].tries.min(20));
        let wait = self.rng.range(1_000, 3_000 * tries);
        self.after(wait, Event::Deliver { intent: index });
    }

    // ---- people ------------------------------------------------------------

    fn people(&mut self) {
        let names: Vec<String> = self.docker.containers.keys().cloned().collect();
        let clock = self.clock();
        let which = self.rng.range(0, names.len() as u64 - 1);
        let name = names[usize::try_from(which).expect("an index")].clone();
        let deed = self.rng.range(0, 9);
        self.note(&format_args!("people {deed} {name}"));
        let container = self.docker.containers.get_mut(&name).expect("named");
        match (deed, container.state) {
            (0, ContainerState::Running) => container.stop(clock, StoppedBy::Person),
            (1, ContainerState::Exited) => container.start(clock),
            (2, ContainerState::Running) => container.state = ContainerState::Paused,
            (2, ContainerState::Paused) => container.state = ContainerState::Running,
            (3, _) => self.docker.create(&mut self.rng, &name, clock),
            (4, ContainerState::Running) => container.start(clock),
            (5, _) => self.pause(Some(&name)),
            (6, _) => self.pause(None),
            (7, _) => self.resume(None),
            (8, _) => self.resume(Some(&name)),
            (9, _) => {
                let request = RequestInput {
                    target: name,
                    cooldown_ms: self.rng.chance(500).then_some(0),
                    window_ms: None,
                    max_per_window: self.rng.chance(300).then_some(3),
                };
                self.ask(What::Request(request));
            }
            _ => {}
        }
    }

    fn pause(&mut self, target: Option<&str>) {
        let now = self.now();
        let for_ms = self.rng.chance(800).then(|| self.rng.range(1, 600_000));
        if let Some(policy) = &self.exec.policy {
            let step = policy.handle_pause(now, target, for_ms);
            let _ = self.perform(&step, None);
        }
    }

    fn resume(&mut self, target: Option<&str>) {
        let now = self.now();
        if let Some(policy) = &self.exec.policy {
            let step = policy.handle_resume(now, target, "a person");
            let _ = self.perform(&step, None);
        }
    }

    // ---- the executor --------------------------------------------------------

    fn time_out(&mut self) {
        let now = self.now();
        let Some(policy) = &mut self.exec.policy else {
            return;
        };
        let step = policy.handle_timeout(now);
        let due = policy.poll_timeout();
        assert!(
            step != Step::default() || due.is_none_or(|due| now.at < due),
            "a time-out that brings nothing stays due"
        );
        if self.perform(&step, None) == Err(Stop::Disk) {
            self.again_at = self.t + 1_000;
        }
    }

    /// Inspects: read after a while, there after another.
    fn ask(&mut self, what: What) {
        let slow = self.rng.chance(self.options.slow);
        let wait = if slow {
            self.rng.range(50, 3_000)
        } else {
            self.rng.range(0, 8)
        };
        let look = Look2 {
            epoch: self.exec.epoch,
            asked_at: AT0 + self.t,
            what,
        };
        self.after(wait, Event::Read(look));
    }

    fn read(&mut self, ask: Look2) {
        let reference = match &ask.what {
            What::Intent(index) => self.intents[*index].input.wire_target.clone(),
            What::Request(request) => request.target.clone(),
            What::Attempt(_, id) => id.clone(),
            What::Pending(key) => key.as_str().to_owned(),
        };
        let (now, clock) = (self.now(), self.clock());
        let mut look = self.docker.inspect(&reference, clock, now.at);
        let is_late = now.at.0 - ask.asked_at > FACTS_MAX_MS;
        if is_late && matches!(ask.what, What::Intent(_)) {
            look = Look::Unavailable {
                why: "inspect timed out after 100 ms".into(),
            };
        } else if matches!(look, Look::Found(_)) {
            self.recent.insert(reference, (self.t, look.clone()));
        }
        let wait = self.rng.range(0, 3);
        self.after(wait, Event::Arrive(ask, look));
    }

    fn arrive(&mut self, ask: &Look2, look: &Look) {
        let now = self.now();
        if ask.epoch != self.exec.epoch || self.exec.policy.is_none() {
            if let What::Intent(index) = ask.what {
                self.send_again(index);
            }
            return;
        }
        let Some(policy) = &mut self.exec.policy else {
            return;
        };
        let fresh = Some((look, ask.asked_at));
        let step = match &ask.what {
            What::Intent(index) => {
                let input = self.intents[*index].input.clone();
                let arrived = Timestamp(ask.asked_at);
                if matches!(look, Look::Unavailable { .. }) {
                    self.totals.count("no facts");
                }
                match policy.handle_intent(now, arrived, &input, look) {
                    Some(step) => return self.decided(*index, &step, look, ask.asked_at),
                    None => panic!("facts read after the intent came are fresh"),
                }
            }
            What::Request(request) => {
                let step = policy.handle_request(now, request, look);
                let _ = self.perform(&step, fresh);
                return;
            }
            What::Attempt(attempt, _) => {
                self.attempt_looks.insert(*attempt, look.clone());
                policy.handle_attempt_look(now, *attempt, look)
            }
            What::Pending(key) => policy.handle_pending_look(now, key, look),
        };
        if self.perform(&step, fresh) == Err(Stop::Disk) {
            // The engine puts it back in after a second.
            self.after(1_000, Event::Arrive(ask.clone(), look.clone()));
        }
    }

    fn called(&mut self, answer: &Answer) {
        let now = self.now();
        if answer.epoch != self.exec.epoch {
            return;
        }
        let Some(policy) = &mut self.exec.policy else {
            return;
        };
        let step = policy.handle_called(now, answer.attempt, &answer.called);
        if self.perform(&step, None) == Err(Stop::Disk) {
            self.after(1_000, Event::Called(answer.clone()));
        }
    }

    /// Journal, answer, actions; dies in between where the seed says so.
    fn perform(&mut self, step: &Step, fresh: Option<(&Look, u64)>) -> Result<(), Stop> {
        let now = self.now();
        if *step != Step::default() {
            self.note(&format_args!("{step:?}"));
        }
        let faults = Faults {
            dies: self.options.dies,
            disk: self.options.disk,
            compacts: self.options.compacts,
        };
        self.check_step(step, fresh);
        if let Err(stop) = self.exec.commit(&mut self.rng, faults, now, step) {
            self.stopped(stop);
            return Err(stop);
        }
        self.seen(step);
        for action in &step.actions {
            if self.rng.chance(self.options.dies) {
                self.stopped(Stop::Died);
                // It was written: whoever asked may have been answered or not.
                return Err(Stop::Died);
            }
            self.act(action);
        }
        Ok(())
    }

    fn stopped(&mut self, stop: Stop) {
        if stop == Stop::Disk {
            self.totals.count("disk");
            return;
        }
        self.totals.count("died");
        if self.rng.chance(self.options.power) {
            self.totals.count("power cut");
            self.exec.power_cut();
            let clock = self.clock();
            self.docker.power_cut(&mut self.rng, clock);
        } else {
            self.exec.die();
        }
        let wait = if self.rng.chance(100) {
            self.rng.range(60_000, 600_000)
        } else {
            self.rng.range(10, 30_000)
        };
        self.after(wait, Event::Boot);
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::LookForAttempt {
                attempt,
                container_id,
            } => self.ask(What::Attempt(*attempt, container_id.clone())),
            Action::LookForPending { key } => self.ask(What::Pending(key.clone())),
            Action::Call {
                attempt,
                call,
                container_id,
                wait_ms,
            } => self.call(*attempt, *call, container_id, *wait_ms),
            Action::Tell(_) => {}
        }
    }

    fn call(&mut self, attempt: AttemptId, call: Call, id: &str, wait_ms: u64) {
        let epoch = self.exec.epoch;
        self.exec.history.calls.push((AT0 + self.t, attempt, call));
        self.totals.count(match call {
            Call::Restart => "restart",
            Call::Start => "start",
        });
        let clock = self.clock();
        let who = (epoch, attempt);
        match self
            .docker
            .call(&mut self.rng, &self.options, clock, who, call, id)
        {
            Some(answer) => self.called_soon(vec![answer]),
            None => {
                self.calls_out.insert(who);
                self.after(wait_ms, Event::TimeOut { epoch, attempt });
            }
        }
    }

    fn called_soon(&mut self, answers: Vec<Answer>) {
        for answer in &answers {
            self.calls_out.remove(&(answer.epoch, answer.attempt));
        }
        self.answers.extend(answers);
        while let Some(answer) = self.answers.pop_front() {
            let wait = self.rng.range(0, 3);
            self.after(wait, Event::Called(answer));
        }
    }

    // ---- checks ----------------------------------------------------------------

    fn check_step(&mut self, step: &Step, fresh: Option<(&Look, u64)>) {
        for entry in &step.entries {
            match entry {
                Entry::Charge(charge) => {
                    let (look, asked_at) = fresh.expect("a charge rests on a look");
                    check_charge(charge, &self.exec.config, look, asked_at);
                    assert!(step.durable, "a charge is durable");
                }
                Entry::Sent { attempt, call } => {
                    let history = &self.exec.history;
                    let charge = history.charge(*attempt).expect("sent under a charge");
                    let sent = history.restarts_sent_wall_ms(*attempt);
                    check_call(charge, *call, self.attempt_looks.get(attempt), &sent);
                }
                _ => {}
            }
        }
        for action in calls(step) {
            let Action::Call { attempt, call, .. } = action else {
                continue;
            };
            let mark = Entry::Sent {
                attempt: *attempt,
                call: *call,
            };
            assert!(step.entries.contains(&mark), "a call has its mark");
        }
    }

    /// What was written.
    fn seen(&mut self, step: &Step) {
        let now = self.now();
        for entry in &step.entries {
            match entry {
                Entry::Charge(charge) => {
                    self.totals
                        .count(if charge.shadow { "shadow" } else { "charge" });
                }
                Entry::Outcome { outcome, .. } => self.totals.count(outcome.as_str()),
                Entry::Pending(_) if step.durable => self.totals.count("pending"),
                Entry::Pending(_) => self.totals.count("renewed"),
                Entry::PendingEnded { .. } => self.totals.count("ended"),
                Entry::Held { .. } => self.totals.count("held"),
                _ => {}
            }
        }
        let about_calls = self.options.config.attempts_parallel as usize;
        let counts = self.exec.policy.as_ref().map(|p| p.counts(now));
        if counts.is_some_and(|c| c.in_progress > about_calls) {
            self.totals.count("queued");
        }
    }

    fn check_end(&mut self) {
        let history = &self.exec.history;
        history.check_limits(&self.exec.config);
        let kept_ms = self.options.config.max_age_ms + policy::ID_GRACE_MS;
        history.check_attempts(true, kept_ms, self.has_jumped);
        history.check_calls(&self.exec.marks_lost);
        self.exec.check_memory(self.now());
        let now = self.now();
        let policy = self.exec.policy.as_ref().expect("it runs in the end");
        let counts = policy.counts(now);
        assert_eq!(counts.pending, 0, "something is pending for ever");
        assert_eq!((counts.in_progress, counts.verified), (0, 0));
        for (index, sent) in self.intents.iter().enumerate() {
            assert!(
                sent.answered.is_some(),
                "intent {index} was never answered: {sent:?}"
            );
        }
        self.check_none_left_down();
    }

    /// Invariant 7: what we stopped never stays down unnoticed.
    fn check_none_left_down(&self) {
        let now = self.now();
        let status = self.exec.policy.as_ref().map(|p| p.status(now));
        let status = status.expect("it runs in the end");
        for container in self.docker.containers.values() {
            let StoppedBy::Healer(attempt) = container.stopped_by else {
                continue;
            };
            // After a jump the engine's times do not tell whose stop it was.
            let untold = self.has_jumped || self.exec.marks_lost.contains(&attempt);
            if container.state != ContainerState::Exited || untold {
                continue;
            }
            let target = status.targets.iter().find(|t| t.target == container.name);
            let held = target.is_some_and(|t| t.held.is_some());
            let end = self.exec.history.records.iter().find(|record| {
                matches!(&record.entry, Entry::Outcome { attempt: a, .. } if *a == attempt)
            });
            let end = end.expect("every attempt has ended");
            // The engine hung for longer than anybody waits, and stopped it then:
            // told as somebody else's doing.
            let finished_ms = container.finished_at.map_or(0, check::wall_ms);
            let wait_ms = self
                .exec
                .history
                .charge(attempt)
                .map_or(0, |c| c.stop_wait_ms);
            let sent = self.exec.history.restarts_sent_wall_ms(attempt);
            let in_time = sent.iter().any(|ms| finished_ms <= ms + wait_ms);
            if finished_ms >= end.wall_ms || !in_time {
                continue;
            }
            // Somebody may have released the hold since.
            let was_held = self.exec.history.records.iter().any(|record| {
                matches!(&record.entry, Entry::Held { target, .. } if *target == container.name)
            });
            assert!(
                held || was_held,
                "{} was stopped by attempt {attempt} and left down",
                container.name
            );
        }
    }

    /// With all faults gone a fresh match is served at once.
    fn serve(&mut self) {
        self.resume(None);
        self.t += 7 * 24 * 3_600_000;
        let names: Vec<String> = self.docker.containers.keys().cloned().collect();
        for name in names {
            let clock = self.clock();
            let container = self.docker.containers.get_mut(&name).expect("named");
            let config = self.exec.config.target(&name);
            let healable = config.enabled
                && !config.protected
                && !config.dry_run
                && !self.exec.config.dry_run
                && self.exec.config.on_refusal == OnRefusal::Pending;
            if container.state != ContainerState::Running {
                container.start(clock);
            }
            container.sick = true;
            let (id, before) = (container.id.clone(), container.started_at);
            self.t += self.exec.config.host_window_ms;
            if !healable {
                continue;
            }
            // Two lines: one rule has a threshold of two.
            for _ in 0..2 {
                self.t += 100;
                let clock = self.clock();
                self.intent(&name, id.clone(), clock);
            }
            self.go_on_until(self.t + 1_300_000);
            let container = &self.docker.containers[&name];
            if !self.has_jumped {
                assert_ne!(container.started_at, before, "{name} was not served");
                self.totals.count("served");
            }
        }
    }

    // ---- bits --------------------------------------------------------------------

    fn after(&mut self, wait_ms: u64, event: Event) {
        self.events += 1;
        self.queue.insert((self.t + wait_ms, self.events), event);
    }

    fn clock(&self) -> Clock {
        Clock {
            t: self.t,
            wall_ms: (WALL0 + self.t).saturating_add_signed(self.skew_ms),
        }
    }

    fn now(&self) -> Now {
        Now {
            at: Timestamp(AT0 + self.t),
            wall_ms: self.clock().wall_ms,
        }
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
