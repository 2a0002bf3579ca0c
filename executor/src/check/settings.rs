//! The configuration itself: rules that load, limits that can be reached.

use policy::{Limits, TargetConfig};
use rules::RuleSet;

use super::finding::Findings;
use super::remedies;
use crate::config::{Config, show_duration_ms};
use crate::groups;
use crate::resolve::Procfs;
use crate::triggers;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let from = match &config.file {
        Some(path) => path.display().to_string(),
        None => "no file: defaults, environment and flags".to_owned(),
    };
    findings.ok("config", from);
    for warning in &config.warnings {
        findings.warn("config", warning, "");
    }
    if let Some(Err(why)) = config.sockets.intents_group.as_deref().map(groups::gid) {
        findings.fail("config", why, "");
    }
    if config.policy.dry_run {
        findings.warn(
            "config",
            "dry_run is on: everything is decided, nothing restarted",
            "set dry_run = false to heal",
        );
    }
    if let Some(rules) = rules(config, findings) {
        remedies::check(config, &rules, findings);
        kernel(config, &rules, findings);
    }
    limits("defaults", &config.policy.defaults, findings);
    for (name, target) in &config.policy.targets {
        if target.limits != config.policy.defaults.limits {
            limits(&format!("targets.{name}"), target, findings);
        }
    }
}

fn rules(config: &Config, findings: &mut Findings) -> Option<RuleSet> {
    match RuleSet::load(&config.rules) {
        Ok(rules) => {
            let failed = rules.check_examples();
            for failure in &failed {
                let advice = "its author's own example; see `healer scan --rules`";
                findings.fail("rules", failure.to_string(), advice);
            }
            if failed.is_empty() {
                let count = rules.rules().len();
                findings.ok("rules", format!("{} ({count} rules)", config.rules));
            }
            let names = rules.rules().iter().map(|rule| rule.name.as_str());
            if let Err(why) = triggers::check_names(names) {
                findings.fail("rules", why, "");
            }
            for rule in &config.policy.shadow_rules {
                if rules.find(rule).is_none() && !triggers::is_reserved(rule) {
                    let text =
                        format!("policy.shadow_rules names {rule}, which is none of the rules");
                    findings.warn("rules", text, "see `healer rules list`");
                }
            }
            Some(rules)
        }
        Err(e) => {
            let advice = "set rules to packs and files that load";
            findings.fail("rules", e.to_string(), advice);
            None
        }
    }
}

/// Whether a kernel line can lead to its container, where rules look for any.
fn kernel(config: &Config, rules: &RuleSet, findings: &mut Findings) {
    let about = "kernel records";
    if !rules.rules().iter().any(|rule| rule.kernel) {
        if config.kernel_records {
            let advice = "add the packs xid and host-oom, or set kernel_records = false";
            findings.warn(about, "no rule looks at them", advice);
        }
        return;
    }
    let shown = config.procfs.display();
    if Procfs::new(&config.procfs).shows_the_host() {
        let from = match config.kernel_records {
            true => "from the start",
            false => "from the first line on that names one",
        };
        let text = format!("{shown} shows the host's processes, which are remembered {from}");
        return findings.ok(about, text);
    }
    let text = format!(
        "{shown} does not show the host's processes: a line that names a process (NVIDIA Xid) \
         leads to no container, only one that names a cgroup (oom-kill)"
    );
    let advice = "mount the host's /proc read-only, without hidepid, and set procfs \
                  (HEALER_PROCFS) to it";
    match config.kernel_records {
        true => findings.fail(about, text, advice),
        false => findings.warn(about, text, advice),
    }
}

/// Says where the cooldown answers before `max_per_window` ever can.
fn limits(place: &str, target: &TargetConfig, findings: &mut Findings) {
    let Limits {
        cooldown_ms,
        window_ms,
        max_per_window,
    } = target.limits;
    let shown = format!(
        "{place}: cooldown {}, window {}, max_per_window {max_per_window}",
        show_duration_ms(cooldown_ms),
        show_duration_ms(window_ms),
    );
    let gaps = u64::from(max_per_window) - 1;
    if gaps == 0 || gaps.saturating_mul(cooldown_ms) < window_ms {
        findings.ok("limits", shown);
        return;
    }
    let text = format!(
        "{shown}: the cooldown answers first, max_per_window is never reached \
         (only with a cooldown under {})",
        show_duration_ms(window_ms.div_ceil(gaps))
    );
    let is_default = target.limits == Config::default().policy.defaults.limits;
    if is_default {
        findings.ok("limits", text);
    } else {
        let advice = "shorten the cooldown or lengthen the window, if that is not meant";
        findings.warn("limits", text, advice);
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn judged(cooldown_ms: u64, window_ms: u64, max_per_window: u32) -> (Level, String) {
        let mut target = Config::default().policy.defaults;
        target.limits = Limits {
            cooldown_ms,
            window_ms,
            max_per_window,
        };
        let mut findings = Findings::default();
        limits("defaults", &target, &mut findings);
        let found = findings.0.remove(0);
        (found.level, found.text)
    }

    #[test]
    fn a_window_that_cannot_be_filled_is_said() {
        let (level, text) = judged(300_000, 600_000, 4);
        assert_eq!(level, Level::Ok, "these are the defaults");
        assert_eq!(
            text,
            "defaults: cooldown 5m, window 10m, max_per_window 4: the cooldown answers first, \
             max_per_window is never reached (only with a cooldown under 3m 20s)"
        );
        assert_eq!(judged(200_000, 600_000, 4).0, Level::Warn);
        for reachable in [
            (199_999, 600_000, 4),
            (0, 1_000, 1_000),
            (u64::MAX, 1_000, 1),
        ] {
            let (level, text) = judged(reachable.0, reachable.1, reachable.2);
            assert_eq!(level, Level::Ok);
            assert!(!text.contains("never"), "{text}");
        }
    }
}
