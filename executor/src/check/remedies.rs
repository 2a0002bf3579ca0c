//! Remedies for rules that there are not: a mistyped name changes nothing, silently.

use std::collections::BTreeSet;

use policy::Remedies;
use rules::RuleSet;

use super::finding::Findings;
use crate::config::{Config, nearest};
use crate::triggers::{NAMES, PROBE_PREFIX};

pub(super) fn check(config: &Config, rules: &RuleSet, findings: &mut Findings) {
    let mut common: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    common.extend(rules.rules().iter().map(|rule| rule.name.clone()));
    // Of the defaults, any target's probe may be meant.
    let mut all = common.clone();
    all.extend(config.checks.keys().flat_map(|name| probes(config, name)));
    let defaults = &config.policy.defaults.remedies;
    for rule in unknown(defaults, &all) {
        tell("defaults", rule, &all, findings);
    }
    for (name, target) in &config.policy.targets {
        let mut known = common.clone();
        known.extend(probes(config, name));
        for rule in unknown(&target.remedies, &known) {
            // What it has of the defaults was said, or is another target's.
            if !defaults.by_rule.contains_key(rule) {
                tell(&format!("targets.{name}"), rule, &known, findings);
            }
        }
    }
}

/// The rules of a target's probes.
fn probes(config: &Config, target: &str) -> impl Iterator<Item = String> {
    let checks = config.checks.get(target);
    let probes = checks.into_iter().flat_map(|checks| &checks.probes);
    probes.map(|probe| format!("{PROBE_PREFIX}{}", probe.name))
}

fn unknown<'a>(
    remedies: &'a Remedies,
    known: &BTreeSet<String>,
) -> impl Iterator<Item = &'a String> {
    let named = remedies.by_rule.keys();
    named.filter(|rule| !known.contains(*rule))
}

fn tell(place: &str, rule: &str, known: &BTreeSet<String>, findings: &mut Findings) {
    let text = format!(
        "{place}.remedies names {rule}, which is no rule, trigger or probe: it changes nothing"
    );
    let advice = match nearest(rule, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "see `healer rules list`, and docs/triggers.md for the triggers".to_owned(),
    };
    findings.warn("remedies", text, &advice);
}
