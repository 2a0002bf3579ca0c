//! From a chunk's bytes to groups of matches: the pure half of Flush.
//!
//! The raw chunk is searched first; only events around a candidate are read,
//! the others are stepped over. A record counts once, for the rule that comes
//! first in precedence among those that any of its texts matches. A line that
//! came in pieces (`broken`) and a message over several lines (`wrapped`) are
//! one text, and count once for all of their records.
//!
//! Kept true: bounded work and memory for any bytes; no recursion; a damaged
//! chunk gives what stands before the damage.
//!
//! Not here: sockets, time, verdicts.

use std::collections::BTreeMap;

use executor_api::TargetRef;
use rules::{Origin, RuleSet, Scratch};

use crate::chunk::{Body, Event, Events, Record, Value};
use crate::config::{Config, LogKeys};
use crate::intent::Group;
use crate::joins::Kept;
use crate::lines::Line;
use crate::msgpack::Damage;
use crate::pieces::{PIECE_BYTES, Piece, StreamKey};
use crate::target::{TargetMode, Untargeted, tag_id};

mod broken;
mod wrapped;

use broken::Open;
use wrapped::Run;

/// Most (target, rule) pairs in one flush; matches beyond them are counted as
/// overflow and cost the chunk an error. Far above what one host runs.
pub const GROUPS_MAX: usize = 4_096;

/// What a chunk held.
#[derive(Debug, Default)]
pub struct Findings {
    /// One per (target, rule), in the order of their first match.
    pub groups: Vec<Group>,
    /// Records that were read.
    pub records: u64,
    /// Matching records by rule index.
    pub matches: BTreeMap<usize, u64>,
    /// Matching records without a target, in the order of [`Untargeted::ALL`].
    pub untargeted: [u64; 3],
    /// Matching records beyond [`GROUPS_MAX`].
    pub overflow: u64,
    /// Values that are no events, with the reason of the last one.
    pub foreign: Option<(u64, &'static str)>,
    /// Where reading had to stop.
    pub damage: Option<Damage>,
    /// Lines put together from several records.
    pub joined: u64,
    /// Beginnings of lines forgotten for want of room.
    pub unjoined: u64,
    /// Lines whose end has not come.
    pub left: Vec<Kept>,
    /// Streams of [`Start::kept`] of which the chunk holds nothing.
    pub untouched: Vec<StreamKey>,
    index: BTreeMap<(TargetRef, usize), usize>,
    /// The group of the last match: lines of one container come in runs.
    recent: usize,
}

/// The chunk's tag, and the container id in it.
struct Tag<'t> {
    text: &'t [u8],
    id: Result<Option<&'t str>, Untargeted>,
}

/// What is known of a chunk before it is read.
#[derive(Debug, Default)]
pub struct Start {
    /// What [`RuleSet::candidate`] gave for it.
    pub candidate: Option<usize>,
    /// What [`may_hold_piece`](crate::pieces::may_hold_piece) gave for it.
    pub may_hold_piece: bool,
    /// Lines that the chunk may go on with.
    pub kept: Vec<Kept>,
}

/// Searches a chunk.
pub fn scan(
    config: &Config,
    chunk: &[u8],
    tag: &[u8],
    start: Start,
    scratch: &mut Scratch,
) -> Findings {
    let mut scan = Scan {
        config,
        tag: Tag {
            text: tag,
            id: tag_id(tag),
        },
        findings: Findings::default(),
        scratch,
        events: Events::new(chunk),
        open: BTreeMap::new(),
        runs: BTreeMap::new(),
    };
    scan.go_on_with(start.kept);
    scan.run(chunk, start.candidate, start.may_hold_piece);
    scan.finish()
}

/// A chunk being searched.
struct Scan<'s, 'c> {
    config: &'s Config,
    tag: Tag<'s>,
    findings: Findings,
    scratch: &'s mut Scratch,
    events: Events<'c>,
    /// Lines whose end has not come, each of a stream of its own.
    open: BTreeMap<StreamKey, Open<'c>>,
    /// Lines that may go on with the next of their stream.
    runs: BTreeMap<StreamKey, Run>,
}

impl<'c> Scan<'_, 'c> {
    fn go_on_with(&mut self, kept: Vec<Kept>) {
        for (key, line) in kept {
            match line {
                Line::Broken(line) => {
                    self.open.insert(key, Open { line, newest: None });
                }
                Line::Wrapped(lines) => {
                    self.runs.insert(key, Run::kept(lines));
                }
            }
        }
    }

    /// Reads the events with a candidate and those that are large enough to be
    /// a piece; while something may go on, every one.
    fn run(&mut self, chunk: &'c [u8], mut candidate: Option<usize>, may_hold_piece: bool) {
        loop {
            let from = self.events.position();
            if candidate.is_some_and(|at| at < from) {
                candidate = self.config.rules.candidate(chunk, from);
            }
            self.end_runs();
            let waits = !self.open.is_empty() || !self.runs.is_empty();
            let next = if may_hold_piece || waits {
                from
            } else if let Some(candidate) = candidate {
                candidate
            } else {
                break;
            };
            match self.events.at(next) {
                Ok(Some(event)) => {
                    let end = self.events.position();
                    let is_candidate = candidate.is_some_and(|at| at < end);
                    if is_candidate || waits || end - from >= PIECE_BYTES {
                        self.event(event, is_candidate);
                    }
                }
                Ok(None) => break,
                Err(damage) => {
                    self.findings.damage = Some(damage);
                    break;
                }
            }
        }
    }

    fn event(&mut self, event: Event<'c>, is_candidate: bool) {
        match event {
            Event::Record(record) => {
                self.findings.records += 1;
                if self.config.target.accepts(record.body) && !self.piece(&record, is_candidate) {
                    self.whole(&record, is_candidate);
                }
            }
            Event::GroupMarker => {}
            Event::Foreign(why) => {
                let count = self.findings.foreign.map_or(0, |(count, _)| count);
                self.findings.foreign = Some((count + 1, why));
            }
        }
    }

    /// A record by itself.
    fn whole(&mut self, record: &Record<'c>, is_candidate: bool) {
        let judged = match is_candidate {
            true => judge(self.config, record, None, self.scratch),
            false => Judged::default(),
        };
        match judged.best {
            Some((rule, text)) => {
                self.add(record, rule, text);
                self.mark_newest();
                self.end_run_of(record);
            }
            None => self.unmatched(record, judged.wants_more),
        }
    }

    fn add(&mut self, record: &Record<'_>, rule: usize, text: &[u8]) {
        self.findings
            .add(self.config, &self.tag, record, rule, text);
    }

    /// The newest event is part of a match.
    fn mark_newest(&mut self) {
        self.events.mark(self.events.number());
    }

    /// What of a record may be part of a line, and whose it is; none where no
    /// container is named, and of the kernel's.
    fn piece_of(&self, record: &Record<'c>) -> Option<Piece<'c>> {
        if self.config.target == TargetMode::Kernel || !self.config.target.accepts(record.body) {
            return None;
        }
        Piece::of(&self.config.log_keys, record.body)
    }

    fn stream_of(&self, record: &Record<'c>, piece: &Piece<'c>) -> Option<StreamKey> {
        let target = self
            .config
            .target
            .resolve(self.tag.id, record.body, piece.text);
        let key = |target| StreamKey::new(self.tag.text, target, record.body, piece.key);
        target.ok().map(key)
    }

    /// At the chunk's end: an open line counts for what there is of it, and
    /// waits for its rest.
    fn finish(mut self) -> Findings {
        for (key, mut open) in std::mem::take(&mut self.open) {
            match &open.newest {
                None => self.findings.untouched.push(key),
                Some(record) => {
                    self.judge_line(&mut open.line, record);
                    self.findings.left.push((key, Line::Broken(open.line)));
                }
            }
        }
        for (key, run) in self.runs {
            if run.is_new {
                self.findings.left.push((key, run.into_line()));
            } else {
                self.findings.untouched.push(key);
            }
        }
        self.findings
    }
}

/// What a record says by itself.
#[derive(Default)]
struct Judged<'a> {
    /// The first rule in precedence that a text matches, and that text.
    best: Option<(usize, &'a [u8])>,
    /// A text that matches nothing has a word of a rule that wants more.
    wants_more: bool,
}

/// Judges each text of a record; one field may be left out.
fn judge<'a>(
    config: &Config,
    record: &Record<'a>,
    without: Option<&[u8]>,
    scratch: &mut Scratch,
) -> Judged<'a> {
    let origin = match config.target {
        TargetMode::Kernel => Origin::Kernel,
        _ => Origin::Container,
    };
    let mut judged = Judged::default();
    each_text(&config.log_keys, record.body, without, |text| match config
        .rules
        .judge(text, origin, scratch)
    {
        None => judged.wants_more |= config.rules.wants_more(origin, scratch),
        Some(rule) if judged.best.is_none_or(|(first, _)| rule < first) => {
            judged.best = Some((rule, text));
        }
        Some(_) => {}
    });
    judged
}

/// Calls `visit` for each text that `Log_Key` selects, but for one field's.
pub(crate) fn each_text<'a>(
    keys: &LogKeys,
    body: Body<'a>,
    without: Option<&[u8]>,
    mut visit: impl FnMut(&'a [u8]),
) {
    match keys {
        LogKeys::Every => {
            let left_out = without.and_then(|key| body.texts(key).next());
            let is_other = |text: &&[u8]| !left_out.is_some_and(|it| std::ptr::eq(it, *text));
            body.strings().filter(is_other).for_each(visit);
        }
        LogKeys::Named(names) => {
            for (key, value) in body.fields() {
                if let Value::Text(text) = value
                    && Some(key) != without
                    && names.iter().any(|name| name == key)
                {
                    visit(text);
                }
            }
        }
    }
}

impl Findings {
    fn add(
        &mut self,
        config: &Config,
        tag: &Tag<'_>,
        record: &Record<'_>,
        rule: usize,
        text: &[u8],
    ) {
        *self.matches.entry(rule).or_default() += 1;
        match config.target.resolve(tag.id, record.body, text) {
            Ok(target) => {
                let is_recent = self
                    .groups
                    .get(self.recent)
                    .is_some_and(|group| group.rule == rule && target.is(&group.target));
                if !is_recent && !self.select(&config.rules, target.to_ref(), rule, tag.text) {
                    self.overflow += 1;
                    return;
                }
                self.groups[self.recent].add(record.time, text);
            }
            Err(why) => self.untargeted[why as usize] += 1,
        }
    }

    /// Makes `recent` the group of (target, rule); false when there is no room
    /// for a new one.
    fn select(&mut self, rules: &RuleSet, target: TargetRef, rule: usize, tag: &[u8]) -> bool {
        let key = (target, rule);
        if let Some(&known) = self.index.get(&key) {
            self.recent = known;
            return true;
        }
        if self.groups.len() == GROUPS_MAX {
            return false;
        }
        let name = &rules.rules()[rule].name;
        self.recent = self.groups.len();
        self.groups.push(Group::new(key.0.clone(), rule, name, tag));
        self.index.insert(key, self.recent);
        true
    }

    /// Matching records without a target.
    pub fn untargeted_total(&self) -> u64 {
        self.untargeted.iter().sum()
    }

    /// True where something of the chunk could not be used: it is then an
    /// error for the host to count.
    pub fn is_flawed(&self) -> bool {
        self.damage.is_some() || self.foreign.is_some() || self.overflow > 0
    }

    /// The counts by reason.
    pub fn untargeted_by_reason(&self) -> impl Iterator<Item = (Untargeted, u64)> {
        Untargeted::ALL.into_iter().zip(self.untargeted)
    }
}
