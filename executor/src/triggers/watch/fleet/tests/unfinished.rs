//! Workers that are down with their work undone.

use policy::WallTime;

use super::*;
use crate::config::{Died, Gap, Unfinished};
use crate::triggers::{DIED, UNFINISHED};

const FILE: &str = "/data/progress.json";
const LEFT: AtPath = AtPath::File { size: 12 };
const AFTER_MS: u64 = 60_000;
const DONE: What = What::Die { exit_code: Some(0) };

fn settings(gap: Gap) -> Unfinished {
    Unfinished {
        file: FILE.to_owned(),
        after_ms: AFTER_MS,
        gap,
    }
}

fn bench(gap: Gap) -> Bench {
    Bench::watching(|watch| {
        watch.unfinished.insert("c1".to_owned(), settings(gap));
    })
}

impl Bench {
    /// Runs in an unbroken stream, and ends with 0; what the look at its end shows.
    fn ends_by_itself(&mut self) -> Seen {
        self.list("running", RowHealth::Unknown).pass(5_000);
        let down = down(self, 0);
        self.event(DONE).pass(2_000).finds(&down);
        down
    }

    /// It was down when the first list came.
    fn is_down_from_the_start(&mut self) -> Seen {
        let down = down(self, 0);
        self.list("exited", RowHealth::Unknown).finds(&down);
        down
    }

    /// The file was asked for, and this is there; panics where it was not.
    #[track_caller]
    fn finds_file(&mut self, found: AtPath) -> &mut Self {
        self.answers(Ok(Some(found)))
    }

    #[track_caller]
    fn answers(&mut self, found: Result<Option<AtPath>, String>) -> &mut Self {
        assert_eq!(self.finds, [FILE], "files asked for");
        self.finds.clear();
        self.fleet.found(self.now(), &id(1), found);
        self.pass(1)
    }

    /// Nothing more is looked at or told, whatever time passes and lists show.
    #[track_caller]
    fn is_left_alone(&mut self) {
        for _ in 0..200 {
            self.list("exited", RowHealth::Unknown).pass(60_000);
            assert_eq!(self.looks, [""; 0]);
            assert_eq!(self.finds, [""; 0]);
        }
        self.is_quiet();
    }
}

#[test]
fn one_that_ends_by_itself_with_0_and_leaves_its_file_is_to_be_started() {
    let mut bench = bench(Gap::Tell);
    let down = bench.ends_by_itself();
    bench.pass(AFTER_MS - 2_010);
    assert_eq!(bench.finds, [""; 0], "not down for so long");
    bench.pass(10).finds_file(LEFT);
    let fired = bench.fired();
    assert_eq!((&*fired.rule, fired.sign), (UNFINISHED, Sign::Ended));
    assert_eq!(fired.remedy, RuleRemedy::Restart);
    assert_eq!(Some(fired.found), down.container.finished_at);
    assert_eq!(
        fired.why,
        "ended by itself with exit code 0, and it has left /data/progress.json (12 bytes), so \
         its work is not done"
    );
}

#[test]
fn it_fires_again_every_five_minutes_while_the_file_is_there_and_it_is_down() {
    let mut bench = bench(Gap::Tell);
    bench.ends_by_itself();
    bench.pass(AFTER_MS);
    for round in 0..3 {
        assert_eq!(bench.finds_file(LEFT).fired().round, round);
        bench.pass(299_000);
        assert_eq!(bench.finds, [""; 0]);
        bench.pass(1_000);
    }
    // Somebody has seen to it.
    bench.finds_file(AtPath::Nothing).is_left_alone();
}

#[test]
fn a_start_ends_it_and_the_next_end_is_another() {
    let mut bench = bench(Gap::Tell);
    bench.ends_by_itself();
    bench.pass(AFTER_MS).event(What::Start).is_quiet();
    // What was under way is of the end before.
    bench.finds.clear();
    bench.fleet.found(bench.now(), &id(1), Ok(Some(LEFT)));
    bench.pass(400_000).is_quiet();
    let down = down(&bench, 0);
    bench.event(DONE).pass(2_000).finds(&down);
    bench.pass(AFTER_MS).finds_file(LEFT);
    assert_eq!(bench.fired().round, 0);
}

#[test]
fn without_the_file_it_has_done_its_work_and_is_asked_for_no_more() {
    let mut bench = bench(Gap::Start);
    bench.ends_by_itself();
    bench.pass(AFTER_MS).finds_file(AtPath::Nothing);
    bench.is_left_alone();
}

#[test]
fn an_empty_file_counts_and_what_is_no_file_does_not() {
    for (found, fires) in [
        (AtPath::File { size: 0 }, true),
        (AtPath::Directory, false),
        (AtPath::Special, false),
    ] {
        let mut bench = bench(Gap::Tell);
        bench.ends_by_itself();
        bench.pass(AFTER_MS).finds_file(found);
        assert_eq!(bench.told.len(), usize::from(fires), "{found:?}");
        if !fires {
            bench.is_left_alone();
        }
    }
}

#[test]
fn died_wins_where_the_exit_code_is_its() {
    for (died, exit_code, rule) in [
        (Died::Failed, 1, DIED),
        (Died::Failed, 0, UNFINISHED),
        (Died::Any, 0, DIED),
        (Died::Off, 1, UNFINISHED),
    ] {
        let mut bench = Bench::watching(|watch| {
            watch.defaults.died = died;
            let settings = settings(Gap::Start);
            watch.unfinished.insert("c1".to_owned(), settings);
        });
        bench.list("running", RowHealth::Unknown);
        let down = down(&bench, exit_code);
        bench.event(DIE).pass(2_000).finds(&down);
        for _ in 0..3 {
            bench.pass(AFTER_MS).list("exited", RowHealth::Unknown);
            if !bench.looks.is_empty() {
                bench.finds(&down);
            }
        }
        if rule == UNFINISHED {
            bench.finds_file(LEFT);
        }
        assert_eq!(bench.finds, [""; 0], "{died:?} {exit_code}");
        assert_eq!(bench.fired().rule, rule, "{died:?} {exit_code}");
    }
}

/// Whatever is configured, and also where the stream breaks afterwards.
#[test]
fn what_somebody_stopped_is_left_alone_in_whichever_order_it_is_told() {
    let cases: [&[What]; 6] = [
        &[TERM, DONE, What::Stop],
        &[DONE, TERM, What::Stop],
        &[DONE, What::Stop],
        &[What::Kill { signal: Some(9) }, DONE],
        &[What::Kill { signal: Some(1) }, DONE],
        &[What::Pause, DONE],
    ];
    for events in cases {
        for (was_listed, breaks) in [(true, false), (true, true), (false, false)] {
            let mut bench = bench(Gap::Start);
            if was_listed {
                bench.list("running", RowHealth::Unknown);
            } else {
                bench.event(What::Create);
            }
            let down = down(&bench, 0);
            for event in events {
                bench.event(*event);
            }
            bench.pass(2_000);
            if !bench.looks.is_empty() {
                bench.finds(&down);
            }
            if breaks {
                bench.fleet.broken();
                bench.fleet.connected(bench.now());
            }
            bench.list("exited", RowHealth::Unknown);
            if !bench.looks.is_empty() {
                bench.finds(&down);
            }
            bench.is_left_alone();
        }
    }
}

#[test]
fn where_nobody_saw_the_end_a_person_is_told_unless_it_is_set_otherwise() {
    let told = (RuleRemedy::Escalate, Sign::EndedUnseen, "may have stopped");
    let started = (RuleRemedy::Restart, Sign::Ended, "gap = \"start\"");
    for (gap, expected) in [
        (Gap::Tell, Some(told)),
        (Gap::Start, Some(started)),
        (Gap::Off, None),
    ] {
        let mut bench = bench(gap);
        let down = bench.is_down_from_the_start();
        bench.pass(AFTER_MS);
        let Some((remedy, sign, words)) = expected else {
            bench.is_left_alone();
            continue;
        };
        let fired = bench.finds_file(LEFT).fired();
        assert_eq!((fired.remedy, fired.sign), (remedy, sign), "{gap:?}");
        assert_eq!(Some(fired.found), down.container.finished_at);
        assert!(fired.why.contains(words), "{}", fired.why);
        // Where nothing is done about it, there is less reason to say it again.
        for (pause_ms, is_asked) in [(310_000, gap == Gap::Start), (3_300_000, true)] {
            bench.pass(pause_ms);
            assert_eq!(bench.finds.len(), usize::from(is_asked), "{gap:?}");
        }
    }
}

#[test]
fn an_end_in_a_gap_or_before_it_is_one_that_nobody_saw() {
    // In a gap.
    let mut in_it = bench(Gap::Tell);
    in_it.list("running", RowHealth::Unknown);
    in_it.fleet.broken();
    in_it.fleet.connected(in_it.now());
    in_it.is_down_from_the_start();
    in_it.pass(AFTER_MS).finds_file(LEFT);
    assert_eq!(in_it.fired().sign, Sign::EndedUnseen);
    // Before one: what people did in it is not known.
    let mut before = bench(Gap::Tell);
    let down = before.ends_by_itself();
    before.fleet.broken();
    before.pass(AFTER_MS).is_quiet();
    assert_eq!(before.finds, [""; 0]);
    before.fleet.connected(before.now());
    before.list("exited", RowHealth::Unknown).finds(&down);
    before.pass(AFTER_MS).finds_file(LEFT);
    assert_eq!(before.fired().sign, Sign::EndedUnseen);
}

/// While there is no stream at all, lists are all there is.
#[test]
fn without_events_a_person_is_told_of_what_lists_show() {
    let mut bench = bench(Gap::Tell);
    bench.fleet.broken();
    bench.list("running", RowHealth::Unknown).pass(60_000);
    bench.is_down_from_the_start();
    bench.pass(AFTER_MS).finds_file(LEFT);
    assert_eq!(bench.fired().sign, Sign::EndedUnseen);
    // It runs again, and ends once more.
    bench.list("running", RowHealth::Unknown).pass(60_000);
    bench.is_down_from_the_start();
    bench.pass(AFTER_MS).finds_file(LEFT);
    assert_eq!(bench.fired().round, 0);
}

#[test]
fn one_that_its_restart_policy_always_starts_is_down_because_somebody_stopped_it() {
    let mut bench = bench(Gap::Start);
    let mut down = down(&bench, 0);
    down.container.exit.is_always_restarted = true;
    bench.list("exited", RowHealth::Unknown).finds(&down);
    bench.is_left_alone();
}

#[test]
fn the_label_leaves_it_alone_whether_its_end_was_seen_or_not() {
    for was_seen in [true, false] {
        let mut bench = bench(Gap::Start);
        let mut down = down(&bench, 0);
        if was_seen {
            bench.list("running", RowHealth::Unknown).event(DONE);
        }
        let labels = &mut down.container.labels;
        labels.insert("healer.died".to_owned(), "off".to_owned());
        bench.pass(2_000).list("exited", RowHealth::Unknown);
        bench.finds(&down).list("exited", RowHealth::Unknown);
        if !bench.looks.is_empty() {
            bench.finds(&down);
        }
        bench.is_left_alone();
    }
}

#[test]
fn one_that_is_not_down_is_none_of_ours() {
    for state in ["created", "paused", "restarting", "removing", "dead"] {
        let mut bench = bench(Gap::Start);
        bench.list(state, RowHealth::Unknown).pass(AFTER_MS);
        assert_eq!(bench.looks, [""; 0], "{state}");
        bench.is_quiet();
    }
}

#[test]
fn a_project_that_is_taken_down_meanwhile_explains_it_until_it_comes_back() {
    let compose = [("com.docker.compose.project", "shop")];
    let mut bench = bench(Gap::Tell);
    bench
        .event_of(1, What::Start, &compose)
        .event_of(2, What::Start, &compose);
    let down = down(&bench, 0);
    bench
        .event_of(1, DONE, &compose)
        .pass(2_000)
        .finds(&down)
        .pass(20_000)
        .event_of(2, TERM, &compose);
    for _ in 0..100 {
        bench.pass(60_000).is_quiet();
        assert_eq!(bench.finds, [""; 0]);
    }
    bench.event_of(2, What::Start, &compose);
    bench.pass(60_000).finds_file(LEFT).fired();
}

#[test]
fn a_look_that_fails_is_no_answer_and_is_taken_again() {
    let mut bench = bench(Gap::Tell);
    bench.ends_by_itself();
    bench.pass(AFTER_MS);
    for _ in 0..3 {
        bench.answers(Err("the engine hangs".to_owned())).is_quiet();
        bench.pass(59_000);
        assert_eq!(bench.finds, [""; 0]);
        bench.pass(1_000);
    }
    bench.finds_file(LEFT).fired();
}

#[test]
fn what_could_not_be_told_is_told_again_as_the_same() {
    let mut bench = bench(Gap::Tell);
    let down = bench.ends_by_itself();
    bench.pass(AFTER_MS);
    bench.finds.clear();
    bench.fleet.found(bench.now(), &id(1), Ok(Some(LEFT)));
    let orders = bench.fleet.orders(bench.now());
    let [Order::Tell(signal)] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    bench.fleet.told(bench.now(), signal, false);
    assert_eq!(bench.fleet.orders(bench.now()), [], "not at once");
    bench.pass(1_000).finds(&down);
    assert_eq!(Signal::Fired(bench.finds_file(LEFT).fired()), *signal);
}

#[test]
fn a_container_that_is_gone_is_forgotten() {
    let mut bench = bench(Gap::Tell);
    bench.ends_by_itself();
    bench.pass(AFTER_MS).answers(Ok(None));
    assert_eq!(bench.fleet.len(), 0);
    assert_eq!(bench.fleet.looks_out, 0);
}

#[test]
fn no_more_files_than_looks_are_asked_for_at_once() {
    let all = 10_u8;
    let mut bench = Bench::watching(|watch| {
        for n in 0..all {
            let name = format!("c{n}");
            watch.unfinished.insert(name, settings(Gap::Tell));
        }
    });
    let mut finished = down(&bench, 0);
    for n in 0..all {
        bench.event_of(n, What::Start, &[]).event_of(n, DONE, &[]);
    }
    bench.pass(2_000);
    let mut seen = 0;
    while let Some(next) = bench.looks.pop() {
        finished.container.name = format!("c{}", u8::from_str_radix(&next, 16).unwrap());
        finished.container.id.clone_from(&next);
        bench.fleet.seen(bench.now(), &next, Ok(Some(&finished)));
        bench.pass(1);
        seen += 1;
    }
    assert_eq!(seen, all);
    bench.pass(AFTER_MS);
    let at_once = (bench.finds.len(), bench.fleet.looks_out);
    assert_eq!(at_once, (LOOKS_MAX, LOOKS_MAX));
}

#[test]
fn new_settings_are_taken_up_with_the_next_list() {
    let mut bench = bench(Gap::Off);
    let down = bench.is_down_from_the_start();
    bench.is_left_alone();
    let mut config = Config::default();
    let named = [("c1".to_owned(), settings(Gap::Tell))];
    config.watch.unfinished = named.into();
    bench.fleet.configure(Rc::new(Settings {
        policy: config.policy,
        watch: config.watch,
    }));
    bench.list("exited", RowHealth::Unknown).finds(&down);
    bench.pass(AFTER_MS).finds_file(LEFT).fired();
}

#[test]
fn where_it_is_not_configured_nothing_is_looked_at() {
    let mut bench = Bench::new();
    bench.list("exited", RowHealth::Unknown).pass(AFTER_MS);
    assert_eq!(bench.looks, [""; 0]);
    bench.ends_by_itself();
    bench.is_left_alone();
}

/// What may happen to a worker, and to the stream of events.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Starts,
    EndsByItself,
    IsStopped,
    StreamBreaks,
    StreamIsBack,
    IsListed,
}

fn anything() -> impl Strategy<Value = Happens> {
    use Happens::*;
    prop_oneof![
        3 => Just(Starts),
        2 => Just(EndsByItself),
        2 => Just(IsStopped),
        1 => Just(StreamBreaks),
        2 => Just(StreamIsBack),
        3 => Just(IsListed),
    ]
}

/// A worker as it really is, with its file always there.
struct Worker {
    bench: Bench,
    is_streaming: bool,
    is_running: bool,
    finished_at: Option<WallTime>,
    /// By a person, and whether the stream told of it.
    was_stopped: Option<bool>,
}

impl Worker {
    fn ends(&mut self, events: &[What], was_stopped: Option<bool>) {
        if !std::mem::take(&mut self.is_running) {
            return;
        }
        self.finished_at = Some(self.bench.wall());
        self.was_stopped = was_stopped;
        for event in events {
            self.hears(*event);
        }
    }

    fn hears(&mut self, event: What) {
        if self.is_streaming {
            self.bench.event(event);
        }
    }

    fn list(&mut self) {
        let state = if self.is_running { "running" } else { "exited" };
        self.bench.list(state, RowHealth::Unknown);
    }

    fn happens(&mut self, what: Happens) {
        match what {
            Happens::Starts if !self.is_running => {
                self.is_running = true;
                self.hears(What::Start);
            }
            Happens::EndsByItself => self.ends(&[DONE], None),
            Happens::IsStopped => {
                let is_told = self.is_streaming;
                self.ends(&[TERM, DONE, What::Stop], Some(is_told));
            }
            Happens::StreamBreaks => {
                self.is_streaming = false;
                self.bench.fleet.broken();
            }
            Happens::StreamIsBack if !self.is_streaming => {
                self.is_streaming = true;
                self.bench.fleet.connected(self.bench.now());
                self.list();
            }
            Happens::IsListed => self.list(),
            Happens::Starts | Happens::StreamIsBack => {}
        }
    }

    /// The engine's answers to what was asked.
    fn is_looked_at(&mut self) {
        let mut now = down(&self.bench, 0);
        now.container.finished_at = self.finished_at;
        if self.is_running {
            now.container.state = ContainerState::Running;
        }
        for id in std::mem::take(&mut self.bench.looks) {
            let at = self.bench.now();
            self.bench.fleet.seen(at, &id, Ok(Some(&now)));
        }
        for _ in std::mem::take(&mut self.bench.finds) {
            let at = self.bench.now();
            self.bench.fleet.found(at, &id(1), Ok(Some(LEFT)));
        }
        self.bench.pass(1);
    }
}

proptest! {
    /// Whatever happens, with whatever gaps: what a person stopped is never started, unless
    /// nobody saw it and the owner has said that this is to be started.
    #[test]
    fn what_a_person_stopped_stays_stopped(
        starts in any::<bool>(),
        happenings in prop::collection::vec((anything(), 0_u64..90_000), 0..60),
    ) {
        let gap = if starts { Gap::Start } else { Gap::Tell };
        let mut worker = Worker {
            bench: bench(gap),
            is_streaming: true,
            is_running: true,
            finished_at: None,
            was_stopped: None,
        };
        worker.list();
        for (what, pause_ms) in happenings {
            worker.happens(what);
            for pause_ms in [0, pause_ms, 0] {
                worker.bench.pass(pause_ms);
                worker.is_looked_at();
            }
            for signal in std::mem::take(&mut worker.bench.told) {
                let Signal::Fired(fired) = signal else { continue };
                if worker.is_running || Some(fired.found) != worker.finished_at {
                    // No longer true, which the gate `not-ended` finds.
                    prop_assert!(!worker.is_streaming, "{what:?}: {fired:?}");
                    continue;
                }
                let may_start = match worker.was_stopped {
                    None => true,
                    Some(was_told) => starts && !was_told,
                };
                prop_assert!(fired.sign == Sign::EndedUnseen || may_start, "{what:?}: {fired:?}");
                prop_assert!(fired.sign == Sign::Ended || !starts, "{what:?}: {fired:?}");
            }
            prop_assert!(worker.bench.fleet.looks_out <= LOOKS_MAX);
        }
    }
}
