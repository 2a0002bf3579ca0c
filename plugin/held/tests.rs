use super::*;

use std::collections::BTreeSet;

use proptest::prelude::*;

fn intent(target: &str, id: &str, second: u64) -> Intent {
    Intent {
        id: id.into(),
        target: TargetRef::Name(target.into()),
        rule: "cuda-oom".into(),
        remedy: Remedy::Restart,
        times: vec![(second, 1)],
        last: LastMatch(second, None),
        sample: "x".repeat(4_096),
        tag: "t".into(),
        source: "fluent-bit".into(),
    }
}

fn settle(held: &mut Held, now_ms: u64, fate: Fate, intents: &[&Intent]) -> Settled {
    let fates: Vec<(&Intent, Fate)> = intents.iter().map(|intent| (*intent, fate)).collect();
    held.settle(now_ms, &fates)
}

#[test]
fn the_first_chunk_of_a_pair_goes_back_and_later_ones_are_folded() {
    let mut held = Held::default();
    let first = intent("a", "1", 10);
    assert_eq!(held.fold_ahead(0, std::slice::from_ref(&first)), None);
    assert!(settle(&mut held, 0, Fate::Unanswered, &[&first]).goes_back);
    assert_eq!(held.fold_ahead(1, &[intent("a", "2", 11)]), Some(1));
    assert_eq!(held.fold_ahead(2, &[intent("a", "3", 11)]), Some(1));
    assert_eq!(held.kept(), 1);
    // The holder itself comes again and is sent, not folded.
    assert_eq!(held.fold_ahead(3, std::slice::from_ref(&first)), None);
    let due = held.due(4, 100);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].times, [(11, 2)]);
    assert!(due[0].sample.len() <= SAMPLE_KEPT_BYTES_MAX);
}

#[test]
fn what_was_sent_does_not_change_and_what_is_folded_meanwhile_is_another_intent() {
    let mut held = Held::default();
    settle(&mut held, 0, Fate::Unanswered, &[&intent("a", "1", 10)]);
    held.fold_ahead(0, &[intent("a", "2", 11)]);
    let sent = held.due(0, 100);
    held.fold_ahead(0, &[intent("a", "3", 12)]);
    assert_eq!(held.due(RESEND_MS - 1, 100), []);
    assert_eq!(held.due(RESEND_MS, 100), sent);
    held.delivered(&sent[0]);
    let next = held.due(RESEND_MS, 100);
    assert_eq!(next.len(), 1);
    assert_ne!(next[0].id, sent[0].id);
    assert_eq!(next[0].times, [(12, 1)]);
    held.delivered(&next[0]);
    assert_eq!(held.kept(), 0);
}

#[test]
fn a_chunk_that_lost_a_race_after_it_was_sent_keeps_its_id() {
    let mut held = Held::default();
    assert!(settle(&mut held, 0, Fate::Unanswered, &[&intent("a", "1", 10)]).goes_back);
    let loser = settle(&mut held, 0, Fate::Unanswered, &[&intent("a", "2", 10)]);
    assert_eq!((loser.goes_back, loser.folded), (false, 1));
    let ids: Vec<String> = held.due(0, 100).into_iter().map(|i| i.id).collect();
    assert_eq!(ids, ["2"]);
}

#[test]
fn a_chunk_that_comes_a_second_time_is_kept_once() {
    let mut held = Held::default();
    settle(&mut held, 0, Fate::Unanswered, &[&intent("a", "1", 10)]);
    let kept = intent("a", "2", 10);
    settle(&mut held, 0, Fate::Unanswered, &[&kept]);
    // As after a replay: merged into another intent it would count twice.
    assert_eq!(held.fold_ahead(1, std::slice::from_ref(&kept)), None);
    let again = settle(&mut held, 1, Fate::Unsent, &[&kept]);
    assert_eq!((again.goes_back, again.folded), (false, 0));
    assert_eq!(held.kept(), 1);
}

#[test]
fn a_holder_that_is_not_seen_for_a_minute_is_given_up() {
    let mut held = Held::default();
    settle(&mut held, 0, Fate::Unsent, &[&intent("a", "1", 10)]);
    let next = [intent("a", "2", 10)];
    assert!(held.fold_ahead(HOLDER_MS - 1, &next).is_some());
    assert!(held.fold_ahead(HOLDER_MS, &next).is_none());
    assert!(settle(&mut held, HOLDER_MS, Fate::Unsent, &[&next[0]]).goes_back);
    // The old one comes after all: sent under its id, then kept under it.
    let old = intent("a", "1", 10);
    assert!(
        held.fold_ahead(HOLDER_MS, std::slice::from_ref(&old))
            .is_none()
    );
    assert!(!settle(&mut held, HOLDER_MS, Fate::Unanswered, &[&old]).goes_back);
    assert_eq!(held.due(2 * HOLDER_MS, 100)[0].times, [(10, 1)]);
    assert!(held.take().iter().any(|kept| kept.id == "1"));
}

#[test]
fn the_table_is_bounded_and_room_is_made_by_forgetting_the_given_up() {
    let mut held = Held::default();
    for i in 0..PAIRS_MAX {
        let one = intent(&format!("c{i}"), &format!("{i}"), 1);
        assert!(settle(&mut held, 0, Fate::Unsent, &[&one]).goes_back);
    }
    let more = intent("more", "more", 1);
    let settled = settle(&mut held, 1, Fate::Unsent, &[&more]);
    assert_eq!((settled.goes_back, settled.lost), (false, 1));
    assert_eq!(held.take_forgotten(), 0);
    assert!(settle(&mut held, HOLDER_MS, Fate::Unsent, &[&more]).goes_back);
    assert_eq!(held.pairs.len(), 1);
    assert_eq!(held.take_forgotten(), PAIRS_MAX as u64, "and it is counted");
    assert_eq!(held.take_forgotten(), 0);
}

#[test]
fn ids_beyond_a_pairs_bound_are_forgotten_and_counted() {
    let mut held = Held::default();
    // Each chunk goes back for the sake of a pair of its own.
    let chunk = |i: usize| {
        [
            intent("a", &format!("a{i}"), 1),
            intent(&format!("b{i}"), &format!("b{i}"), 1),
        ]
    };
    // The first is the holder.
    for i in 0..=SEALED_MAX {
        let [a, b] = chunk(i);
        assert!(settle(&mut held, 0, Fate::Unanswered, &[&a, &b]).goes_back);
    }
    assert_eq!(held.take_forgotten(), 0);
    let [a, b] = chunk(SEALED_MAX + 1);
    settle(&mut held, 0, Fate::Unanswered, &[&a, &b]);
    assert_eq!(held.take_forgotten(), 1);
    // Kept under their own ids up to a bound, then merged.
    for i in 0..=SEALED_MAX {
        let racer = intent("a", &format!("r{i}"), 1);
        settle(&mut held, 0, Fate::Unanswered, &[&racer]);
    }
    assert_eq!(held.take_forgotten(), 1);
}

#[test]
fn the_heir_has_everything_under_the_same_ids() {
    let mut held = Held::default();
    settle(&mut held, 0, Fate::Unanswered, &[&intent("a", "1", 10)]);
    held.fold_ahead(0, &[intent("a", "2", 11)]);
    let sent = held.due(0, 100);
    held.fold_ahead(0, &[intent("a", "3", 12)]);
    let left = held.take();
    assert_eq!(held.kept(), 0);
    let mut heir = Held::default();
    assert_eq!(heir.adopt(left), 0);
    let due = heir.due(0, 100);
    assert_eq!(due.len(), 2);
    assert_eq!(due[0], sent[0]);
    assert_eq!(due[1].times, [(12, 1)]);
}

/// One step of a flush's life, against a host and an executor that are modelled
/// naively.
#[derive(Debug, Clone)]
enum Step {
    /// A new chunk with matches of these containers.
    New(Vec<u8>),
    /// The host brings its oldest waiting chunk again.
    Again,
    /// Time passes.
    Wait(u64),
    /// The executor comes or goes; `true`: it answers.
    Up(bool),
    /// The executor's next answers get lost on their way.
    Deaf(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::btree_set(0_u8..4, 1..4)
            .prop_map(|set| Step::New(set.into_iter().collect())),
        3 => Just(Step::Again),
        2 => prop_oneof![0_u64..3_000, Just(HOLDER_MS)].prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Up),
        1 => any::<bool>().prop_map(Step::Deaf),
    ]
}

#[derive(Default)]
struct World {
    held: Held,
    now_ms: u64,
    is_up: bool,
    is_deaf: bool,
    made: u64,
    waiting: std::collections::VecDeque<Vec<Intent>>,
    /// Ids and matches that the executor counted.
    counted: BTreeMap<String, u64>,
}

impl World {
    fn flush(&mut self, chunk: Vec<Intent>) {
        let own: &[Intent] = match self.held.fold_ahead(self.now_ms, &chunk) {
            Some(_) => &[],
            None => &chunk,
        };
        let errands = if self.is_up {
            self.held.due(self.now_ms, 3)
        } else {
            Vec::new()
        };
        for intent in own.iter().chain(&errands).filter(|_| self.is_up) {
            let matches = intent.matches();
            let known = self.counted.insert(intent.id.clone(), matches);
            assert!(known.is_none_or(|n| n == matches), "an id means one thing");
        }
        let fate = match (self.is_up, self.is_deaf) {
            (true, false) => Fate::Answered,
            (true, true) => Fate::Unanswered,
            (false, _) => Fate::Unsent,
        };
        if fate == Fate::Answered {
            errands
                .iter()
                .for_each(|intent| self.held.delivered(intent));
        }
        let fates: Vec<(&Intent, Fate)> = own.iter().map(|intent| (intent, fate)).collect();
        let settled = self.held.settle(self.now_ms, &fates);
        assert_eq!(settled.lost, 0);
        if settled.goes_back {
            self.waiting.push_back(chunk);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::New(containers) => {
                let id = self.made;
                let chunk: Vec<Intent> = containers
                    .iter()
                    .map(|name| intent(&format!("c{name}"), &format!("{id}-{name}"), id))
                    .collect();
                self.made += chunk.len() as u64;
                self.flush(chunk);
            }
            Step::Again => {
                if let Some(chunk) = self.waiting.pop_front() {
                    self.flush(chunk);
                }
            }
            // Each giving-up may leave a chunk to be known by its id; the table
            // promises that for a bounded number only.
            Step::Wait(HOLDER_MS) if self.now_ms >= 4 * HOLDER_MS => {}
            Step::Wait(ms) => self.now_ms += ms,
            Step::Up(is_up) => self.is_up = is_up,
            Step::Deaf(is_deaf) => self.is_deaf = is_deaf,
        }
    }
}

proptest! {
    /// Whatever comes and goes: no more chunks wait than there are containers,
    /// and in the end every match was counted, and counted once.
    #[test]
    fn every_match_is_counted_once_in_the_end(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
            // A holder that was given up still waits in this host.
            prop_assert!(world.waiting.len() as u64 <= 4 + 4 * world.now_ms / HOLDER_MS);
            prop_assert!(world.held.pairs.len() <= 4);
        }
        world.is_up = true;
        world.is_deaf = false;
        for _ in 0..200 {
            world.now_ms += RESEND_MS;
            world.step(Step::Again);
            world.flush(Vec::new());
        }
        prop_assert!(world.waiting.is_empty());
        prop_assert_eq!(world.held.kept(), 0);
        prop_assert_eq!(world.held.pairs.len(), 0);
        prop_assert_eq!(world.counted.values().sum::<u64>(), world.made);
        let ids: BTreeSet<&String> = world.counted.keys().collect();
        prop_assert_eq!(ids.len(), world.counted.len());
    }
}
