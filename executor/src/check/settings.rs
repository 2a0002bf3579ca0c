//! The configuration itself: rules that load, limits that can be reached.

use policy::{Limits, TargetConfig};
use rules::RuleSet;

use super::finding::Findings;
use crate::config::{Config, show_duration_ms};
use crate::groups;

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
    rules(config, findings);
    limits("defaults", &config.policy.defaults, findings);
    for (name, target) in &config.policy.targets {
        if target.limits != config.policy.defaults.limits {
            limits(&format!("targets.{name}"), target, findings);
        }
    }
}

fn rules(config: &Config, findings: &mut Findings) {
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
        }
        Err(e) => findings.fail(
            "rules",
            e.to_string(),
            "set rules to packs and files that load",
        ),
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
