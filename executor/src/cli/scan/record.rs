//! What a line is: plain text, or a record in JSON as Docker's json-file driver,
//! Fluentd and Fluent Bit write them. Of a record every text field is judged,
//! its own time counts, and the path that tail gives it names its container.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::time::RecordTime;

/// The plugin's default for `Log_Key`.
const TEXT_KEYS: [&str; 5] = ["log", "message", "MESSAGE", "msg", "body"];

/// Docker and Fluentd: `time`; Fluent Bit: `date`; Logstash: `@timestamp`.
const TIME_KEYS: [&str; 4] = ["time", "date", "@timestamp", "timestamp"];

/// Where tail puts the file's path, if it is told to (`path_key filepath`).
const PATH_KEY: &str = "filepath";

/// Hex digits of a container's full id.
const ID_DIGITS: usize = 64;

/// The texts to judge, the record's own time, and where it was read.
#[derive(Debug, Default, PartialEq)]
pub(in crate::cli) struct Record<'a> {
    pub(in crate::cli) texts: Vec<Cow<'a, [u8]>>,
    pub(in crate::cli) time: Option<RecordTime>,
    /// Every value of [`PATH_KEY`]; more than one is a conflict.
    paths: Vec<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// Never fails: what is not a record with a text field is plain text.
    pub(in crate::cli) fn of(line: &'a [u8]) -> Self {
        if line.trim_ascii_start().first() == Some(&b'{')
            && let Ok(Fields(record)) = serde_json::from_slice::<Fields<'_>>(line)
            && !record.texts.is_empty()
        {
            return record;
        }
        Self {
            texts: vec![Cow::Borrowed(line)],
            ..Self::default()
        }
    }

    /// The container id in the path of the file that the record was read from:
    /// the log driver made that path, the container could not choose it. None
    /// where there is no path, more than one, or not exactly one id in it.
    pub(in crate::cli) fn container_id(&self) -> Option<&str> {
        let [path] = &*self.paths else { return None };
        let mut ids = path
            .split(|c: char| !c.is_ascii_hexdigit())
            .filter(|part| part.len() == ID_DIGITS);
        let id = ids.next()?;
        ids.all(|other| other == id).then_some(id)
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
                    Scalar::Number(_) | Scalar::Other(_) => {}
                }
            } else if TIME_KEYS.contains(&&*key) {
                // Parsers put keys from the application's text before the
                // log driver's own, so the last one is the trustworthy one.
                let time = match map.next_value::<Scalar<'de>>()? {
                    Scalar::Text(Text(text)) => RecordTime::from_text(&text),
                    Scalar::Number(number) => RecordTime::from_text(&number.to_string()),
                    Scalar::Other(_) => None,
                };
                record.time = time.or(record.time);
            } else if key == PATH_KEY {
                if let Scalar::Text(Text(path)) = map.next_value::<Scalar<'de>>()? {
                    record.paths.push(path);
                }
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
    /// Lists, objects and the like: read and left alone.
    Other(IgnoredAny),
}

#[cfg(test)]
mod tests {
    use super::Record;

    /// The texts that are judged, and the time.
    fn read(line: &[u8]) -> (Vec<String>, Option<(u64, Option<u32>)>) {
        let record = Record::of(line);
        let texts = record
            .texts
            .iter()
            .map(|t| String::from_utf8_lossy(t).into());
        (texts.collect(), record.time.map(|t| (t.secs, t.nanos)))
    }

    #[test]
    fn every_text_field_is_judged_and_all_else_is_plain_text() {
        for (line, texts) in [
            (
                &br#"{"log":"a","b":"c","msg":"d","log":"e"}"#[..],
                &["a", "d", "e"][..],
            ),
            (br#"{"log":"a\u0041\n"}"#, &["aA\n"]),
            (
                br#" {"body":"x","MESSAGE":["no"],"message":{"no":1}}"#,
                &["x"],
            ),
            (br#"{"log":1}"#, &[r#"{"log":1}"#]),
            (br#"{"other":"x"}"#, &[r#"{"other":"x"}"#]),
            (br#"{"log":"x"} tail"#, &[r#"{"log":"x"} tail"#]),
            (b"plain", &["plain"]),
            (b"", &[""]),
            (b"{\xff", &["{\u{fffd}"]),
        ] {
            assert_eq!(read(line).0, texts, "{}", String::from_utf8_lossy(line));
        }
        let bomb = format!("{{\"log\":\"x\",\"deep\":{}", "[".repeat(100_000));
        assert_eq!(read(bomb.as_bytes()).0, [bomb]);
    }

    #[test]
    fn the_last_time_that_can_be_read_is_the_records() {
        for (line, time) in [
            (
                &br#"{"log":"x","time":"2025-10-20T16:47:31Z"}"#[..],
                Some((1_760_978_851, None)),
            ),
            (
                br#"{"log":"x","date":1760978851.5}"#,
                Some((1_760_978_851, Some(500_000_000))),
            ),
            (
                br#"{"time":"1999","log":"x","time":1760978851}"#,
                Some((1_760_978_851, None)),
            ),
            (
                br#"{"time":1760978851,"log":"x","time":"soon"}"#,
                Some((1_760_978_851, None)),
            ),
            (br#"{"log":"x","time":-5}"#, None),
            (br#"{"log":"x","time":null}"#, None),
            (br#"{"log":"x"}"#, None),
        ] {
            assert_eq!(read(line).1, time, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_path_names_the_container_only_where_it_cannot_be_doubted() {
        let a = "a".repeat(64);
        let b = "b".repeat(64);
        let path = |id: &str| format!("/var/lib/docker/containers/{id}/{id}-json.log");
        let record = |fields: &str| {
            let line = format!("{{\"log\":\"x\"{fields}}}");
            Record::of(line.as_bytes())
                .container_id()
                .map(str::to_owned)
        };
        let field = |path: &str| format!(",\"filepath\":\"{path}\"");
        assert_eq!(record(&field(&path(&a))), Some(a.clone()));
        assert_eq!(record(""), None);
        assert_eq!(record(&field("/var/log/app.log")), None);
        assert_eq!(record(&field(&format!("/{a}/{b}-json.log"))), None);
        assert_eq!(record(&field(&path(&a[1..]))), None);
        assert_eq!(record(&field(&path(&format!("{a}a")))), None);
        assert_eq!(record(&(field(&path(&a)) + &field(&path(&b)))), None);
        assert_eq!(record(",\"filepath\":7"), None);
        // The application's own text cannot name one.
        let text = field(&path(&a)).replace('"', "\\\"");
        let line = format!("{{\"log\":\"x{text}\"}}");
        assert_eq!(Record::of(line.as_bytes()).container_id(), None);
        assert_eq!(Record::of(path(&a).as_bytes()).container_id(), None);
    }
}
