//! Writes chunks of log events as Fluent Bit does.

/// A value of a record.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Str(Vec<u8>),
    Bin(Vec<u8>),
    Int(i64),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(text: &[u8]) -> Self {
        Self::Str(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// A map with string keys.
pub(crate) fn map(pairs: &[(&str, Value)]) -> Value {
    Value::Map(
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), value.clone()))
            .collect(),
    )
}

/// How an event says when.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stamp {
    /// Extension 0: seconds, nanoseconds.
    EventTime(u32, u32),
    Int(i64),
    Float(f64),
}

/// A chunk that grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk(pub(crate) Vec<u8>);

impl Chunk {
    /// `[[time, {}], body]`, the form since version 2.1.
    pub(crate) fn v2(self, stamp: Stamp, body: &Value) -> Self {
        self.v2_with(stamp, &map(&[]), body)
    }

    /// The same with metadata.
    pub(crate) fn v2_with(mut self, stamp: Stamp, metadata: &Value, body: &Value) -> Self {
        self.0.extend([0x92, 0x92]);
        put_stamp(&mut self.0, stamp);
        put(&mut self.0, metadata);
        put(&mut self.0, body);
        self
    }

    /// `[time, body]`, the older form.
    pub(crate) fn v1(mut self, stamp: Stamp, body: &Value) -> Self {
        self.0.push(0x92);
        put_stamp(&mut self.0, stamp);
        put(&mut self.0, body);
        self
    }

    /// A record with one `log` field.
    pub(crate) fn log(self, second: u32, text: &str) -> Self {
        self.v2(Stamp::EventTime(second, 500), &map(&[("log", text.into())]))
    }

    /// Any bytes.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

fn put_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    match stamp {
        Stamp::EventTime(seconds, nanos) => {
            out.extend([0xd7, 0x00]);
            out.extend(seconds.to_be_bytes());
            out.extend(nanos.to_be_bytes());
        }
        Stamp::Int(seconds) => put(out, &Value::Int(seconds)),
        Stamp::Float(seconds) => {
            out.push(0xcb);
            out.extend(seconds.to_be_bytes());
        }
    }
}

/// Writes one value in the widest form that is not wasteful.
pub(crate) fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => put_bytes(out, text, 0xa0, 31, [0xd9, 0xda, 0xdb]),
        Value::Bin(bytes) => put_bytes(out, bytes, 0, 0, [0xc4, 0xc5, 0xc6]),
        Value::Int(number @ 0..=127) => out.push(*number as u8),
        Value::Int(number) => {
            out.push(0xd3);
            out.extend(number.to_be_bytes());
        }
        Value::Array(values) => {
            put_count(out, values.len(), 0x90, [0xdc, 0xdd]);
            values.iter().for_each(|value| put(out, value));
        }
        Value::Map(pairs) => {
            put_count(out, pairs.len(), 0x80, [0xde, 0xdf]);
            for (key, value) in pairs {
                put(out, key);
                put(out, value);
            }
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8], fix: u8, fix_max: usize, marks: [u8; 3]) {
    let len = bytes.len();
    match len {
        _ if fix != 0 && len <= fix_max => out.push(fix | len as u8),
        0..=0xff => out.extend([marks[0], len as u8]),
        0x100..=0xffff => {
            out.push(marks[1]);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(marks[2]);
            out.extend((len as u32).to_be_bytes());
        }
    }
    out.extend(bytes);
}

fn put_count(out: &mut Vec<u8>, count: usize, fix: u8, marks: [u8; 2]) {
    match count {
        0..=15 => out.push(fix | count as u8),
        16..=0xffff => {
            out.push(marks[0]);
            out.extend((count as u16).to_be_bytes());
        }
        _ => {
            out.push(marks[1]);
            out.extend((count as u32).to_be_bytes());
        }
    }
}
