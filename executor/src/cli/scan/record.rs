//! What a line is: plain text, or a record in JSON as Docker's json-file driver,
//! Fluentd and Fluent Bit write them. Of a record every text field is judged,
//! and its own time counts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::time::RecordTime;

/// The plugin's default for `Log_Key`.
const TEXT_KEYS: [&str; 5] = ["log", "message", "MESSAGE", "msg", "body"];

/// Docker and Fluentd: `time`; Fluent Bit: `date`; Logstash: `@timestamp`.
const TIME_KEYS: [&str; 4] = ["time", "date", "@timestamp", "timestamp"];

/// The texts to judge, and the record's own time.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) texts: Vec<Cow<'a, [u8]>>,
    pub(super) time: Option<RecordTime>,
}

impl<'a> Record<'a> {
    /// Never fails: what is not a record with a text field is plain text.
    pub(super) fn of(line: &'a [u8]) -> Self {
        if line.trim_ascii_start().first() == Some(&b'{')
            && let Ok(Fields(record)) = serde_json::from_slice::<Fields<'_>>(line)
            && !record.texts.is_empty()
        {
            return record;
        }
        Self {
            texts: vec![Cow::Borrowed(line)],
            time: None,
        }
    }
}

struct Fields<'a>(Record<'a>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_map(FieldsVisitor)
    }
}

/// Sees a doubled key in each of its occurrences, which a map type would hide.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
        let mut record = Record::default();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            if TEXT_KEYS.contains(&&*key) {
                match map.next_value::<Scalar<'de>>()? {
                    Scalar::Text(Text(Cow::Borrowed(text))) => {
                        record.texts.push(Cow::Borrowed(text.as_bytes()));
                    }
                    Scalar::Text(Text(Cow::Owned(text))) => {
                        record.texts.push(Cow::Owned(text.into_bytes()));
                    }
                    Scalar::Number(_) | Scalar::Other => {}
                }
            } else if TIME_KEYS.contains(&&*key) {
                // Parsers put keys from the application's text before the
                // log driver's own, so the last one is the trustworthy one.
                let time = match map.next_value::<Scalar<'de>>()? {
                    Scalar::Text(Text(text)) => RecordTime::from_text(&text),
                    Scalar::Number(number) => RecordTime::from_text(&number.to_string()),
                    Scalar::Other => None,
                };
                record.time = time.or(record.time);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Fields(record))
    }
}

/// Borrowed where it holds no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'a> {
    Text(#[serde(borrow)] Text<'a>),
    Number(serde_json::Number),
    #[allow(dead_code)] // Lists, objects and the like: read and left alone.
    Other,
}
