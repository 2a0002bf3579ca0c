//! A Fluent Bit configuration as both of its notations give it: sections with
//! keys and values, each with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Rc<Path>,
    /// From 1.
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What keeps Fluent Bit from reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) place: String,
    pub(super) why: String,
}

/// All files together.
#[derive(Debug, Default)]
pub(super) struct FluentBit {
    pub(super) sections: Vec<Section>,
    /// `@SET` and `env:`.
    pub(super) variables: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Input,
    Filter,
    Output,
    Plugins,
    Other,
}

impl Kind {
    pub(super) fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "service" => Self::Service,
            "input" | "inputs" => Self::Input,
            "filter" | "filters" => Self::Filter,
            "output" | "outputs" => Self::Output,
            "plugins" => Self::Plugins,
            _ => Self::Other,
        }
    }
}

#[derive(Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) properties: Vec<Property>,
}

#[derive(Debug)]
pub(super) struct Property {
    /// In lower case and snake_case, as Fluent Bit compares it.
    pub(super) key: String,
    /// As written.
    pub(super) written: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// A value after its variables were put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Known(String),
    /// It depends on this variable of Fluent Bit's own environment.
    Depends(String),
}

impl Section {
    pub(super) fn get(&self, key: &str) -> Option<&Property> {
        self.properties.iter().find(|p| p.key == key)
    }
}

impl FluentBit {
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(move |s| s.kind == kind)
    }

    /// A key's value in a section; none where it is not given.
    pub(super) fn value(&self, section: &Section, key: &str) -> Option<Value> {
        section.get(key).map(|p| self.expand(&p.value))
    }

    /// The same where it can be known, in lower case: for words and names.
    pub(super) fn word(&self, section: &Section, key: &str) -> Option<String> {
        match self.value(section, key)? {
            Value::Known(text) => Some(text.to_ascii_lowercase()),
            Value::Depends(_) => None,
        }
    }

    /// Puts in `${NAME}` and `${NAME:-default}` once, as Fluent Bit does.
    pub(super) fn expand(&self, text: &str) -> Value {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else {
                break;
            };
            let variable = &rest[start + 2..start + length];
            expanded.push_str(&rest[..start]);
            rest = &rest[start + length + 1..];
            let (name, default) = match variable.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (variable, None),
            };
            match (self.variables.get(name), default) {
                (Some(value), _) => expanded.push_str(value),
                (None, Some(default)) => expanded.push_str(default),
                (None, None) => return Value::Depends(name.to_owned()),
            }
        }
        expanded.push_str(rest);
        Value::Known(expanded)
    }
}

/// Lower case; `camelCase` of the YAML notation as `snake_case`.
pub(super) fn normal_key(written: &str, yaml: bool) -> String {
    let camel =
        yaml && written.starts_with(|c: char| c.is_ascii_lowercase()) && !written.contains('_');
    let mut key = String::new();
    for (i, c) in written.chars().enumerate() {
        if camel && i > 0 && c.is_ascii_uppercase() {
            key.push('_');
        }
        key.push(c.to_ascii_lowercase());
    }
    key
}

/// Whether some tag fits both patterns; in each `*` is any text, as in `Match`.
pub(super) fn may_share(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // `fits[j]`: what is left of `a` and `b[j..]` can be the same text. Begins
    // with nothing left of `a`, and takes one byte more of it each time.
    let mut fits = vec![false; b.len() + 1];
    for j in (0..=b.len()).rev() {
        fits[j] = j == b.len() || (b[j] == b'*' && fits[j + 1]);
    }
    for &byte in a.iter().rev() {
        let shorter = std::mem::replace(&mut fits, vec![false; b.len() + 1]);
        for j in (0..=b.len()).rev() {
            let other = b.get(j).copied();
            fits[j] = match (byte, other) {
                (b'*', None) => shorter[j],
                (b'*', Some(_)) => shorter[j] || fits[j + 1],
                (_, Some(b'*')) => fits[j + 1] || shorter[j],
                (_, Some(other)) => byte == other && shorter[j + 1],
                (_, None) => false,
            };
        }
    }
    fits[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_fluent_bit() {
        for (pattern, tag, expected) in [
            ("*", "docker.x", true),
            ("docker.*", "docker.x", true),
            ("docker.*", "docker.", true),
            ("docker.*", "kernel", false),
            ("docker.x", "docker.x", true),
            ("docker.x", "docker.xy", false),
            ("*.log", "a.b.log", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("", "a", false),
            ("", "", true),
            // As a tag may be one of many.
            ("docker.var.*", "docker.*", true),
            ("docker.*", "*", true),
            ("a*b", "*c", false),
            ("a*b", "*b", true),
            ("*x*", "a*", true),
            ("docker.*", "kernel.*", false),
        ] {
            assert_eq!(may_share(pattern, tag), expected, "{pattern} {tag}");
            assert_eq!(may_share(tag, pattern), expected, "{tag} {pattern}");
        }
    }

    #[test]
    fn variables_are_put_in() {
        let mut config = FluentBit::default();
        config.variables.insert("A".into(), "x".into());
        let known = |text: &str| Value::Known(text.into());
        for (text, expected) in [
            ("plain", known("plain")),
            ("${A}/${A}y", known("x/xy")),
            ("${B:-z}${A:-z}", known("zx")),
            ("${B:-}", known("")),
            ("a${B}", Value::Depends("B".into())),
            ("${A", known("${A")),
        ] {
            assert_eq!(config.expand(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_compared_as_fluent_bit_compares_them() {
        assert_eq!(normal_key("Retry_Limit", false), "retry_limit");
        assert_eq!(normal_key("retryLimit", true), "retry_limit");
        assert_eq!(normal_key("retryLimit", false), "retrylimit");
        assert_eq!(
            normal_key("storage.total_limit_size", true),
            "storage.total_limit_size"
        );
    }
}
