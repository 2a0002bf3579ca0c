//! Messages over several lines, each a record of its own: where a line holds a
//! word of a rule and not the rest, the lines around it are looked at.
//!
//! Kept true: only such a line makes others be read; no line of a match counts
//! in another one; whether lines match does not depend on where chunks end, but
//! for those before the line with the word, which are looked for in its chunk.

use rules::Origin;

use crate::chunk::{EARLIER_MAX, Event, Record, Time};
use crate::joins::KEPT_MAX;
use crate::lines::{
    Line, WRAPPED_AWAY_MAX, WRAPPED_LINE_BYTES_MAX, WRAPPED_RECORDS_MAX, Wrapped, is_soon_after,
};
use crate::pieces::StreamKey;

use super::Scan;

/// Lines that the next of their stream may go on with.
pub(super) struct Run {
    lines: Wrapped,
    /// Number of the last event that is waited for.
    until: usize,
    /// Whether this chunk holds any of the lines.
    pub(super) is_new: bool,
}

impl Run {
    /// From a chunk before.
    pub(super) fn kept(lines: Wrapped) -> Self {
        Self {
            lines,
            until: WRAPPED_RECORDS_MAX,
            is_new: false,
        }
    }

    /// For the next chunk.
    pub(super) fn into_line(mut self) -> Line {
        self.lines
            .lines
            .iter_mut()
            .for_each(|line| line.event = None);
        Line::Wrapped(self.lines)
    }
}

impl<'c> Scan<'_, 'c> {
    /// A record that matches nothing by itself.
    pub(super) fn unmatched(&mut self, record: &Record<'c>, wants_more: bool) {
        if !wants_more && self.runs.is_empty() {
            return;
        }
        let Some((key, text)) = self.line_of(record) else {
            return;
        };
        let run = self.runs.remove(&key);
        if text.len() > WRAPPED_LINE_BYTES_MAX {
            return;
        }
        let run = run.filter(|run| run.lines.may_go_on_at(record.time));
        let mut lines = match run {
            Some(run) => run.lines,
            None if wants_more => self.lines_before(key, record.time),
            None => return,
        };
        let number = self.events.number();
        lines.push(record.time, number, text);
        lines.wanted = match wants_more {
            true => WRAPPED_AWAY_MAX,
            false => lines.wanted.saturating_sub(1),
        };
        if self.count_lines(&lines, record) || lines.wanted == 0 {
            return;
        }
        if self.runs.len() >= KEPT_MAX {
            self.drop_oldest_run();
        }
        let run = Run {
            lines,
            until: number + WRAPPED_RECORDS_MAX,
            is_new: true,
        };
        self.runs.insert(key, run);
    }

    /// A record that matches by itself is no part of another message.
    pub(super) fn end_run_of(&mut self, record: &Record<'c>) {
        if !self.runs.is_empty()
            && let Some((key, _)) = self.line_of(record)
        {
            self.runs.remove(&key);
        }
    }

    /// What has waited too long.
    pub(super) fn end_runs(&mut self) {
        if !self.runs.is_empty() {
            let number = self.events.number();
            self.runs.retain(|_, run| number < run.until);
        }
    }

    fn drop_oldest_run(&mut self) {
        let oldest = self.runs.iter().min_by_key(|(_, run)| run.until);
        if let Some((&key, _)) = oldest {
            self.runs.remove(&key);
            self.findings.unjoined += 1;
        }
    }

    /// A record's stream and line, if it is a whole one.
    fn line_of(&self, record: &Record<'c>) -> Option<(StreamKey, &'c [u8])> {
        let piece = self.piece_of(record).filter(|piece| !piece.goes_on)?;
        let key = self.stream_of(record, &piece)?;
        Some((key.of_lines(), piece.text))
    }

    /// The nearest lines of the stream before the newest event, as far as none
    /// of them is part of a match.
    fn lines_before(&self, key: StreamKey, time: Time) -> Wrapped {
        let newest = self.events.number();
        let mut found: Vec<(Time, usize, &[u8])> = Vec::new();
        let mut next = time;
        for number in (newest.saturating_sub(EARLIER_MAX)..newest).rev() {
            let Some(Event::Record(record)) = self.events.earlier(number) else {
                continue;
            };
            let Some((_, text)) = self.line_of(&record).filter(|(its, _)| *its == key) else {
                continue;
            };
            if self.events.is_marked(number)
                || text.len() > WRAPPED_LINE_BYTES_MAX
                || !is_soon_after(record.time, next)
            {
                break;
            }
            next = record.time;
            found.push((record.time, number, text));
            if found.len() == WRAPPED_AWAY_MAX {
                break;
            }
        }
        let mut lines = Wrapped::default();
        for (time, number, text) in found.into_iter().rev() {
            lines.push(time, number, text);
        }
        lines
    }

    /// Counts lines that match together, from the last on which the match can
    /// begin: it is as old as that line.
    fn count_lines(&mut self, lines: &Wrapped, newest: &Record<'c>) -> bool {
        let mut judge = |from: usize| {
            let text = &lines.text[from..];
            self.config
                .rules
                .judge(text, Origin::Container, self.scratch)
        };
        let Some(rule) = (lines.lines.len() > 1).then(|| judge(0)).flatten() else {
            return false;
        };
        let needless = lines.lines[1..]
            .iter()
            .take_while(|line| judge(line.start) == Some(rule))
            .count();
        let lines_left = &lines.lines[needless..];
        let record = Record {
            time: lines_left[0].time,
            body: newest.body,
        };
        self.findings.joined += 1;
        self.add(&record, rule, &lines.text[lines_left[0].start..]);
        for number in lines_left.iter().filter_map(|line| line.event) {
            self.events.mark(number);
        }
        true
    }
}
