//! `[actions.NAME]` and `[targets.NAME.remedies]`: what the host's owner wants done about a
//! match. Only this file says so: neither the wire, nor a label, nor log text has a say.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Exec, MEASURES_MAX, Measure, Remedies, Remedy, TargetConfig};
use serde::Deserialize;

use super::bounds::{Fault, check_name, duration, fault};
use super::file::TargetSection;
use super::values::Millis;
use crate::dependencies::cycle;
use crate::triggers::{CRASH_LOOP, DIED, OOM_KILLED, UNFINISHED};

/// Most actions of one configuration.
const ACTIONS_MAX: usize = 100;
/// Most remedies of one target.
const REMEDIES_MAX: usize = 200;
/// Most containers that one target may depend on.
const DEPENDS_ON_MAX: usize = 16;
/// Most words of a command, and most bytes of all together.
const ARGV_MAX: usize = 64;
const ARGV_BYTES_MAX: usize = 4_096;
/// What a command may take where it does not say.
const TIMEOUT_DEFAULT_MS: u64 = 10_000;
/// Shortest and longest time that a command may be given, ms.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=600_000;
/// For every rule that is not named.
const OTHER: &str = "*";

/// `[actions.NAME]`: a command in the container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ActionSection {
    exec: Option<Words>,
    timeout: Option<Millis>,
    shell: Option<bool>,
}

/// One word, or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text, or a list of texts")]
pub(super) enum Words {
    One(String),
    List(Vec<String>),
}

/// As written: by the rule's name.
pub(super) type RemediesSection = BTreeMap<String, Words>;

/// The actions by their names.
pub(super) type Actions = BTreeMap<String, Exec>;

pub(super) fn actions(written: &BTreeMap<String, ActionSection>) -> Result<Actions, Fault> {
    if written.len() > ACTIONS_MAX {
        let why = format!("{} are listed; {ACTIONS_MAX} are allowed", written.len());
        return fault("actions", why);
    }
    let actions = written.iter().map(|(name, section)| {
        let place = format!("actions.{name}");
        check_word(&place, name)?;
        Ok((name.clone(), action(&place, name, section)?))
    });
    actions.collect()
}

fn action(place: &str, name: &str, section: &ActionSection) -> Result<Exec, Fault> {
    let key = format!("{place}.exec");
    let argv = match (&section.exec, section.shell.unwrap_or(false)) {
        (None, _) => return fault(place, "has no exec, the command to run"),
        (Some(Words::List(argv)), false) => argv.clone(),
        (Some(Words::One(line)), true) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        (Some(Words::One(_)), false) => {
            let why = "is one text: give the program and its arguments as a list, or set shell = \
                       true to have the container's /bin/sh read it";
            return fault(&key, why);
        }
        (Some(Words::List(_)), true) => {
            let why = "is a list: with shell = true it is one text for the container's /bin/sh";
            return fault(&key, why);
        }
    };
    let bytes: usize = argv.iter().map(String::len).sum();
    if argv.first().is_none_or(String::is_empty) {
        return fault(&key, "names no program");
    }
    if argv.len() > ARGV_MAX || bytes > ARGV_BYTES_MAX {
        let why = format!(
            "has {} words and {bytes} bytes; {ARGV_MAX} and {ARGV_BYTES_MAX} are allowed",
            argv.len()
        );
        return fault(&key, why);
    }
    if argv.iter().any(|word| word.contains('\0')) {
        return fault(&key, "holds a NUL byte, which no program can be given");
    }
    Ok(Exec {
        name: name.to_owned(),
        argv,
        timeout_ms: duration(
            &format!("{place}.timeout"),
            section.timeout,
            TIMEOUT_DEFAULT_MS,
            TIMEOUT_MS,
        )?,
    })
}

/// The remedies of one target: its own, and those of `base` for rules that it does not name.
pub(super) fn remedies(
    place: &str,
    written: &RemediesSection,
    base: &Remedies,
    actions: &Actions,
) -> Result<Remedies, Fault> {
    if written.len() > REMEDIES_MAX {
        let why = format!("{} are listed; {REMEDIES_MAX} are allowed", written.len());
        return fault(&format!("{place}.remedies"), why);
    }
    let mut remedies = base.clone();
    for (rule, words) in written {
        let key = format!("{place}.remedies.{rule}");
        let words = match words {
            Words::One(word) => std::slice::from_ref(word),
            Words::List(words) => words,
        };
        let remedy = remedy(words, actions).or_else(|why| fault(&key, why))?;
        if rule == OTHER {
            remedies.other = Some(remedy);
        } else {
            check_word(&key, rule)?;
            fits(rule, &remedy).or_else(|why| fault(&key, why))?;
            remedies.by_rule.insert(rule.clone(), remedy);
        }
    }
    Ok(remedies)
}

/// What is left of a target: its remedies, and what it needs.
pub(super) fn complete(
    target: &mut TargetConfig,
    place: &str,
    written: &TargetSection,
    base: &Remedies,
    actions: &Actions,
) -> Result<(), Fault> {
    target.remedies = remedies(place, &written.remedies, base, actions)?;
    target.depends_on = depends_on(place, &written.depends_on)?;
    Ok(())
}

/// `depends_on` of one target: names of containers.
fn depends_on(place: &str, names: &[String]) -> Result<BTreeSet<String>, Fault> {
    let key = format!("{place}.depends_on");
    if names.len() > DEPENDS_ON_MAX {
        let why = format!("{} are listed; {DEPENDS_ON_MAX} are allowed", names.len());
        return fault(&key, why);
    }
    for name in names {
        check_name(&key, name)?;
    }
    Ok(names.iter().cloned().collect())
}

/// Nothing may wait for itself.
pub(super) fn check_cycles(targets: &BTreeMap<String, TargetConfig>) -> Result<(), Fault> {
    let needs = targets.iter();
    let needs = needs.map(|(name, target)| (name.clone(), target.depends_on.clone()));
    match cycle(&needs.collect()) {
        Some(round) => {
            let key = format!("targets.{}.depends_on", round[0]);
            fault(
                &key,
                format!("leads back to itself: {}", round.join(" needs ")),
            )
        }
        None => Ok(()),
    }
}

fn remedy(words: &[String], actions: &Actions) -> Result<Remedy, String> {
    match words {
        [] => return Err("is empty: name a remedy, or leave the rule out".to_owned()),
        [one] if one == "note" => return Ok(Remedy::Note),
        [one] if one == "escalate" => return Ok(Remedy::Escalate),
        _ => {}
    }
    if words.len() > MEASURES_MAX {
        return Err(format!(
            "has {} steps; {MEASURES_MAX} are allowed",
            words.len()
        ));
    }
    let mut measures: Vec<Measure> = Vec::new();
    for word in words {
        let measure = measure(word, actions)?;
        if let Some(last) = measures.last()
            && !may_follow(last, &measure)
        {
            return Err(format!(
                "{} cannot follow {}: commands come first, then one restart or stop, then escalate",
                measure.in_words(),
                last.in_words()
            ));
        }
        if measures.contains(&measure) {
            return Err(format!("{} stands there twice", measure.in_words()));
        }
        measures.push(measure);
    }
    Ok(Remedy::Heal(measures))
}

fn measure(word: &str, actions: &Actions) -> Result<Measure, String> {
    match word {
        "restart" => Ok(Measure::Restart),
        "stop" => Ok(Measure::Stop),
        "escalate" => Ok(Measure::Escalate),
        "note" => Err("note stands alone: it only counts".to_owned()),
        _ => {
            let Some(name) = word.strip_prefix("exec:") else {
                return Err(format!(
                    "\"{word}\" is none of restart, stop, escalate, note, exec:ACTION"
                ));
            };
            actions
                .get(name)
                .map(|exec| Measure::Exec(exec.clone()))
                .ok_or_else(|| format!("there is no action \"{name}\": write [actions.{name}]"))
        }
    }
}

/// A stop holds its target for a person anyway.
fn may_follow(last: &Measure, next: &Measure) -> bool {
    match last {
        Measure::Exec(_) => true,
        Measure::Restart => *next == Measure::Escalate,
        Measure::Stop | Measure::Escalate => false,
    }
}

/// What has ended cannot be stopped, and nothing can be run in it. A crash loop is restarted by
/// Docker already, and is down in between.
fn fits(rule: &str, remedy: &Remedy) -> Result<(), String> {
    let Remedy::Heal(measures) = remedy else {
        return Ok(());
    };
    if rule == CRASH_LOOP {
        return Err(
            "is for people: its own restart policy starts the container again and again already, \
             and no measure of ours ends that; \"escalate\" and \"note\" may stand here"
                .to_owned(),
        );
    }
    let cannot = |m: &Measure| matches!(m, Measure::Exec(_) | Measure::Stop);
    match measures.iter().find(|m| cannot(m)) {
        Some(measure) if [DIED, OOM_KILLED, UNFINISHED].contains(&rule) => Err(format!(
            "{} cannot be done to a container that has ended; it can be restarted (started), \
             or escalated",
            measure.in_words()
        )),
        _ => Ok(()),
    }
}

/// A rule's or an action's name: as rule files have them.
fn check_word(key: &str, word: &str) -> Result<(), Fault> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=64).contains(&word.len()) && word.bytes().all(is_plain) {
        return Ok(());
    }
    fault(key, format!("{word:?} is no name (1 to 64 of a-z, 0-9, -)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: &str = r#"
        [actions.reload]
        exec = ["/bin/kill", "-HUP", "1"]
        [actions.flush]
        exec = "rm -f /cache/*"
        shell = true
        timeout = "2m"
    "#;

    fn load(text: &str) -> Result<Remedies, String> {
        let file: super::super::file::ConfigFile =
            toml::from_str(text).map_err(|e| e.message().to_owned())?;
        let config = super::super::resolve::resolve(&file, None);
        let config = config.map_err(|(key, why)| format!("{key}: {why}"))?;
        Ok(config.policy.target("web").remedies.clone())
    }

    fn with(remedies: &str) -> Result<Remedies, String> {
        load(&format!("{ACTIONS}\n[targets.web.remedies]\n{remedies}"))
    }

    fn reload() -> Measure {
        Measure::Exec(Exec {
            name: "reload".into(),
            argv: ["/bin/kill", "-HUP", "1"].map(str::to_owned).to_vec(),
            timeout_ms: 10_000,
        })
    }

    #[test]
    fn one_word_or_a_row_of_them() {
        let flush = Measure::Exec(Exec {
            name: "flush".into(),
            argv: ["/bin/sh", "-c", "rm -f /cache/*"]
                .map(str::to_owned)
                .to_vec(),
            timeout_ms: 120_000,
        });
        for (written, remedy) in [
            (r#""restart""#, Remedy::Heal(vec![Measure::Restart])),
            (r#"["restart"]"#, Remedy::Heal(vec![Measure::Restart])),
            (r#""stop""#, Remedy::Heal(vec![Measure::Stop])),
            (r#""note""#, Remedy::Note),
            (r#""escalate""#, Remedy::Escalate),
            (r#""exec:reload""#, Remedy::Heal(vec![reload()])),
            (
                r#"["exec:reload", "exec:flush", "restart", "escalate"]"#,
                Remedy::Heal(vec![reload(), flush, Measure::Restart, Measure::Escalate]),
            ),
            (
                r#"["exec:reload", "stop"]"#,
                Remedy::Heal(vec![reload(), Measure::Stop]),
            ),
        ] {
            let remedies = with(&format!("cuda-oom = {written}")).unwrap();
            assert_eq!(remedies.by_rule["cuda-oom"], remedy, "{written}");
        }
    }

    #[test]
    fn a_target_takes_the_defaults_for_what_it_does_not_name() {
        let remedies = load(&format!(
            "{ACTIONS}
            [defaults.remedies]
            \"*\" = \"escalate\"
            a = \"note\"
            b = \"note\"
            [targets.web.remedies]
            b = \"exec:reload\"
            [targets.other]"
        ))
        .unwrap();
        assert_eq!(remedies.other, Some(Remedy::Escalate));
        assert_eq!(remedies.by_rule["a"], Remedy::Note);
        assert_eq!(remedies.by_rule["b"], Remedy::Heal(vec![reload()]));
    }

    #[test]
    fn what_a_target_needs_is_listed_and_leads_nowhere_back() {
        let depends = |text: &str| {
            let file: super::super::file::ConfigFile = toml::from_str(text).unwrap();
            let config = super::super::resolve::resolve(&file, None);
            config.map_err(|(key, why)| format!("{key}: {why}"))
        };
        let config = depends("[targets.web]\ndepends_on = ['db', 'cache']\n[targets.db]").unwrap();
        let needed = &config.policy.targets["web"].depends_on;
        assert_eq!(needed.iter().collect::<Vec<_>>(), ["cache", "db"]);
        for (text, words) in [
            (
                "[targets.web]\ndepends_on = ['db']\n[targets.db]\ndepends_on = ['web']",
                "targets.db.depends_on: leads back to itself: db needs web needs db",
            ),
            ("[targets.web]\ndepends_on = ['web']", "web needs web"),
            (
                "[targets.web]\ndepends_on = ['/db']",
                "is no container name",
            ),
        ] {
            let error = depends(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn faults_name_the_key_and_what_may_stand_there() {
        for (written, words) in [
            ("a = []", "targets.web.remedies.a: is empty"),
            (
                "a = \"reboot\"",
                "none of restart, stop, escalate, note, exec:ACTION",
            ),
            ("a = \"exec:x\"", "there is no action \"x\""),
            (
                "a = [\"restart\", \"exec:reload\"]",
                "cannot follow restart",
            ),
            ("a = [\"restart\", \"stop\"]", "stop cannot follow restart"),
            ("a = [\"stop\", \"escalate\"]", "cannot follow stop"),
            ("a = [\"escalate\", \"restart\"]", "cannot follow escalate"),
            ("a = [\"note\", \"restart\"]", "note stands alone"),
            ("a = [\"exec:reload\", \"exec:reload\"]", "twice"),
            ("a = 3", "a text, or a list of texts"),
            ("died = \"exec:reload\"", "has ended"),
            ("oom-killed = \"stop\"", "has ended"),
            (
                "crash-loop = \"restart\"",
                "remedies.crash-loop: is for people",
            ),
            ("crash-loop = \"stop\"", "is for people"),
            (
                "crash-loop = [\"exec:reload\", \"escalate\"]",
                "\"escalate\" and \"note\" may stand here",
            ),
            ("unfinished = \"exec:reload\"", "has ended"),
            ("\"a b\" = \"restart\"", "targets.web.remedies.a b"),
        ] {
            let error = with(written).unwrap_err();
            assert!(error.contains(words), "{written}: {error}");
        }
        for (action, words) in [
            ("", "has no exec"),
            ("exec = []", "names no program"),
            ("exec = [\"\"]", "names no program"),
            ("exec = \"ls\"", "shell = true"),
            ("exec = [\"ls\"]\nshell = true", "is a list"),
            ("exec = [\"a\\u0000\"]", "NUL"),
            ("exec = [\"ls\"]\ntimeout = \"1ms\"", "actions.x.timeout"),
            ("exec = [\"ls\"]\ntimeout = \"11m\"", "actions.x.timeout"),
            ("exec = [\"ls\"]\ncommand = 1", "unknown field"),
        ] {
            let error = load(&format!("[actions.x]\n{action}")).unwrap_err();
            assert!(error.contains(words), "{action}: {error}");
        }
        let long = format!("[actions.x]\nexec = [\"{}\"]", "x".repeat(ARGV_BYTES_MAX));
        load(&long).unwrap();
        let error = load(&long.replace("xx\"]", "xxx\"]")).unwrap_err();
        assert!(error.contains("4097 bytes"), "{error}");
    }
}
