//! `Progress` against the silences of the configuration: the plugin looks for exactly what
//! it lists, and speaks of it by that very text, so both have to be the same byte by byte.

use std::collections::{BTreeMap, BTreeSet};

use executor_api::{PATTERNS_MAX, STRING_BYTES_MAX};

use super::super::finding::Findings;
use super::model::{FluentBit, Property, Section, Value};
use crate::config::{Config, OutputSource, nearest};

/// What stands for any output.
const ANY: &str = "*";

/// What is wrong with a value, as the plugin says it.
pub(super) fn fault(value: &str, is_kernel: bool) -> Option<String> {
    if value.trim().is_empty() {
        return None;
    }
    let texts: BTreeSet<&str> = value.split(',').map(str::trim).collect();
    if is_kernel {
        return Some("is for containers, and Target is kernel".to_owned());
    }
    if texts.contains("") {
        return Some("has an empty text between commas".to_owned());
    }
    if let Some(long) = texts.iter().find(|text| text.len() > STRING_BYTES_MAX) {
        let bytes = long.len();
        return Some(format!(
            "has a text of {bytes} bytes; {STRING_BYTES_MAX} are allowed"
        ));
    }
    (texts.len() > PATTERNS_MAX)
        .then(|| format!("has {} texts; {PATTERNS_MAX} are allowed", texts.len()))
}

/// Of all outputs together: any of them may look for it.
pub(super) fn check(
    read: &FluentBit,
    outputs: &[&Section],
    config: &Config,
    findings: &mut Findings,
) {
    let wanted = wanted(config);
    let mut listed: BTreeMap<String, &Property> = BTreeMap::new();
    let mut is_known = true;
    for property in outputs.iter().filter_map(|output| output.get("progress")) {
        match read.expand(&property.value) {
            Value::Known(value) => {
                let texts = value.split(',').map(str::trim).map(str::to_owned);
                listed.extend(
                    texts
                        .filter(|text| !text.is_empty())
                        .map(|text| (text, property)),
                );
            }
            Value::Depends(_) => is_known = false,
        }
    }
    let file = config.file.as_ref().map(|file| file.display().to_string());
    let file = file.unwrap_or_else(|| "the executor's settings".to_owned());
    for (text, targets) in &wanted {
        if is_known && !listed.contains_key(text) {
            let place = match listed.values().next() {
                Some(property) => &property.place,
                None => &outputs[0].place,
            };
            missing(place, &file, text, targets, findings);
        }
    }
    for (text, property) in &listed {
        if wanted.contains_key(text) {
            continue;
        }
        let advice = match nearest(text, wanted.keys().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "take it out, or set it as pattern of a [targets.NAME.silence] with source = \
                     \"plugin\""
                .to_owned(),
        };
        findings.warn(
            &property.place,
            format!("Progress {text:?} is waited for by no target of {file}"),
            &advice,
        );
    }
}

/// What targets wait for, with their names.
fn wanted(config: &Config) -> BTreeMap<String, Vec<&str>> {
    let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, checks) in &config.checks {
        let silence = checks.silence.as_ref();
        if let Some(silence) = silence.filter(|one| one.source == OutputSource::Plugin) {
            let text = silence.pattern.as_ref().map(ToString::to_string);
            let text = text.unwrap_or_else(|| ANY.to_owned());
            wanted.entry(text).or_default().push(name);
        }
    }
    wanted
}

fn missing(
    place: &super::model::Place,
    file: &str,
    text: &str,
    targets: &[&str],
    findings: &mut Findings,
) {
    let keys: Vec<String> = targets
        .iter()
        .map(|name| match text {
            ANY => format!("targets.{name}.silence.any"),
            _ => format!("targets.{name}.silence.pattern"),
        })
        .collect();
    let what = match text {
        ANY => "any output (*)".to_owned(),
        _ => format!("{text:?}"),
    };
    findings.fail(
        place,
        format!(
            "{} of {file} waits for {what}, and no Progress of an [OUTPUT] healer lists that: \
             silence would never be noticed",
            keys.join(", ")
        ),
        &format!("set Progress to {text} (byte by byte; several are separated by commas), or source = \"engine\""),
    );
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Findings;
    use crate::config::{Config, Sources};

    const SILENCES: &str = "
        [targets.worker.silence]
        pattern = 'Processed batch'
        source = 'plugin'
        [targets.other.silence]
        pattern = 'Processed batch'
        source = 'plugin'
        [targets.any.silence]
        any = true
        source = 'plugin'
        [targets.own.silence]
        pattern = 'seen by the engine'
    ";

    /// What is said of these outputs' `Progress`, each at its line.
    fn said(outputs: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let (conf, toml) = (dir.path().join("x.conf"), dir.path().join("healer.toml"));
        let section = |lines: &&str| format!("[OUTPUT]\n Name healer\n Match *\n{lines}");
        let text: String = outputs.iter().map(section).collect();
        std::fs::write(&conf, text).unwrap();
        std::fs::write(&toml, SILENCES).unwrap();
        let sources = Sources {
            file: Some(toml),
            ..Sources::default()
        };
        let config = Config::load(&sources).unwrap();
        let mut findings = Findings::default();
        super::super::check(&conf, &config, &mut findings);
        let at = format!("{}/", dir.path().display());
        let lines = findings.0.iter().map(|f| {
            let line = format!("{:?} {}: {} -> {}", f.level, f.about, f.text, f.advice);
            line.replace(&at, "")
        });
        let is_about_it =
            |line: &String| line.contains("Progress") && !line.contains("plugins file");
        lines.filter(is_about_it).collect()
    }

    #[test]
    fn what_targets_wait_for_has_to_be_listed_by_one_of_the_outputs() {
        assert_eq!(said(&[" Progress *, Processed batch\n"]), [""; 0]);
        assert_eq!(
            said(&[" Progress *\n", " Progress Processed batch\n"]),
            [""; 0]
        );
        // What it depends on is not known here.
        let depends = said(&[" Progress ${WHAT}\n"]);
        assert_eq!(depends.len(), 1, "{depends:?}");
        assert!(depends[0].contains("was not checked"), "{depends:?}");
        let missing = |place: &str, keys: &str, what: &str, listed: &str| {
            format!(
                "Fail x.conf:{place}: {keys} of healer.toml waits for {what}, and no Progress of \
                 an [OUTPUT] healer lists that: silence would never be noticed -> set Progress to \
                 {listed} (byte by byte; several are separated by commas), or source = \"engine\""
            )
        };
        let any = |place| missing(place, "targets.any.silence.any", "any output (*)", "*");
        let batch = |place| {
            let keys = "targets.other.silence.pattern, targets.worker.silence.pattern";
            missing(place, keys, "\"Processed batch\"", "Processed batch")
        };
        assert_eq!(said(&["", ""]), [any("1"), batch("1")]);
        // Byte by byte, and any output says nothing of a pattern.
        assert_eq!(
            said(&["", " Progress processed batch, *\n"]),
            [
                batch("7"),
                "Warn x.conf:7: Progress \"processed batch\" is waited for by no target of \
                 healer.toml -> did you mean \"Processed batch\"?"
                    .to_owned()
            ]
        );
    }

    #[test]
    fn values_that_the_plugin_refuses_fail() {
        let long = "x".repeat(513);
        let many = (0..9)
            .map(|n| format!("t{n}"))
            .collect::<Vec<_>>()
            .join(",");
        for (value, target, words) in [
            ("a,,b", "auto", "empty text between commas"),
            (&*long, "auto", "513 bytes; 512 are allowed"),
            (&*many, "auto", "9 texts; 8 are allowed"),
            ("a", "kernel", "Target is kernel"),
        ] {
            let said = said(&[&format!(" Target {target}\n Progress {value}\n")]);
            let is_said = |line: &&String| line.starts_with("Fail x.conf:5: Progress ");
            let line = said.iter().find(is_said).expect(words);
            assert!(line.contains(words), "{line}");
        }
        for value in [&*"x".repeat(512), "a,a,a,a,a,a,a,a,a", " a , b "] {
            let said = said(&[&format!(" Progress {value}\n")]);
            assert!(
                !said
                    .iter()
                    .any(|line| line.starts_with("Fail x.conf:4: Progress")),
                "{said:?}"
            );
        }
    }
}
