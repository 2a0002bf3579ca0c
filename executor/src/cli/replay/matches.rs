//! What a log says: its matches, each second's of one rule and container in one,
//! in the order of its own clock.

use std::collections::BTreeMap;
use std::path::Path;

use policy::WallTime;
use rules::{Origin, RuleSet, Scratch};

use crate::cli::output::{Failure, tell_error};
use crate::cli::scan::lines::Lines;
use crate::cli::scan::record::Record;
use crate::cli::scan::time::RecordTime;

/// Most seconds with matches, each counted for each rule and container.
const MATCHES_MAX: usize = 1_000_000;
/// Characters of an id that name a container without a name.
const SHORT_ID: usize = 12;

/// One rule's matches of one container in one second.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) target: String,
    pub(super) rule: String,
    /// Of the newest line.
    pub(super) time: WallTime,
    pub(super) count: u32,
    /// Of the newest line, counted from 1.
    pub(super) line: u64,
    /// When it is judged, ms since the epoch: never before what came before it.
    pub(super) at_ms: u64,
}

/// A whole log.
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) all: Vec<Match>,
    pub(super) lines: u64,
    pub(super) matching: u64,
    /// Matching lines without a time of their own, which count as printed with
    /// the line before.
    pub(super) timeless: u64,
    /// The first and the last time in it, ms since the epoch.
    pub(super) span_ms: Option<(u64, u64)>,
}

impl Matches {
    pub(super) fn read(
        file: &Path,
        rules: &RuleSet,
        origin: Origin,
        target: &str,
    ) -> Result<Self, Failure> {
        let shown = file.display();
        let failed = |e: std::io::Error| Failure::failed(format!("{shown}: {e}"));
        let mut input = Lines::open(file).map_err(failed)?;
        let mut reader = Reader {
            matches: Self::default(),
            rules,
            origin,
            target,
            scratch: Scratch::default(),
            second: BTreeMap::new(),
            now: None,
        };
        while let Some(line) = input.next().map_err(failed)? {
            reader.line(line.bytes)?;
            if line.cut {
                let number = reader.matches.lines;
                tell_error(&format!("{shown}: line {number} is too long and was cut"));
            }
        }
        reader.flush()?;
        if reader.matches.matching > 0 && reader.matches.span_ms.is_none() {
            return Err(Failure::wrong_use(format!(
                "{shown}: no line has a time, and without times there is no clock to replay it on: \
                 `docker logs --timestamps NAME` writes them, Docker's own JSON files have them"
            )));
        }
        Ok(reader.matches)
    }
}

struct Reader<'a> {
    matches: Matches,
    rules: &'a RuleSet,
    origin: Origin,
    target: &'a str,
    scratch: Scratch,
    /// Of the second that is being read, by (container, rule).
    second: BTreeMap<(String, String), Match>,
    /// The log's clock; it does not go back.
    now: Option<RecordTime>,
}

impl Reader<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.matches.lines += 1;
        let record = Record::of(line);
        let time = record.time.or_else(|| time_in_front(line));
        if let Some(time) = time {
            self.pass(time)?;
        }
        for text in &record.texts {
            let Some(index) = self.rules.judge(text, self.origin, &mut self.scratch) else {
                continue;
            };
            let rule = self.rules.rules()[index].name.clone();
            let own = record.container_id();
            let target = own.map_or(self.target, |id| &id[..SHORT_ID]).to_owned();
            self.matches.matching += 1;
            let Some(now) = self.now else {
                self.matches.timeless += 1;
                continue;
            };
            self.matches.timeless += u64::from(time.is_none());
            let time = time.unwrap_or(now);
            let found = Match {
                target: target.clone(),
                rule: rule.clone(),
                time: WallTime {
                    secs: time.secs,
                    nanos: time.nanos,
                },
                count: 1,
                line: self.matches.lines,
                at_ms: ms(now),
            };
            self.second
                .entry((target, rule))
                .and_modify(|old| {
                    let count = old.count.saturating_add(1);
                    let older = found.time.is_before(old.time);
                    let time = if older { old.time } else { found.time };
                    *old = Match {
                        count,
                        time,
                        ..found.clone()
                    };
                })
                .or_insert(found);
        }
        Ok(())
    }

    /// The log's clock moves on; at a new second what was found is complete.
    fn pass(&mut self, time: RecordTime) -> Result<(), Failure> {
        let at_ms = ms(time);
        let first = self.matches.span_ms.map_or(at_ms, |(first, _)| first);
        let last = self.matches.span_ms.map_or(at_ms, |(_, last)| last);
        self.matches.span_ms = Some((first.min(at_ms), last.max(at_ms)));
        match self.now {
            Some(now) if time.secs < now.secs || time <= now => {}
            Some(now) if time.secs == now.secs => self.now = Some(time),
            _ => {
                self.flush()?;
                self.now = Some(time);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut found: Vec<Match> = std::mem::take(&mut self.second).into_values().collect();
        found.sort_by_key(|one| one.line);
        self.matches.all.append(&mut found);
        if self.matches.all.len() > MATCHES_MAX {
            return Err(Failure::failed(format!(
                "more than {MATCHES_MAX} seconds with matches: replay the log in parts"
            )));
        }
        Ok(())
    }
}

/// What `docker logs --timestamps` and journals in their ISO form put in front.
fn time_in_front(line: &[u8]) -> Option<RecordTime> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let word = std::str::from_utf8(&line[..end]).ok()?;
    // A mere number may be anything.
    word.contains('T').then(|| RecordTime::from_text(word))?
}

fn ms(time: RecordTime) -> u64 {
    let nanos = u64::from(time.nanos.unwrap_or(0));
    time.secs.saturating_mul(1_000) + nanos / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_front_is_one_with_a_date() {
        let at = |line: &[u8]| time_in_front(line).map(|t| (t.secs, t.nanos));
        for (line, want) in [
            (
                &b"2025-10-20T16:47:31.5Z CUDA out of memory"[..],
                Some((1_760_978_851, Some(500_000_000))),
            ),
            (b"2025-10-20T16:47:31+02:00 x", Some((1_760_971_651, None))),
            (b"1760978851 x", None),
            (b"Traceback x", None),
            (b"2025-10-20T16:47:31Z", None),
            (b"", None),
        ] {
            assert_eq!(at(line), want, "{}", String::from_utf8_lossy(line));
        }
    }
}
