//! A webhook's body: JSON with `{{field}}` in its strings, filled in from a
//! message. The JSON is taken apart when the configuration is read, and values
//! are put into its strings, not into its text: whatever a message says, the
//! result is the same JSON with other words in it.

use serde_json::{Map, Value, json};

use super::message::Message;

/// Deepest nesting of a template; `serde_json` itself stops at 128.
const DEPTH_MAX: usize = 16;

/// A body with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Value);

/// Everything that a message says, by the names that templates use.
pub(super) fn fields(message: &Message) -> Map<String, Value> {
    let value = json!({
        "id": message.id,
        "incident": message.incident,
        "timestamp": message.at_ms / 1_000,
        "time": message.time(),
        "host": message.host,
        "step": message.step,
        "severity": message.severity,
        "target": message.target,
        "container_id": message.container_id,
        "rule": message.rule,
        "attempt": message.attempt,
        "title": message.title,
        "text": message.text(),
        "detail": message.detail,
        "figures": message.figures,
        "next": message.next,
        "evidence": message.evidence,
        "sample": message.sample,
        "left_out": message.left_out,
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The names of [`fields`].
pub(crate) const FIELDS: [&str; 19] = [
    "id",
    "incident",
    "timestamp",
    "time",
    "host",
    "step",
    "severity",
    "target",
    "container_id",
    "rule",
    "attempt",
    "title",
    "text",
    "detail",
    "figures",
    "next",
    "evidence",
    "sample",
    "left_out",
];

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// Text that is no JSON, or a place that names no field.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("is not JSON: {e}"))?;
        check(&value, 0)?;
        Ok(Self(value))
    }

    /// The body for a message.
    pub(super) fn fill(&self, message: &Message) -> Value {
        fill(&self.0, &fields(message))
    }
}

fn check(value: &Value, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("is nested deeper than {DEPTH_MAX}"));
    }
    match value {
        Value::String(text) => places(text).try_for_each(|name| {
            if FIELDS.contains(&name) {
                return Ok(());
            }
            let known = FIELDS.iter().copied();
            let hint = crate::config::nearest(name, known)
                .map(|near| format!("; did you mean {{{{{near}}}}}?"))
                .unwrap_or_else(|| format!("; there are {}", FIELDS.join(", ")));
            Err(format!("{{{{{name}}}}} is no field{hint}"))
        }),
        Value::Array(values) => values.iter().try_for_each(|v| check(v, depth + 1)),
        Value::Object(map) => map.values().try_for_each(|v| check(v, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The names between `{{` and `}}`.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once("}}")?;
        Some(name.trim())
    })
}

fn fill(value: &Value, fields: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => fill_text(text, fields),
        Value::Array(values) => values.iter().map(|v| fill(v, fields)).collect(),
        Value::Object(map) => {
            let filled = map.iter().map(|(k, v)| (k.clone(), fill(v, fields)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}

/// A string that is one place takes its value as it is: a number, a list, null.
fn fill_text(text: &str, fields: &Map<String, Value>) -> Value {
    let value = |name: &str| fields.get(name.trim()).unwrap_or(&Value::Null);
    let inner = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    if let Some(name) = inner.filter(|name| !name.contains("}}")) {
        return value(name).clone();
    }
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("}}") {
            Some((name, rest)) => {
                filled.push_str(&as_text(value(name)));
                filled.push_str(rest);
            }
            None => {
                filled.push_str("{{");
                filled.push_str(part);
            }
        }
    }
    Value::String(filled)
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(as_text).collect();
            texts.join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::message;
    use super::*;

    #[test]
    fn every_field_has_its_name() {
        let fields = fields(&message());
        let names: std::collections::BTreeSet<&str> = FIELDS.into_iter().collect();
        assert_eq!(
            fields
                .keys()
                .map(String::as_str)
                .collect::<std::collections::BTreeSet<_>>(),
            names
        );
    }

    #[test]
    fn places_are_filled_and_text_cannot_leave_its_string() {
        let mut message = message();
        message.title = r#""}, "admin": true, {{id}}"#.into();
        message.attempt = Some(7);
        message.rule = None;
        let template = Template::parse(
            r#"{"text": "{{ title }} on {{host}}", "n": "{{attempt}}", "s": "a{{attempt}}{{rule}}b",
                "list": ["{{rule}}", 1, "open {{ and }}"], "figures": "{{figures}}"}"#,
        );
        // `{{ and }}` is a place, too.
        assert!(template.unwrap_err().contains("{{and}} is no field"));
        let template = Template::parse(
            r#"{"text": "{{ title }} on {{host}}", "n": "{{attempt}}", "s": "a{{attempt}}{{rule}}b",
                "list": ["{{rule}}", 1, "open {{"], "figures": "{{figures}}"}"#,
        )
        .unwrap();
        assert_eq!(
            template.fill(&message),
            json!({
                "text": "\"}, \"admin\": true, {{id}} on gpu-host",
                "n": 7,
                "s": "a7b",
                "list": [null, 1, "open {{"],
                "figures": ["attempt 2 of 5"],
            })
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, why) in [
            ("{", "is not JSON"),
            (r#"{"a": "{{tilte}}"}"#, "did you mean {{title}}?"),
            (r#"["{{quite_something}}"]"#, "there are id,"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Template::parse(&nested(DEPTH_MAX)).is_ok());
        assert!(Template::parse(&nested(DEPTH_MAX + 1)).is_err());
    }
}
