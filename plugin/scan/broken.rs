//! Lines that came in pieces: put together and judged when their end comes, or
//! the chunk's.

use rules::Origin;

use crate::chunk::Record;
use crate::joins::KEPT_MAX;
use crate::lines::Broken;
use crate::pieces::{Piece, StreamKey};

use super::{Scan, judge};

/// A line whose end has not come.
pub(super) struct Open<'c> {
    pub(super) line: Broken,
    /// The newest of its records in this chunk.
    pub(super) newest: Option<Record<'c>>,
}

impl<'c> Scan<'_, 'c> {
    /// Takes a record that is part of a line; false if it is none.
    pub(super) fn piece(&mut self, record: &Record<'c>, is_candidate: bool) -> bool {
        let Some(piece) = self.piece_of(record) else {
            return false;
        };
        if !piece.goes_on && self.open.is_empty() {
            return false;
        }
        let Some(key) = self.stream_of(record, &piece) else {
            return false;
        };
        let Some(mut line) = self.line_with(key, record, &piece) else {
            return false;
        };
        self.runs.remove(&key.of_lines());
        // What its other fields hold is whole.
        if is_candidate
            && let Some((rule, text)) =
                judge(self.config, record, Some(piece.key), self.scratch).best
        {
            line.is_counted = true;
            self.add(record, rule, text);
        }
        if !piece.goes_on {
            self.judge_line(&mut line, record);
            if line.is_counted {
                self.mark_newest();
            }
            return true;
        }
        if line.is_full() {
            self.judge_line(&mut line, record);
            line.forget_head();
        }
        let newest = Some(record.clone());
        self.open.insert(key, Open { line, newest });
        true
    }

    /// The line that a record goes on with, or begins.
    fn line_with(
        &mut self,
        key: StreamKey,
        record: &Record<'c>,
        piece: &Piece<'_>,
    ) -> Option<Broken> {
        if let Some(open) = self.open.remove(&key) {
            if open.line.may_go_on_at(record.time) {
                let mut line = open.line;
                line.push(record.time, piece.text);
                self.findings.joined += u64::from(!piece.goes_on);
                return Some(line);
            }
            self.close(open);
        }
        if !piece.goes_on {
            return None;
        }
        if self.open.len() >= KEPT_MAX {
            self.close_oldest();
        }
        Some(Broken::new(record.time, piece.text))
    }

    /// Nothing goes on with it any more.
    fn close(&mut self, mut open: Open<'c>) {
        if let Some(record) = &open.newest {
            self.judge_line(&mut open.line, record);
        }
    }

    fn close_oldest(&mut self) {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.line.last);
        if let Some((&key, _)) = oldest
            && let Some(open) = self.open.remove(&key)
        {
            self.findings.unjoined += 1;
            self.close(open);
        }
    }

    /// Judges what there is of a line. It is as old as its first piece: what
    /// was printed before a container's start does not count.
    pub(super) fn judge_line(&mut self, line: &mut Broken, newest: &Record<'c>) {
        let rules = &self.config.rules;
        if line.is_counted || rules.candidate(&line.text, 0).is_none() {
            return;
        }
        if let Some(rule) = rules.judge(&line.text, Origin::Container, self.scratch) {
            line.is_counted = true;
            let record = Record {
                time: line.first,
                body: newest.body,
            };
            self.add(&record, rule, &line.text);
        }
    }
}
