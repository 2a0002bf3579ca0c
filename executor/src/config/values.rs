//! The kinds of value that settings have, each read from text (environment,
//! flags) and from TOML by the same code, so that both accept the same.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

const DAY_MS: u64 = 86_400_000;

/// A value that can be given as text. The error says what is wrong and what is right.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A duration in milliseconds: `300s`, `5m`, `1h 30m`, `250ms`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Millis(pub(super) u64);

/// A factor in thousandths: `2` is 2,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor(pub(super) u32);

/// Permission bits in octal: `"0660"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(pub(super) u32);

/// A value, or the word `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrOff<T> {
    On(T),
    Off,
}

impl<T> OrOff<T> {
    pub(super) fn on(self) -> Option<T> {
        match self {
            Self::On(value) => Some(value),
            Self::Off => None,
        }
    }
}

/// Reads a duration as all settings do.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    Millis::from_text(text).map(|millis| millis.0)
}

/// A duration for people, in the notation that settings accept: `5m`, `1h 30m`.
pub fn show_duration_ms(ms: u64) -> String {
    let units = [
        (DAY_MS, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
        (1, "ms"),
    ];
    let mut rest = ms;
    let mut words = Vec::new();
    for (unit, name) in units {
        if rest >= unit {
            words.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    match words.is_empty() {
        true => "0s".to_owned(),
        false => words.join(" "),
    }
}

impl FromText for Millis {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text
                .parse::<u64>()
                .ok()
                .and_then(|s| s.checked_mul(1000))
                .map(Self)
                .ok_or_else(|| format!("{text} seconds are too many"));
        }
        let duration = humantime::parse_duration(text).map_err(|e| {
            format!("\"{text}\" is not a duration such as 300s, 5m, 1h or a number of seconds: {e}")
        })?;
        if duration.subsec_nanos() % 1_000_000 != 0 {
            return Err(format!("\"{text}\" is finer than a millisecond"));
        }
        u64::try_from(duration.as_millis())
            .map(Self)
            .map_err(|_| format!("\"{text}\" is too long"))
    }
}

impl FromText for Factor {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a factor such as 2 or 1.5");
        let factor: f64 = text.trim().parse().map_err(|_| wrong())?;
        Self::from_f64(factor).ok_or_else(wrong)
    }
}

impl Factor {
    /// None where it is negative, not a number, or too large to be meant.
    fn from_f64(factor: f64) -> Option<Self> {
        let thousandths = (factor * 1000.0).round();
        // In range, so the cast is exact.
        (0.0..=1e9)
            .contains(&thousandths)
            .then_some(Self(thousandths as u32))
    }
}

impl FromText for Mode {
    fn from_text(text: &str) -> Result<Self, String> {
        u32::from_str_radix(text.trim(), 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| format!("\"{text}\" is not a file mode in octal such as \"0660\""))
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        }
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map_err(|_| format!("\"{text}\" is not a whole number"))
    }
}

impl FromText for u64 {
    fn from_text(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map_err(|_| format!("\"{text}\" is not a whole number"))
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl FromText for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map_err(|_| format!("\"{text}\" is not an address with a port such as 127.0.0.1:9718"))
    }
}

impl<T: FromText> FromText for OrOff<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            text => T::from_text(text).map(Self::On),
        }
    }
}

/// A closed set of words as a setting's value.
macro_rules! words {
    ($type:ty, $($word:literal => $value:expr),+ $(,)?) => {
        impl FromText for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                match text.trim() {
                    $($word => Ok($value),)+
                    _ => Err(format!("\"{text}\" is none of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

words!(policy::OnRefusal, "pending" => Self::Pending, "drop" => Self::Drop);
words!(super::Died, "off" => Self::Off, "failed" => Self::Failed, "any" => Self::Any);
words!(super::Gap, "tell" => Self::Tell, "start" => Self::Start, "off" => Self::Off);
words!(super::LogFormat, "human" => Self::Human, "json" => Self::Json);
words!(super::LogLevel,
    "error" => Self::Error, "warn" => Self::Warn, "info" => Self::Info,
    "debug" => Self::Debug, "trace" => Self::Trace);

/// For `#[serde(deserialize_with)]`: a string, read as the environment's would be.
pub(super) fn text<'de, T: FromText, D: Deserializer<'de>>(de: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(de)?;
    T::from_text(&text).map(Some).map_err(D::Error::custom)
}

/// For `#[serde(deserialize_with)]`: a duration in all its notations, or `off`.
pub(super) fn duration_or_off<'de, D>(de: D) -> Result<Option<OrOff<Millis>>, D::Error>
where
    D: Deserializer<'de>,
{
    let value = toml::Value::deserialize(de)?;
    if value.as_str().is_some_and(|text| text.trim() == "off") {
        return Ok(Some(OrOff::Off));
    }
    let millis = Millis::deserialize(value).map_err(D::Error::custom)?;
    Ok(Some(OrOff::On(millis)))
}

struct MillisVisitor;

impl Visitor<'_> for MillisVisitor {
    type Value = Millis;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration such as \"300s\" or a number of seconds")
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Millis, E> {
        u64::try_from(seconds)
            .ok()
            .and_then(|s| s.checked_mul(1000))
            .map(Millis)
            .ok_or_else(|| E::custom(format!("{seconds} seconds: a duration is 0 or more")))
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Millis, E> {
        let ms = (seconds * 1000.0).round();
        // In range, so the cast is exact to a millisecond.
        if (0.0..=1e15).contains(&ms) {
            Ok(Millis(ms as u64))
        } else {
            Err(E::custom(format!(
                "{seconds} seconds: a duration is 0 or more"
            )))
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Millis, E> {
        Millis::from_text(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(MillisVisitor)
    }
}

struct FactorVisitor;

impl Visitor<'_> for FactorVisitor {
    type Value = Factor;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a factor such as 2 or 1.5")
    }

    fn visit_i64<E: serde::de::Error>(self, factor: i64) -> Result<Factor, E> {
        self.visit_f64(factor as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, factor: f64) -> Result<Factor, E> {
        Factor::from_f64(factor)
            .ok_or_else(|| E::custom(format!("{factor} is not a factor such as 2 or 1.5")))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Factor, E> {
        Factor::from_text(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(FactorVisitor)
    }
}
