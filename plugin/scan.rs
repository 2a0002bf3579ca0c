//! From a chunk's bytes to groups of matches: the pure half of Flush.
//!
//! The raw chunk is searched first; only events around a candidate are read,
//! the others are stepped over. A record counts once, for the rule that comes
//! first in precedence among those that any of its texts matches.
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
use crate::msgpack::Damage;
use crate::target::{TargetMode, Untargeted, tag_id};

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
    index: BTreeMap<(TargetRef, usize), usize>,
    /// The group of the last match: lines of one container come in runs.
    recent: usize,
}

/// The chunk's tag, and the container id in it.
struct Tag<'t> {
    text: &'t [u8],
    id: Result<Option<&'t str>, Untargeted>,
}

/// Searches a chunk from `candidate` on, which is what
/// [`RuleSet::candidate`] gave for it.
pub fn scan(
    config: &Config,
    chunk: &[u8],
    tag: &[u8],
    candidate: usize,
    scratch: &mut Scratch,
) -> Findings {
    let mut findings = Findings::default();
    let tag = Tag {
        text: tag,
        id: tag_id(tag),
    };
    let mut events = Events::new(chunk);
    let mut next = Some(candidate);
    while let Some(offset) = next {
        match events.at(offset) {
            Ok(Some(Event::Record(record))) => {
                findings.records += 1;
                if let Some((rule, text)) = judge(config, &record, scratch) {
                    findings.add(config, &tag, &record, rule, text);
                }
            }
            Ok(Some(Event::GroupMarker)) => {}
            Ok(Some(Event::Foreign(why))) => {
                let count = findings.foreign.map_or(0, |(count, _)| count);
                findings.foreign = Some((count + 1, why));
            }
            Ok(None) => break,
            Err(damage) => {
                findings.damage = Some(damage);
                break;
            }
        }
        next = config.rules.candidate(chunk, events.position());
    }
    findings
}

/// The first rule in precedence that a text of the record matches.
fn judge<'a>(
    config: &Config,
    record: &Record<'a>,
    scratch: &mut Scratch,
) -> Option<(usize, &'a [u8])> {
    if !config.target.accepts(record.body) {
        return None;
    }
    let origin = match config.target {
        TargetMode::Kernel => Origin::Kernel,
        _ => Origin::Container,
    };
    let mut best: Option<(usize, &[u8])> = None;
    each_text(&config.log_keys, record.body, |text| {
        if let Some(rule) = config.rules.judge(text, origin, scratch)
            && best.is_none_or(|(first, _)| rule < first)
        {
            best = Some((rule, text));
        }
    });
    best
}

/// Calls `visit` for each text that `Log_Key` selects.
fn each_text<'a>(keys: &LogKeys, body: Body<'a>, mut visit: impl FnMut(&'a [u8])) {
    match keys {
        LogKeys::Every => body.strings().for_each(visit),
        LogKeys::Named(names) => {
            for (key, value) in body.fields() {
                if let Value::Text(text) = value
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
