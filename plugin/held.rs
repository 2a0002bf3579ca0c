//! What waits for the executor: at most one chunk per (target, rule) with the
//! host, and what later chunks held folded into one intent here.
//!
//! While the executor is away, the first chunk with matches for a (target,
//! rule) goes back to the host, which keeps it durably and brings it again. If
//! every chunk did, a storm would use up the host's task ids and stop all its
//! outputs. So a later chunk whose matches all belong to pairs that have such a
//! chunk is done with: its counts and times are added to one further intent of
//! the pair, kept here, and the first flush that reaches the executor sends it
//! (that chunk's own, if the executor is back by now).
//!
//! Kept true:
//! - each chunk that goes back is the holder of at least one pair, so no more
//!   chunks wait than there are pairs;
//! - a chunk that goes back is folded nowhere: it brings all its intents again;
//! - an intent that was sent once never changes and is merged into no other:
//!   the executor may have counted it although its answer did not arrive, and
//!   sent again it must have the same id. So a chunk is folded *before* its
//!   intents are sent; one that lost a race against a parallel flush after it
//!   sent them is kept as it is;
//! - at most [`PAIRS_MAX`] pairs, [`SEALED_MAX`]` + 1` intents each (two but for
//!   such races), their samples cut short.
//!
//! A holder not seen for [`HOLDER_MS`] was given up by the host, and its pair
//! is free for the next chunk. Should it come after all, it is known by its id
//! and sent under it, not folded; so is a chunk that went back for another
//! pair's sake after all of it was sent.
//!
//! Pure: time is an argument, in milliseconds of any clock that only rises.

use std::collections::{BTreeMap, VecDeque};

use executor_api::{Intent, LastMatch, Remedy, TargetRef, clamp_str, merge_times};

use crate::intent::{IdHasher, escalate_first};

/// Most (target, rule) pairs.
pub const PAIRS_MAX: usize = 4_096;
/// How long a chunk that went back is waited for, ms: well above the host's
/// longest retry interval in our configuration (5 s).
pub const HOLDER_MS: u64 = 60_000;
/// Most kept intents of one pair that were sent already: as many flushes may
/// race for a pair. Beyond it matches are merged after all, and the executor
/// may count some of them twice.
pub const SEALED_MAX: usize = 8;
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
    /// Sent, and no answer, or `retry`.
    Unanswered,
    /// Not sent: the executor was known to be away.
    Unsent,
}

/// What is to become of the chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// The host must keep the chunk and bring it again.
    pub goes_back: bool,
    /// Matches that are kept here.
    pub folded: u64,
    /// Matches lost because the table is full.
    pub lost: u64,
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Held {
    /// Boxed: the map moves its values about on a small stack.
    pairs: BTreeMap<Pair, Box<Entry>>,
    /// Ids that had to be given up, since the last question.
    forgotten: u64,
}

type Pair = (TargetRef, String);

#[derive(Debug, Default)]
struct Entry {
    holder: Option<Holder>,
    /// Ids of intents that were sent and that a waiting chunk may bring again,
    /// the holder's left out; the newest [`SEALED_MAX`].
    sent: VecDeque<String>,
    /// Sent, or about to be: unchangeable.
    sealed: Vec<Intent>,
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
    /// Folds a chunk before anything of it is sent, if each of its intents
    /// belongs to a pair for which another chunk waits. Gives the number of
    /// matches; none where the chunk has to be sent.
    pub fn fold_ahead(&mut self, now_ms: u64, intents: &[Intent]) -> Option<u64> {
        let is_taken = |intent: &Intent| {
            self.pairs
                .get(&pair(intent))
                .is_some_and(|entry| entry.can_fold_ahead(&intent.id, now_ms))
        };
        if intents.is_empty() || !intents.iter().all(is_taken) {
            return None;
        }
        for intent in intents {
            if let Some(entry) = self.pairs.get_mut(&pair(intent)) {
                entry.fold(intent);
            }
        }
        Some(intents.iter().map(Intent::matches).sum())
    }

    /// Settles a chunk whose intents had these fates.
    pub fn settle(&mut self, now_ms: u64, intents: &[(&Intent, Fate)]) -> Settled {
        let mut settled = Settled::default();
        for (intent, fate) in intents {
            if *fate == Fate::Answered {
                self.release(intent);
            } else {
                settled.goes_back |= self.try_hold(now_ms, intent);
            }
        }
        if settled.goes_back {
            let sent = intents.iter().filter(|(_, fate)| *fate == Fate::Unanswered);
            sent.for_each(|(intent, _)| self.note_sent(intent));
            return settled;
        }
        for (intent, fate) in intents {
            match (fate, self.pairs.get_mut(&pair(intent))) {
                (Fate::Answered, _) => {}
                (_, None) => settled.lost += intent.matches(),
                (_, Some(entry)) if entry.is_sealed(&intent.id) => {}
                (fate, Some(entry)) => {
                    settled.folded += intent.matches();
                    if *fate == Fate::Unanswered || entry.was_sent(&intent.id) {
                        self.forgotten += entry.keep_sent(intent);
                    } else {
                        entry.fold(intent);
                    }
                }
            }
        }
        settled
    }

    /// Kept intents that are due, `escalate` first: of as many pairs as it
    /// takes to have `count_max`. They are not due again for [`RESEND_MS`], and
    /// stay until [`Self::delivered`].
    pub fn due(&mut self, now_ms: u64, count_max: usize) -> Vec<Intent> {
        let ready: Vec<&mut Box<Entry>> = self
            .pairs
            .values_mut()
            .filter(|entry| entry.is_keeping() && entry.send_from_ms <= now_ms)
            .collect();
        let mut due = Vec::new();
        for entry in escalate_first(ready, |entry| entry.remedy()) {
            if due.len() >= count_max {
                break;
            }
            entry.send_from_ms = now_ms + RESEND_MS;
            entry.seal();
            due.extend(entry.sealed.iter().cloned());
        }
        due
    }

    /// A kept intent has its final answer.
    pub fn delivered(&mut self, intent: &Intent) {
        let key = pair(intent);
        if let Some(entry) = self.pairs.get_mut(&key) {
            entry.sealed.retain(|kept| kept.id != intent.id);
            if entry.sealed.is_empty() {
                entry.send_from_ms = 0;
            }
            if entry.is_empty() {
                self.pairs.remove(&key);
            }
        }
    }

    /// Kept intents.
    pub fn kept(&self) -> usize {
        self.pairs
            .values()
            .map(|entry| entry.sealed.len() + usize::from(entry.open.is_some()))
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
            self.forgotten += self.pairs.entry(key).or_default().keep_sent(&intent);
        }
        lost
    }

    /// Makes everything that is kept due at once.
    pub fn hurry(&mut self) {
        self.pairs
            .values_mut()
            .for_each(|entry| entry.send_from_ms = 0);
    }

    /// How many ids of waiting chunks had to be forgotten for want of room since
    /// the last question. Should such a chunk come again, its matches may be
    /// merged into another intent although they were sent before.
    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    /// The chunk's intent for this pair is answered: it will not come again.
    fn release(&mut self, intent: &Intent) {
        let key = pair(intent);
        if let Some(entry) = self.pairs.get_mut(&key) {
            entry.release(&intent.id);
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
        let is_free = !entry.is_held_by_other(&intent.id, now_ms);
        if is_free {
            self.forgotten += entry.hold(now_ms, &intent.id);
        }
        is_free
    }

    fn note_sent(&mut self, intent: &Intent) {
        if let Some(entry) = self.pairs.get_mut(&pair(intent)) {
            self.forgotten += entry.note_sent(&intent.id);
        }
    }

    /// Whether a pair can be added; forgets holders that were given up first.
    fn make_room(&mut self, now_ms: u64) -> bool {
        if self.pairs.len() >= PAIRS_MAX {
            self.pairs.retain(|_, entry| {
                let holder = entry.holder.as_ref();
                let stays =
                    entry.is_keeping() || holder.is_some_and(|holder| !holder.is_given_up(now_ms));
                if !stays {
                    self.forgotten += entry.ids();
                }
                stays
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
    /// A chunk waits for this pair, and it is not the one with this id.
    fn is_held_by_other(&self, id: &str, now_ms: u64) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.id != id && !holder.is_given_up(now_ms))
    }

    /// Another chunk waits, and this one was not sent before.
    fn can_fold_ahead(&self, id: &str, now_ms: u64) -> bool {
        self.is_held_by_other(id, now_ms) && !self.was_sent(id) && !self.is_sealed(id)
    }

    /// Kept here already: the same chunk came a second time.
    fn is_sealed(&self, id: &str) -> bool {
        self.sealed.iter().any(|kept| kept.id == id)
    }

    fn was_sent(&self, id: &str) -> bool {
        self.sent.iter().any(|sent| sent == id)
    }

    /// Ids of chunks that may come again.
    fn ids(&self) -> u64 {
        self.sent.len() as u64 + u64::from(self.holder.is_some())
    }

    /// Gives the number of ids that had to be forgotten, as the next two do.
    fn note_sent(&mut self, id: &str) -> u64 {
        let is_holder = self.holder.as_ref().is_some_and(|holder| holder.id == id);
        if is_holder || self.was_sent(id) {
            return 0;
        }
        self.sent.push_back(id.into());
        if self.sent.len() <= SEALED_MAX {
            return 0;
        }
        self.sent.pop_front();
        1
    }

    fn release(&mut self, id: &str) {
        self.sent.retain(|sent| sent != id);
        if self.holder.as_ref().is_some_and(|holder| holder.id == id) {
            self.holder = None;
            // The executor is back.
            self.send_from_ms = 0;
        }
    }

    fn hold(&mut self, now_ms: u64, id: &str) -> u64 {
        let former = self.holder.replace(Holder {
            id: id.into(),
            seen_ms: now_ms,
        });
        former.map_or(0, |former| self.note_sent(&former.id))
    }

    fn is_keeping(&self) -> bool {
        !self.sealed.is_empty() || self.open.is_some()
    }

    fn is_empty(&self) -> bool {
        self.holder.is_none() && self.sent.is_empty() && !self.is_keeping()
    }

    fn remedy(&self) -> Remedy {
        let open = self.open.as_ref().map(|folded| &folded.intent);
        let first = self.sealed.first().or(open);
        first.map_or(Remedy::Note, |intent| intent.remedy)
    }

    fn fold(&mut self, intent: &Intent) {
        match &mut self.open {
            Some(folded) => folded.add(intent),
            None => self.open = Some(Folded::new(intent)),
        }
    }

    /// Keeps an intent that may have been counted already, under its own id.
    fn keep_sent(&mut self, intent: &Intent) -> u64 {
        self.sent.retain(|sent| *sent != intent.id);
        if self.is_sealed(&intent.id) {
            return 0;
        }
        if self.sealed.len() < SEALED_MAX {
            self.sealed.push(shortened(intent));
            return 0;
        }
        self.fold(intent);
        1
    }

    /// Makes what was folded unchangeable, to be sent, unless something that
    /// was sent is kept still.
    fn seal(&mut self) {
        if self.sealed.is_empty() {
            self.sealed.extend(self.open.take().map(Folded::finish));
        }
    }
}

/// A copy with a short sample.
fn shortened(intent: &Intent) -> Intent {
    let mut kept = intent.clone();
    clamp_str(&mut kept.sample, SAMPLE_KEPT_BYTES_MAX);
    kept.sample.shrink_to_fit();
    kept
}

impl Folded {
    fn new(intent: &Intent) -> Self {
        let mut ids = IdHasher::new("folded");
        ids.part(intent.id.as_bytes());
        Self {
            ids,
            intent: shortened(intent),
        }
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

#[cfg(test)]
mod tests;
