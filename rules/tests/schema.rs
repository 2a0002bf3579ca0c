//! `rules/schema.json`, the rule files' format for editors, made here from the crate's own limits
//! and names, and held against what the parser takes.
//!
//! After a change of the format: `UPDATE_SCHEMA=1 cargo test -p rules schema`.

use std::path::Path;

use rules::{RuleSet, Severity};
use serde_json::{Map, Value, json};

fn texts(description: &str, chars_max: usize) -> Value {
    json!({
        "description": description,
        "type": "array",
        "items": { "type": "string", "minLength": 1, "maxLength": chars_max },
        "maxItems": rules::PATTERNS_PER_RULE_MAX,
    })
}

fn plain_texts(description: &str) -> Value {
    json!({ "description": description, "type": "array", "items": { "type": "string" } })
}

fn severities(description: &str) -> Value {
    let names: Vec<&str> = Severity::names().collect();
    json!({ "description": description, "type": "array", "items": { "enum": names } })
}

fn duration() -> Value {
    json!({
        "description": "milliseconds, seconds, minutes or hours; a bare number is seconds",
        "anyOf": [
            { "type": "string", "pattern": "^ *[0-9]+ *(ms|s|m|h)? *$" },
            { "type": "integer", "minimum": 1 },
        ],
    })
}

/// The keys of `unless` and of an excuse set.
fn excuse(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "literals": texts("texts, any of which excuses", rules::LITERAL_BYTES_MAX),
            "regexes": texts("regular expressions, any of which excuses", rules::REGEX_BYTES_MAX),
            "before": texts(
                "regular expressions that excuse where they stand in front of the match",
                rules::REGEX_BYTES_MAX
            ),
            "severity": severities("severities that excuse"),
        },
    })
}

fn rule() -> Value {
    let name = format!("^[a-z0-9-]{{1,{}}}$", rules::NAME_BYTES_MAX);
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "summary", "remedy"],
        "anyOf": [{ "required": ["literals"] }, { "required": ["regexes"] }],
        "properties": {
            "name": { "description": "unique", "type": "string", "pattern": name },
            "summary": {
                "description": "what a match means, in a sentence",
                "type": "string",
                "pattern": "\\S",
            },
            "remedy": {
                "description": "restart: a restart cures it; escalate: it does not, tell a person; note: count it",
                "enum": ["restart", "escalate", "note"],
            },
            "why": { "description": "why this remedy", "type": "string" },
            "links": plain_texts("where the vendor says so"),
            "literals": texts("texts, any of which is a match", rules::LITERAL_BYTES_MAX),
            "regexes": texts(
                "regular expressions, any of which is a match",
                rules::REGEX_BYTES_MAX
            ),
            "severity": severities("the line must show one of these at its start"),
            "sticky": {
                "description": "the failure stays whatever the program says next: the set `recovery` does not excuse it",
                "type": "boolean",
                "default": false,
            },
            "excuses": plain_texts("names of shared sets of excuses, in place of the file's"),
            "confirm": {
                "description": "what else must happen, before or after the match, for the remedy to apply",
                "type": "object",
                "additionalProperties": false,
                "required": ["by", "within"],
                "properties": {
                    "by": {
                        "type": "array",
                        "minItems": 1,
                        "items": { "type": "string", "pattern": "^(unhealthy|exit|rule: *\\S.*)$" },
                    },
                    "within": duration(),
                },
            },
            "unless": excuse("what excuses a match, on the same line"),
            "kernel": {
                "description": "true: looks at the kernel's log only; false: at containers' lines only",
                "type": "boolean",
                "default": false,
            },
            "threshold": {
                "description": "matches within a time before the remedy applies",
                "type": "object",
                "additionalProperties": false,
                "required": ["count", "within"],
                "properties": {
                    "count": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": rules::THRESHOLD_COUNT_MAX,
                    },
                    "within": duration(),
                },
            },
            "examples": plain_texts("lines that this rule must match"),
            "counter_examples": plain_texts("lines that it must not match"),
        },
    })
}

fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "log-healer rule file",
        "type": "object",
        "additionalProperties": false,
        "required": ["rule"],
        "properties": {
            "excuses": plain_texts("names of the sets that excuse each rule that does not say otherwise"),
            "excuse": {
                "description": "sets of excuses, by name",
                "type": "object",
                "maxProperties": rules::EXCUSE_SETS_MAX,
                "additionalProperties": excuse("a set of excuses"),
            },
            "rule": { "type": "array", "minItems": 1, "items": rule() },
        },
    })
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let made = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let committed = std::fs::read_to_string(&path).expect("rules/schema.json is there");
    assert_eq!(
        committed, made,
        "make it anew: UPDATE_SCHEMA=1 cargo test -p rules schema"
    );
}

/// The parser lists the keys that it takes when it meets another one.
fn keys_of_parser(toml: &str) -> Vec<String> {
    let error = RuleSet::parse("x", toml).expect_err(toml).to_string();
    let (_, listed) = error.split_once("expected ").expect(&error);
    let mut keys: Vec<String> = listed
        .split('`')
        .skip(1)
        .step_by(2)
        .map(String::from)
        .collect();
    keys.retain(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    keys.sort();
    keys
}

fn keys(value: &Value) -> Vec<String> {
    let properties: &Map<String, Value> = value["properties"].as_object().expect("an object");
    let mut keys: Vec<String> = properties.keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_schema_has_the_keys_that_the_parser_takes() {
    let schema = schema();
    let rule = &schema["properties"]["rule"]["items"];
    let head = "[[rule]]\nname='a'\nsummary='s'\nremedy='note'\nliterals=['abc']\n";
    assert_eq!(keys_of_parser("xyz = 1"), keys(&schema));
    assert_eq!(keys_of_parser(&format!("{head}xyz = 1")), keys(rule));
    for (part, value) in [
        ("unless = { xyz = 1 }", &rule["properties"]["unless"]),
        ("threshold = { xyz = 1 }", &rule["properties"]["threshold"]),
        ("confirm = { xyz = 1 }", &rule["properties"]["confirm"]),
    ] {
        assert_eq!(
            keys_of_parser(&format!("{head}{part}")),
            keys(value),
            "{part}"
        );
    }
    let set = &schema["properties"]["excuse"]["additionalProperties"];
    assert_eq!(keys_of_parser("[excuse.mine]\nxyz = 1"), keys(set));
}
