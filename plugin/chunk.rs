//! The events of one chunk, as Fluent Bit hands them to Flush.
//!
//! An event is `[time, map]` or `[[time, metadata], map]`; a time of -1 or -2
//! marks the start or end of a group and is no record. A time is Fluent Bit's
//! EventTime (extension 0: seconds and nanoseconds), an integer or a float.
//!
//! Kept true: nothing is copied; events before the one that is wanted are only
//! stepped over; what is not an event is skipped as one value and counted by
//! the caller; nesting is limited to [`DEPTH_MAX`] where strings are searched
//! at every level, and costs no stack anywhere.
//!
//! Not here: joining what one line was cut into (`pieces`, `lines`), and what a
//! record's text means.

use crate::msgpack::{Damage, Head, Reader};

/// Deepest nesting of maps and arrays in which [`Body::strings`] looks.
/// Strings below it are not searched.
pub const DEPTH_MAX: usize = 32;

/// When a record was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the epoch.
    pub seconds: u64,
    /// None where the source has whole seconds.
    pub nanos: Option<u32>,
}

/// One log record.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// As the event says.
    pub time: Time,
    /// The event's map.
    pub body: Body<'a>,
}

/// What stands at one place of a chunk.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A log record.
    Record(Record<'a>),
    /// The start or the end of a group.
    GroupMarker,
    /// A whole MessagePack value that is no event; the text says why.
    Foreign(&'static str),
}

/// How far back [`Events::earlier`] goes.
pub const EARLIER_MAX: usize = 32;

/// Walks the events of a chunk.
#[derive(Debug)]
pub struct Events<'a> {
    chunk: &'a [u8],
    reader: Reader<'a>,
    /// Where the newest events begin, each at its number modulo the length.
    starts: [usize; EARLIER_MAX],
    /// Which of them are marked.
    marks: u32,
    /// Events that were returned or stepped over.
    count: usize,
}

impl<'a> Events<'a> {
    /// Starts at the chunk's first event.
    pub fn new(chunk: &'a [u8]) -> Self {
        Self {
            chunk,
            reader: Reader::new(chunk),
            starts: [0; EARLIER_MAX],
            marks: 0,
            count: 0,
        }
    }

    /// Number of the event that was returned last, from 0.
    pub fn number(&self) -> usize {
        self.count.saturating_sub(1)
    }

    /// An event before the last one, if it is not too far back.
    pub fn earlier(&self, number: usize) -> Option<Event<'a>> {
        let is_there = number + 1 < self.count && self.is_known(number);
        let start = self.starts[number % EARLIER_MAX];
        let end = self.starts[(number + 1) % EARLIER_MAX];
        is_there.then(|| read_event(&self.chunk[start..end]))
    }

    /// Marks an event that is not too far back.
    pub fn mark(&mut self, number: usize) {
        if self.is_known(number) {
            self.marks |= 1 << (number % EARLIER_MAX);
        }
    }

    /// Whether an event that [`Self::earlier`] gives is marked.
    pub fn is_marked(&self, number: usize) -> bool {
        self.is_known(number) && self.marks >> (number % EARLIER_MAX) & 1 == 1
    }

    fn is_known(&self, number: usize) -> bool {
        number < self.count && self.count - number <= EARLIER_MAX
    }

    /// Offset behind the last event that was returned or stepped over.
    pub fn position(&self) -> usize {
        self.reader.position()
    }

    /// Steps over events up to the one that holds the byte at `offset`, and
    /// reads that one. `None` at the end of the chunk. After an error the rest
    /// of the chunk cannot be read: MessagePack has no point to resume at.
    pub fn at(&mut self, offset: usize) -> Result<Option<Event<'a>>, Damage> {
        while !self.reader.is_at_end() {
            let start = self.reader.position();
            self.reader.skip()?;
            let slot = self.count % EARLIER_MAX;
            self.starts[slot] = start;
            self.marks &= !(1 << slot);
            self.count += 1;
            if self.reader.position() > offset {
                return Ok(Some(read_event(&self.chunk[start..self.reader.position()])));
            }
        }
        Ok(None)
    }
}

/// Reads one whole value as an event.
fn read_event(bytes: &[u8]) -> Event<'_> {
    match try_read_event(bytes) {
        Ok(event) => event,
        // The caller has stepped over the whole value, so its bytes are there.
        Err(_) => Event::Foreign("it cannot be read"),
    }
}

fn try_read_event(bytes: &[u8]) -> Result<Event<'_>, Damage> {
    let mut reader = Reader::new(bytes);
    if reader.head()? != Head::Array(2) {
        return Ok(Event::Foreign("it is no array of two"));
    }
    let stamp = match reader.head()? {
        Head::Array(2) => {
            let stamp = reader.head()?;
            reader.skip_children(stamp)?;
            let metadata = reader.head()?;
            if !matches!(metadata, Head::Map(_)) {
                return Ok(Event::Foreign("its metadata is no map"));
            }
            reader.skip_children(metadata)?;
            stamp
        }
        stamp => stamp,
    };
    let time = match read_time(stamp) {
        Stamp::Time(time) => time,
        Stamp::GroupMarker => return Ok(Event::GroupMarker),
        Stamp::Foreign => return Ok(Event::Foreign("its time is none that Fluent Bit writes")),
    };
    let Head::Map(entries) = reader.head()? else {
        return Ok(Event::Foreign("its body is no map"));
    };
    let body = Body {
        entries,
        bytes: reader.rest(),
    };
    Ok(Event::Record(Record { time, body }))
}

enum Stamp {
    Time(Time),
    GroupMarker,
    Foreign,
}

fn read_time(stamp: Head<'_>) -> Stamp {
    match stamp {
        Head::UInt(seconds) => Stamp::Time(Time {
            seconds,
            nanos: None,
        }),
        Head::Int(-1 | -2) => Stamp::GroupMarker,
        Head::Float(seconds) if seconds.is_finite() && (0.0..1e15).contains(&seconds) => {
            let whole = seconds.trunc();
            // In range: checked above; the fraction is below one.
            let nanos = ((seconds - whole) * 1e9) as u32;
            Stamp::Time(Time {
                seconds: whole as u64,
                nanos: fraction(nanos),
            })
        }
        Head::Ext(0, bytes) => match bytes.split_first_chunk::<4>() {
            Some((seconds, nanos)) if nanos.len() == 4 => {
                let seconds = u32::from_be_bytes(*seconds);
                let nanos = u32::from_be_bytes([nanos[0], nanos[1], nanos[2], nanos[3]]);
                match (seconds, nanos) {
                    // -1 and -2 as the host writes them into 32 bits.
                    (u32::MAX, _) | (0xffff_fffe, _) => Stamp::GroupMarker,
                    (_, 1_000_000_000..) => Stamp::Foreign,
                    _ => Stamp::Time(Time {
                        seconds: u64::from(seconds),
                        nanos: fraction(nanos),
                    }),
                }
            }
            _ => Stamp::Foreign,
        },
        _ => Stamp::Foreign,
    }
}

/// A source with whole seconds gives a fraction of exactly zero, and a real
/// clock once in a billion times: without the fraction, comparisons with a
/// container's start are made by whole seconds.
fn fraction(nanos: u32) -> Option<u32> {
    (nanos > 0).then_some(nanos)
}

/// A record's map. Its bytes are known to be whole.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    entries: u32,
    bytes: &'a [u8],
}

/// A value of a record's map, as far as anyone asks.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A string or binary.
    Text(&'a [u8]),
    /// A map.
    Map(Body<'a>),
    /// Anything else.
    Other,
}

impl<'a> Body<'a> {
    /// The pairs in their order, doubled keys included. A key that is no string
    /// comes as an empty one.
    pub fn fields(self) -> Fields<'a> {
        Fields {
            reader: Reader::new(self.bytes),
            left: self.entries,
        }
    }

    /// Every string that is a value at any level down to [`DEPTH_MAX`].
    pub fn strings(self) -> Strings<'a> {
        Strings {
            reader: Reader::new(self.bytes),
            levels: [Level::default(); DEPTH_MAX],
            depth: 1,
        }
        .starting_with(self.entries)
    }

    /// The texts of one key, in their order.
    pub fn texts(self, key: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.values(key).filter_map(|value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// The values of one key, in their order.
    pub fn values(self, key: &[u8]) -> impl Iterator<Item = Value<'a>> {
        self.fields()
            .filter_map(move |(name, value)| (name == key).then_some(value))
    }
}

/// See [`Body::fields`].
#[derive(Debug)]
pub struct Fields<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pair = self.pair();
        debug_assert!(pair.is_ok(), "a body's bytes are whole");
        pair.ok()
    }
}

impl<'a> Fields<'a> {
    fn pair(&mut self) -> Result<(&'a [u8], Value<'a>), Damage> {
        let key = self.reader.head()?;
        self.reader.skip_children(key)?;
        let name = match key {
            Head::Str(name) | Head::Bin(name) => name,
            _ => b"",
        };
        let head = self.reader.head()?;
        let inner = self.reader.rest();
        self.reader.skip_children(head)?;
        let value = match head {
            Head::Str(text) | Head::Bin(text) => Value::Text(text),
            Head::Map(entries) => Value::Map(Body {
                entries,
                bytes: inner,
            }),
            _ => Value::Other,
        };
        Ok((name, value))
    }
}

/// See [`Body::strings`].
#[derive(Debug)]
pub struct Strings<'a> {
    reader: Reader<'a>,
    levels: [Level; DEPTH_MAX],
    depth: usize,
}

/// Values left at one level; in a map every other one is a key.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    left: u64,
    is_map: bool,
}

impl<'a> Strings<'a> {
    fn starting_with(mut self, entries: u32) -> Self {
        self.levels[0] = Level {
            left: 2 * u64::from(entries),
            is_map: true,
        };
        self
    }

    fn step(&mut self, is_key: bool) -> Result<Option<&'a [u8]>, Damage> {
        let head = self.reader.head()?;
        if is_key {
            self.reader.skip_children(head)?;
            return Ok(None);
        }
        match head {
            Head::Str(text) | Head::Bin(text) => return Ok(Some(text)),
            Head::Array(_) | Head::Map(_) if self.depth == DEPTH_MAX => {
                self.reader.skip_children(head)?;
            }
            Head::Array(n) => self.descend(u64::from(n), false),
            Head::Map(n) => self.descend(2 * u64::from(n), true),
            _ => {}
        }
        Ok(None)
    }

    fn descend(&mut self, left: u64, is_map: bool) {
        self.levels[self.depth] = Level { left, is_map };
        self.depth += 1;
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.get_mut(self.depth.checked_sub(1)?)?;
            if level.left == 0 {
                self.depth -= 1;
                continue;
            }
            let is_key = level.is_map && level.left % 2 == 0;
            level.left -= 1;
            if let Some(text) = self.step(is_key).ok()? {
                return Some(text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
