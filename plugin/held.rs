//! What waits for the executor: at most one chunk per (target, rule) with the
//! host, and what later chunks held folded into one intent here.
//!
//! While the executor is away, the first chunk with matches for a (target,
//! rule) goes back to the host, which keeps it durably and brings it again. If
//! every chunk did, a storm would use up the host's task ids and stop all its
//! outputs. So a later chunk whose matches all belong to pairs that have such a
//! chunk is done with: its counts and times are added to one further intent of
//! the pair, kept here, and the first flush that reaches the executor sends it.
//!
//! Kept true:
//! - each chunk that goes back is the holder of at least one pair, so no more
//!   chunks wait than there are pairs;
//! - a chunk that goes back is folded nowhere: it brings all its intents again;
//! - an intent that was sent once never changes: what is folded while its
//!   answer is open goes into a second one, as an id must mean one thing;
//! - at most [`PAIRS_MAX`] pairs, two intents each, their samples cut short.
//!
//! A holder not seen for [`HOLDER_MS`] was given up by the host, and its pair
//! is free for the next chunk.
//!
//! Pure: time is an argument, in milliseconds of any clock that only rises.

use std::collections::BTreeMap;

use executor_api::{Intent, LastMatch, Remedy, TargetRef, clamp_str, merge_times};

use crate::intent::{IdHasher, escalate_first};

/// Most (target, rule) pairs.
pub const PAIRS_MAX: usize = 4_096;
/// How long a chunk that went back is waited for, ms: well above the host's
/// longest retry interval in our configuration (5 s).
pub const HOLDER_MS: u64 = 60_000;
/// Least time between two sendings of one kept intent, ms.
pub const RESEND_MS: u64 = 1_000;
/// Most bytes of a kept intent's sample: with all pairs in use the table takes
/// some 25 MB, mostly times.
const SAMPLE_KEPT_BYTES_MAX: usize = 512;

/// What became of one of a chunk's intents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has its final answer.
    Answered,
    /// No answer, or `retry`.
    Waiting,
}

/// What is to become of the chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// The host must keep the chunk and bring it again.
    pub goes_back: bool,
    /// Matches that were folded.
    pub folded: u64,
    /// Matches lost because the table is full.
    pub lost: u64,
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Held {
    /// Boxed: the map moves its values about on a small stack.
    pairs: BTreeMap<Pair, Box<Entry>>,
}

type Pair = (TargetRef, String);

#[derive(Debug, Default)]
struct Entry {
    holder: Option<Holder>,
    /// Sent, or about to be: unchangeable.
    sealed: Option<Intent>,
    open: Option<Folded>,
    send_from_ms: u64,
}

#[derive(Debug)]
struct Holder {
    /// Id of the chunk's intent for this pair.
    id: String,
    seen_ms: u64,
}

/// An intent that still grows.
#[derive(Debug)]
struct Folded {
    ids: IdHasher,
    intent: Intent,
}

impl Held {
    /// Settles a chunk whose intents had these fates.
    pub fn settle(&mut self, now_ms: u64, intents: &[(&Intent, Fate)]) -> Settled {
        let waiting: Vec<&Intent> = intents
            .iter()
            .filter(|(_, fate)| *fate == Fate::Waiting)
            .map(|(intent, _)| *intent)
            .collect();
        for (intent, fate) in intents {
            if *fate == Fate::Answered {
                self.release(intent);
            }
        }
        let mut settled = Settled::default();
        for intent in &waiting {
            settled.goes_back |= self.try_hold(now_ms, intent);
        }
        if settled.goes_back {
            return settled;
        }
        for intent in waiting {
            match self.pairs.get_mut(&pair(intent)) {
                Some(entry) => {
                    entry.fold(intent);
                    settled.folded += intent.matches();
                }
                None => settled.lost += intent.matches(),
            }
        }
        settled
    }

    /// Kept intents that are due, `escalate` first, at most `count_max`. They
    /// are not due again for [`RESEND_MS`], and stay until [`Self::delivered`].
    pub fn due(&mut self, now_ms: u64, count_max: usize) -> Vec<Intent> {
        let ready: Vec<&mut Box<Entry>> = self
            .pairs
            .values_mut()
            .filter(|entry| entry.is_keeping() && entry.send_from_ms <= now_ms)
            .collect();
        escalate_first(ready, |entry| entry.remedy())
            .into_iter()
            .take(count_max)
            .filter_map(|entry| {
                entry.send_from_ms = now_ms + RESEND_MS;
                entry.seal().cloned()
            })
            .collect()
    }

    /// A kept intent has its final answer.
    pub fn delivered(&mut self, intent: &Intent) {
        let key = pair(intent);
        if let Some(entry) = self.pairs.get_mut(&key)
            && entry
                .sealed
                .as_ref()
                .is_some_and(|kept| kept.id == intent.id)
        {
            entry.sealed = None;
            entry.send_from_ms = 0;
            if entry.is_empty() {
                self.pairs.remove(&key);
            }
        }
    }

    /// Kept intents.
    pub fn kept(&self) -> usize {
        self.pairs
            .values()
            .map(|entry| usize::from(entry.sealed.is_some()) + usize::from(entry.open.is_some()))
            .sum()
    }

    /// Empties the table, for the instance that comes after this one.
    pub fn take(&mut self) -> Vec<Intent> {
        let mut intents = Vec::new();
        for entry in std::mem::take(&mut self.pairs).into_values() {
            intents.extend(entry.sealed);
            intents.extend(entry.open.map(Folded::finish));
        }
        intents
    }

    /// Takes over what another instance kept; gives the number of matches for
    /// which there is no room.
    pub fn adopt(&mut self, intents: Vec<Intent>) -> u64 {
        let mut lost = 0;
        for intent in intents {
            let key = pair(&intent);
            if !self.pairs.contains_key(&key) && self.pairs.len() == PAIRS_MAX {
                lost += intent.matches();
                continue;
            }
            let entry = self.pairs.entry(key).or_default();
            if entry.sealed.is_none() {
                entry.sealed = Some(intent);
            } else {
                entry.fold(&intent);
            }
        }
        lost
    }

    /// The chunk's intent for this pair is answered: it holds the pair no more.
    fn release(&mut self, intent: &Intent) {
        let key = pair(intent);
        if let Some(entry) = self.pairs.get_mut(&key)
            && entry.is_held_by(&intent.id)
        {
            entry.holder = None;
            if entry.is_empty() {
                self.pairs.remove(&key);
            }
        }
    }

    /// Makes the chunk the holder of its intent's pair, if it is that already
    /// or the pair is free.
    fn try_hold(&mut self, now_ms: u64, intent: &Intent) -> bool {
        let key = pair(intent);
        if !self.pairs.contains_key(&key) && !self.make_room(now_ms) {
            return false;
        }
        let entry = self.pairs.entry(key).or_default();
        let is_free = entry
            .holder
            .as_ref()
            .is_none_or(|holder| holder.id == intent.id || holder.is_given_up(now_ms));
        if is_free {
            entry.holder = Some(Holder {
                id: intent.id.clone(),
                seen_ms: now_ms,
            });
        }
        is_free
    }

    /// Whether a pair can be added; forgets holders that were given up first.
    fn make_room(&mut self, now_ms: u64) -> bool {
        if self.pairs.len() >= PAIRS_MAX {
            self.pairs.retain(|_, entry| {
                entry.is_keeping()
                    || entry
                        .holder
                        .as_ref()
                        .is_some_and(|holder| !holder.is_given_up(now_ms))
            });
        }
        self.pairs.len() < PAIRS_MAX
    }
}

fn pair(intent: &Intent) -> Pair {
    (intent.target.clone(), intent.rule.clone())
}

impl Holder {
    fn is_given_up(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.seen_ms) >= HOLDER_MS
    }
}

impl Entry {
    fn is_held_by(&self, id: &str) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.id == id)
    }

    fn is_keeping(&self) -> bool {
        self.sealed.is_some() || self.open.is_some()
    }

    fn is_empty(&self) -> bool {
        self.holder.is_none() && !self.is_keeping()
    }

    fn remedy(&self) -> Remedy {
        let open = self.open.as_ref().map(|folded| &folded.intent);
        let first = self.sealed.as_ref().or(open);
        first.map_or(Remedy::Note, |intent| intent.remedy)
    }

    fn fold(&mut self, intent: &Intent) {
        match &mut self.open {
            Some(folded) => folded.add(intent),
            None => self.open = Some(Folded::new(intent)),
        }
    }

    /// The intent to send next: from now on unchangeable.
    fn seal(&mut self) -> Option<&Intent> {
        if self.sealed.is_none() {
            self.sealed = self.open.take().map(Folded::finish);
        }
        self.sealed.as_ref()
    }
}

impl Folded {
    fn new(intent: &Intent) -> Self {
        let mut kept = intent.clone();
        clamp_str(&mut kept.sample, SAMPLE_KEPT_BYTES_MAX);
        kept.sample.shrink_to_fit();
        let mut ids = IdHasher::new("folded");
        ids.part(intent.id.as_bytes());
        Self { ids, intent: kept }
    }

    fn add(&mut self, intent: &Intent) {
        self.ids.part(intent.id.as_bytes());
        self.intent.times.extend_from_slice(&intent.times);
        merge_times(&mut self.intent.times);
        let when = |last: LastMatch| (last.0, last.1);
        if when(intent.last) > when(self.intent.last) {
            self.intent.last = intent.last;
        }
    }

    fn finish(mut self) -> Intent {
        self.intent.id = self.ids.id();
        self.intent
    }
}
