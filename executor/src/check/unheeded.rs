//! What is set up for a target that is never restarted: nothing comes of it. Pure.

use policy::off_for_good;

use super::finding::Findings;
use crate::config::Config;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for name in config.policy.targets.keys() {
        let Some(why) = never(config, name) else {
            continue;
        };
        let set = set_up(config, name);
        if set.is_empty() {
            continue;
        }
        findings.warn(
            format!("targets.{name}"),
            format!(
                "{why}, and what is set up for it never acts: {}",
                set.join(", ")
            ),
            "take these out, or that",
        );
    }
}

/// Whether the configuration itself has a target never restarted, and no label can change that.
pub(super) fn is_unheeded(config: &Config, name: &str) -> bool {
    never(config, name).is_some()
}

fn never(config: &Config, name: &str) -> Option<&'static str> {
    off_for_good(&config.policy, name)?;
    let target = config.policy.targets.get(name)?;
    match (target.enabled, target.protected) {
        (false, _) => Some("is switched off (enabled = false)"),
        (true, true) => Some("is protected (protect = true)"),
        (true, false) => None,
    }
}

fn set_up(config: &Config, name: &str) -> Vec<&'static str> {
    let checks = config.checks.get(name);
    [
        (checks.is_some_and(|c| !c.probes.is_empty()), "probes"),
        (checks.is_some_and(|c| c.silence.is_some()), "silence"),
        (checks.is_some_and(|c| c.activity.is_some()), "activity"),
        (config.watch.unfinished.contains_key(name), "unfinished"),
    ]
    .into_iter()
    .filter_map(|(is_set, key)| is_set.then_some(key))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn what_is_set_up_for_a_target_that_is_switched_off_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("healer.toml");
        let checks = |name: &str| {
            format!(
                "[targets.{name}.activity]\nwithin = '1h'\n[targets.{name}.unfinished]\n\
                 file = '/p'\n[[targets.{name}.probes]]\nname = 'x'\ntype = 'tcp'\nport = 1\n"
            )
        };
        let text = format!(
            "[targets.on]\n{}[targets.off]\nenabled = false\n{}[targets.safe]\nprotect = true\n\
             [targets.safe.silence]\nany = true\n[targets.none]\nenabled = false\n",
            checks("on"),
            checks("off")
        );
        std::fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        let mut config = Config::load(&sources).unwrap();
        let mut findings = Findings::default();
        check(&config, &mut findings);
        let said: Vec<String> = findings
            .0
            .iter()
            .map(|f| format!("{}: {}", f.about, f.text))
            .collect();
        assert_eq!(
            said,
            [
                "targets.off: is switched off (enabled = false), and what is set up for it never \
                 acts: probes, activity, unfinished",
                "targets.safe: is protected (protect = true), and what is set up for it never \
                 acts: silence",
            ]
        );
        let unheeded = ["on", "off", "safe", "none", "nobody"].map(|n| is_unheeded(&config, n));
        assert_eq!(unheeded, [false, true, true, true, false]);

        config.policy.labels_may_loosen = true;
        let mut findings = Findings::default();
        check(&config, &mut findings);
        let texts: Vec<&str> = findings.0.iter().map(|f| &*f.text).collect();
        assert_eq!(texts, [""; 0], "a label may switch them on");
        assert!(!is_unheeded(&config, "off"));
    }
}
