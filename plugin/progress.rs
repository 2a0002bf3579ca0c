//! `Progress`: what a container prints while it goes on with its work, for an executor that
//! takes its absence for a sign.
//!
//! Kept true:
//! - without the setting nothing of this costs anything; with it a chunk without progress costs
//!   one more search for each pattern, no allocation and no system call, but for a ping every
//!   five seconds;
//! - one message for each container and pattern in [`EVERY_MS`] at most; one that could not be
//!   delivered is merged into the next;
//! - whose a line is is told as for a match: by what the host vouches for.
//!
//! Not here: what silence means (the executor).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use executor_api::{LastMatch, PATTERNS_MAX, Progress, STRING_BYTES_MAX, TargetRef};
use memchr::memmem::Finder;

use crate::chunk::{Event, Events, Record, Time};
use crate::config::Config;
use crate::scan::each_text;
use crate::target::{TargetMode, tag_id};

/// Shortest time between two messages about one container and pattern, ms.
pub const EVERY_MS: u64 = 2_000;
/// How often the executor is told that somebody looks, ms.
pub const PING_MS: u64 = 5_000;
/// Most containers and patterns that are remembered; one beyond them is told every time.
const TARGETS_MAX: usize = 1_024;
/// Most containers of one pattern in one chunk.
const FOUND_MAX: usize = 256;
/// What stands for any output.
const ANY: &str = "*";

/// What is looked for.
#[derive(Debug, Default)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    name: String,
    /// None = any output.
    finder: Option<Finder<'static>>,
}

impl Patterns {
    /// Reads `Progress`: texts separated by commas, or `*`.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut patterns: Vec<Pattern> = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() {
                return Err("there is an empty text between commas".into());
            }
            if name.len() > STRING_BYTES_MAX {
                let bytes = name.len();
                return Err(format!(
                    "a text has {bytes} bytes; {STRING_BYTES_MAX} are allowed"
                ));
            }
            if patterns.iter().any(|known| known.name == name) {
                continue;
            }
            let finder = (name != ANY).then(|| Finder::new(name).into_owned());
            let name = name.to_owned();
            patterns.push(Pattern { name, finder });
        }
        if patterns.len() > PATTERNS_MAX {
            let texts = patterns.len();
            return Err(format!("{texts} texts, at most {PATTERNS_MAX} are allowed"));
        }
        Ok(Self(patterns))
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| &*pattern.name)
    }
}

/// Which pattern, and whose.
type Key = (usize, TargetRef);

/// One instance's progress.
#[derive(Debug, Default)]
pub struct Seen {
    state: Mutex<State>,
    ping_from_ms: AtomicU64,
    /// Something waits to be told, to be seen without the lock.
    waits_from_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    told_ms: BTreeMap<Key, u64>,
    waiting: BTreeMap<Key, Time>,
}

/// What is to be told now.
#[derive(Debug, Default)]
pub struct Due {
    /// At most [`TARGETS_MAX`].
    pub messages: Vec<Progress>,
    keys: Vec<(Key, Time)>,
    /// It is time to say that somebody looks.
    pub is_ping_due: bool,
}

impl Due {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && !self.is_ping_due
    }
}

impl Seen {
    /// Looks for progress in a chunk, and says what is to be told now.
    pub fn look(&self, now_ms: u64, config: &Config, chunk: &[u8], tag: &[u8]) -> Due {
        let mut found = Vec::new();
        for (index, pattern) in config.progress.0.iter().enumerate() {
            find(config, index, pattern, chunk, tag, &mut found);
        }
        let is_ping_due = now_ms >= self.ping_from_ms.load(Ordering::Relaxed);
        if is_ping_due {
            self.ping_from_ms.store(now_ms + PING_MS, Ordering::Relaxed);
        }
        let waits = now_ms >= self.waits_from_ms.load(Ordering::Relaxed);
        if found.is_empty() && !waits {
            return Due {
                is_ping_due,
                ..Due::default()
            };
        }
        let keys = self.lock().due(now_ms, found, &self.waits_from_ms);
        let message = |(key, time): &(Key, Time)| Progress {
            id: String::new(),
            target: key.1.clone(),
            pattern: config.progress.0[key.0].name.clone(),
            last: LastMatch(time.seconds, time.nanos),
        };
        let mut messages: Vec<Progress> = keys.iter().map(message).collect();
        for (number, message) in messages.iter_mut().enumerate() {
            message.id = format!("progress-{number}");
        }
        Due {
            messages,
            keys,
            is_ping_due,
        }
    }

    /// What was due could not be told: it waits for the next flush.
    pub fn keep(&self, now_ms: u64, due: Due) {
        if due.is_ping_due {
            self.ping_from_ms.store(now_ms, Ordering::Relaxed);
        }
        let mut state = self.lock();
        for (key, time) in due.keys {
            state.told_ms.remove(&key);
            state.wait(key, time);
        }
        if !state.waiting.is_empty() {
            self.waits_from_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves a message too many or too few at worst.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, key: Key, time: Time) {
        if self.waiting.len() < TARGETS_MAX || self.waiting.contains_key(&key) {
            let newest = self.waiting.entry(key).or_insert(time);
            *newest = (*newest).max(time);
        }
    }

    /// Takes what has not been told for a while, and says when the rest is due.
    fn due(&mut self, now_ms: u64, found: Vec<(Key, Time)>, next: &AtomicU64) -> Vec<(Key, Time)> {
        for (key, time) in found {
            self.wait(key, time);
        }
        self.told_ms
            .retain(|_, told_ms| now_ms < *told_ms + EVERY_MS);
        let mut due = Vec::new();
        let told_ms = &mut self.told_ms;
        self.waiting.retain(|key, time| {
            if told_ms.contains_key(key) {
                return true;
            }
            due.push((key.clone(), *time));
            false
        });
        for (key, _) in &due {
            if told_ms.len() < TARGETS_MAX {
                told_ms.insert(key.clone(), now_ms);
            }
        }
        let of_waiting = self.waiting.keys().filter_map(|key| told_ms.get(key));
        let earliest = of_waiting.min().map_or(u64::MAX, |told| told + EVERY_MS);
        next.store(earliest, Ordering::Relaxed);
        due
    }
}

/// Adds each container of the chunk that shows this progress.
fn find(
    config: &Config,
    index: usize,
    pattern: &Pattern,
    chunk: &[u8],
    tag: &[u8],
    found: &mut Vec<(Key, Time)>,
) {
    let tag_id = tag_id(tag);
    let mut events = Events::new(chunk);
    let first = found.len();
    loop {
        let from = events.position();
        let at = match &pattern.finder {
            None => from,
            Some(finder) => match finder.find(&chunk[from..]) {
                Some(offset) => from + offset,
                None => return,
            },
        };
        // What is damaged is told by whoever looks for matches.
        let Ok(Some(event)) = events.at(at) else {
            return;
        };
        let Event::Record(record) = event else {
            continue;
        };
        let Some(text) = text_of(config, pattern, &record) else {
            continue;
        };
        let Ok(target) = config.target.resolve(tag_id, record.body, text) else {
            continue;
        };
        let mut known = found[first..].iter().rev();
        let known = known.position(|((_, known), _)| target.is(known));
        match known.map(|from_end| found.len() - 1 - from_end) {
            Some(at) => found[at].1 = found[at].1.max(record.time),
            None if found.len() - first < FOUND_MAX => {
                found.push(((index, target.to_ref()), record.time));
            }
            None => return,
        }
        // All of the chunk is that container's: one line will do.
        let is_all_its =
            matches!(config.target, TargetMode::Fixed(_)) || matches!(tag_id, Ok(Some(_)));
        if is_all_its {
            return;
        }
    }
}

/// The first text of a record that holds the pattern.
fn text_of<'a>(config: &Config, pattern: &Pattern, record: &Record<'a>) -> Option<&'a [u8]> {
    let mut found = None;
    each_text(&config.log_keys, record.body, None, |text| {
        let is_it = match &pattern.finder {
            None => true,
            Some(finder) => finder.find(text).is_some(),
        };
        if is_it {
            found.get_or_insert(text);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        (0, TargetRef::Name(name.into()))
    }

    fn at(seconds: u64) -> Time {
        Time {
            seconds,
            nanos: None,
        }
    }

    #[test]
    fn texts_are_read_with_their_limits() {
        let names = |text: &str| -> Result<Vec<String>, String> {
            let patterns = Patterns::read(text)?;
            Ok(patterns.names().map(str::to_owned).collect())
        };
        assert_eq!(names("Processed batch"), Ok(vec!["Processed batch".into()]));
        assert_eq!(names("a b, *, a b"), Ok(vec!["a b".into(), "*".into()]));
        assert!(names("a,,b").is_err());
        let long = "x".repeat(STRING_BYTES_MAX);
        assert!(names(&long).is_ok() && names(&(long + "x")).is_err());
        let many = |n: usize| {
            (0..n)
                .map(|i| format!("p{i}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert!(names(&many(PATTERNS_MAX)).is_ok() && names(&many(PATTERNS_MAX + 1)).is_err());
    }

    #[test]
    fn one_message_goes_out_in_two_seconds_and_what_came_meanwhile_goes_after() {
        let mut state = State::default();
        let next = AtomicU64::new(0);
        let mut due = |now_ms, found: Vec<(Key, Time)>| state.due(now_ms, found, &next);
        assert_eq!(due(0, vec![(key("a"), at(1))]), [(key("a"), at(1))]);
        assert_eq!(next.load(Ordering::Relaxed), u64::MAX);
        assert_eq!(
            due(500, vec![(key("a"), at(3)), (key("b"), at(2))]),
            [(key("b"), at(2))]
        );
        assert_eq!(due(900, vec![(key("a"), at(2))]), []);
        assert_eq!(next.load(Ordering::Relaxed), EVERY_MS);
        assert_eq!(due(EVERY_MS, Vec::new()), [(key("a"), at(3))]);
        assert_eq!(due(EVERY_MS + 1, Vec::new()), []);
    }

    #[test]
    fn what_could_not_be_told_waits() {
        let seen = Seen::default();
        let keys = vec![(key("a"), at(1))];
        let due = Due {
            keys,
            ..Due::default()
        };
        seen.keep(7, due);
        assert_eq!(seen.waits_from_ms.load(Ordering::Relaxed), 7);
        let due = seen
            .lock()
            .due(8, vec![(key("a"), at(2))], &seen.waits_from_ms);
        assert_eq!(due, [(key("a"), at(2))]);
    }

    #[test]
    fn a_flood_of_containers_stays_within_its_bounds() {
        let mut state = State::default();
        let next = AtomicU64::new(0);
        for round in 0..3 {
            let found = (0..TARGETS_MAX).map(|n| (key(&format!("c{round}-{n}")), at(1)));
            state.due(round, found.collect(), &next);
            assert!(state.told_ms.len() <= TARGETS_MAX && state.waiting.len() <= TARGETS_MAX);
        }
    }
}
