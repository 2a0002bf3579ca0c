//! Which checks are run: those of targets that may be healed. Pure.
//!
//! A check of a target that the configuration has off could only ever be refused. Where labels
//! may switch a target on, its checks are run whatever its labels say now: containers come
//! and go.

use std::collections::{BTreeMap, BTreeSet};

use policy::off_for_good;

use super::Check;
use crate::config::{Config, TargetChecks};
use crate::triggers::{NO_BEAT, PROBE_PREFIX, SILENT};

/// Most targets that are named in the log.
const NAMED_MAX: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Wanted {
    /// By target and rule.
    pub(super) checks: BTreeMap<(String, String), Check>,
    /// Targets with something set up that is not run, each with why.
    pub(super) off: BTreeMap<String, String>,
}

pub(super) fn wanted(config: &Config) -> Wanted {
    let set_up = config
        .checks
        .iter()
        .map(|(target, checks)| (target, all(checks)));
    let set_up: BTreeMap<&String, _> = set_up.filter(|(_, rules)| !rules.is_empty()).collect();
    // Whoever watches containers leaves these alone, too.
    let unfinished = config.watch.unfinished.keys();
    let names: BTreeSet<&String> = set_up.keys().copied().chain(unfinished).collect();
    let off = names.into_iter().filter_map(|name| {
        let off = off_for_good(&config.policy, name)?;
        Some((name.clone(), off.why))
    });
    let off: BTreeMap<String, String> = off.collect();
    let on = set_up
        .into_iter()
        .filter(|(name, _)| !off.contains_key(*name));
    let checks = on.flat_map(|(target, rules)| {
        let keyed = move |(rule, check)| ((target.clone(), rule), check);
        rules.into_iter().map(keyed)
    });
    Wanted {
        checks: checks.collect(),
        off,
    }
}

/// What the log says of those that are not run; none where all are.
pub(super) fn told(off: &BTreeMap<String, String>) -> Option<String> {
    if off.is_empty() {
        return None;
    }
    let named = off.iter().take(NAMED_MAX);
    let mut named: Vec<String> = named.map(|(name, why)| format!("{name} ({why})")).collect();
    if off.len() > NAMED_MAX {
        named.push(format!("and {} more", off.len() - NAMED_MAX));
    }
    Some(format!(
        "what is set up to be checked is not run for {}: nothing could come of it; switch them on \
         and reload for it to be run",
        named.join(", ")
    ))
}

/// A target's checks by their rules.
fn all(checks: &TargetChecks) -> Vec<(String, Check)> {
    let probes = checks.probes.iter().map(|probe| {
        let rule = format!("{PROBE_PREFIX}{}", probe.name);
        (rule, Check::Probe(probe.clone()))
    });
    let silence = checks.silence.iter().cloned();
    let silence = silence.map(|silence| (SILENT.to_owned(), Check::Silence(silence)));
    let activity = checks.activity.iter();
    let activity = activity.map(|activity| (NO_BEAT.to_owned(), Check::Activity(*activity)));
    probes.chain(silence).chain(activity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    const CHECKED: [&str; 3] = ["job", "safe", "web"];

    /// Each of [`CHECKED`] with a probe, a silence and an activity, and these keys of each.
    fn config(keys: [&str; 3], more: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("healer.toml");
        let mut text = more.to_owned();
        for (name, keys) in CHECKED.iter().zip(keys) {
            text.push_str(&format!(
                "[targets.{name}]\n{keys}\n[targets.{name}.activity]\nwithin = '1h'\n\
                 [targets.{name}.silence]\nany = true\n[[targets.{name}.probes]]\nname = 'x'\n\
                 type = 'tcp'\nport = 1\n"
            ));
        }
        std::fs::write(&file, text).unwrap();
        Config::load(&Sources {
            file: Some(file),
            ..Sources::default()
        })
        .unwrap()
    }

    fn run(wanted: &Wanted) -> Vec<String> {
        let keys = wanted.checks.keys();
        keys.map(|(target, rule)| format!("{target} {rule}"))
            .collect()
    }

    #[test]
    fn what_is_off_for_good_is_not_checked_and_that_is_said() {
        let on = wanted(&config(["", "", ""], ""));
        assert_eq!(run(&on).len(), 9, "{:?}", run(&on));
        assert_eq!(told(&on.off), None);
        let some = wanted(&config(["enabled = false", "protect = true", ""], ""));
        assert_eq!(run(&some), ["web no-beat", "web probe-x", "web silent"]);
        let text = told(&some.off).unwrap();
        assert!(
            text.starts_with(
                "what is set up to be checked is not run for job (switched off in the \
                 configuration), safe (protected, by configuration or label healer.protect): "
            ),
            "{text}"
        );
    }

    #[test]
    fn what_a_label_may_switch_on_is_checked() {
        let loose = "[policy]\nlabels_may_loosen = true\n";
        let all = wanted(&config(["enabled = false", "protect = true", ""], loose));
        assert_eq!((run(&all).len(), all.off.len()), (9, 0));
    }

    #[test]
    fn unfinished_work_alone_is_told_too_and_targets_without_any_are_not() {
        let more = "[targets.files]\nenabled = false\n[targets.files.unfinished]\nfile = '/p'\n\
                    [targets.none]\nenabled = false\n";
        let found = wanted(&config(["", "", ""], more));
        assert_eq!(found.off.keys().collect::<Vec<_>>(), ["files"]);
    }

    #[test]
    fn many_are_counted() {
        let off = (0..NAMED_MAX + 2).map(|n| (format!("app{n}"), "switched off".to_owned()));
        let text = told(&off.collect()).unwrap();
        assert!(text.contains("app7 (switched off), and 2 more: "), "{text}");
    }
}
