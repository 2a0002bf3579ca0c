//! What is decided by: limits, targets, the storm breaker; each target with what it takes from
//! the defaults.

use std::collections::{BTreeMap, BTreeSet};

use policy::{
    Limits, OnRefusal, Recovery, Remedies, STORM_ATTEMPTS_MAX, StormLimits, TargetConfig,
};

use super::bounds::{DAY, Fault, HOUR, MINUTE, SECOND, check_name, duration, fault, number};
use super::file::{ConfigFile, DefaultsSection, PolicySection, TargetSection};
use super::values::{Millis, show_duration_ms};
use super::{StopTimeouts, remedies};

/// Longest cooldown and window. The journal keeps every charge for so long.
const LIMIT_MS_MAX: u64 = 30 * DAY;
/// Most targets in one configuration.
const TARGETS_MAX: usize = 1000;

pub(super) fn policy(file: &ConfigFile) -> Result<(policy::Config, StopTimeouts), Fault> {
    let section = &file.policy;
    let actions = remedies::actions(&file.actions)?;
    let mut base = target(
        "defaults",
        &TargetSection {
            enabled: Some(false),
            ..TargetSection::default()
        },
        &file.defaults,
    )?;
    let none = Remedies::default();
    base.remedies = remedies::remedies("defaults", &file.defaults.remedies, &none, &actions)?;
    let mut stop_timeouts = StopTimeouts {
        default_s: stop_timeout("defaults", file.defaults.stop_timeout)?,
        targets_s: BTreeMap::new(),
    };
    let targets = targets(file, &base.remedies, &actions, &mut stop_timeouts)?;
    remedies::check_cycles(&targets)?;
    let policy = policy::Config {
        defaults: base,
        targets,
        labels_may_loosen: section.labels_may_loosen.unwrap_or(false),
        on_refusal: section.on_refusal.unwrap_or(OnRefusal::Pending),
        max_age_ms: duration(
            "policy.max_age",
            section.max_age,
            15 * MINUTE,
            SECOND..=7 * DAY,
        )?,
        pending_max_ms: pending_max(section)?,
        host_max: number("policy.host_max", section.host_max, 10, 1..=10_000)?,
        stopped: BTreeSet::new(),
        windows: Vec::new(),
        host_window_ms: duration(
            "policy.host_window",
            section.host_window,
            600 * SECOND,
            SECOND..=LIMIT_MS_MAX,
        )?,
        attempts_parallel: number(
            "policy.attempts_parallel",
            section.attempts_parallel,
            4,
            1..=64,
        )?,
        storm: storm(section)?,
        dry_run: file.dry_run.unwrap_or(false),
        shadow_rules: words(section.shadow_rules.as_deref()),
    };
    Ok((policy, stop_timeouts))
}

/// Those of `[targets.NAME]`, by name.
fn targets(
    file: &ConfigFile,
    base: &Remedies,
    actions: &BTreeMap<String, policy::Exec>,
    stop_timeouts: &mut StopTimeouts,
) -> Result<BTreeMap<String, TargetConfig>, Fault> {
    if file.targets.len() > TARGETS_MAX {
        return fault(
            "targets",
            format!(
                "{} are listed; {TARGETS_MAX} are allowed",
                file.targets.len()
            ),
        );
    }
    let mut targets = BTreeMap::new();
    for (name, written) in &file.targets {
        let place = format!("targets.{name}");
        check_name(&place, name)?;
        let mut target = target(&place, written, &inherit(written, &file.defaults))?;
        remedies::complete(&mut target, &place, written, base, actions)?;
        targets.insert(name.clone(), target);
        if let Some(seconds) = stop_timeout(&place, written.stop_timeout)? {
            stop_timeouts.targets_s.insert(name.clone(), seconds);
        }
    }
    Ok(targets)
}

/// The words of a comma-separated list.
fn words(list: Option<&str>) -> BTreeSet<String> {
    let words = list.unwrap_or("").split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn storm(section: &PolicySection) -> Result<StormLimits, Fault> {
    let most = u32::try_from(STORM_ATTEMPTS_MAX).unwrap_or(u32::MAX);
    let attempts = number("policy.storm_attempts", section.storm_attempts, 5, 0..=most)?;
    if attempts == 1 {
        return fault(
            "policy.storm_attempts",
            "1 is no row of attempts: 0 for none, or 2 and more",
        );
    }
    let targets = number(
        "policy.storm_targets",
        section.storm_targets,
        12,
        0..=TARGETS_MAX as u32,
    )?;
    if targets == 1 {
        return fault(
            "policy.storm_targets",
            "1 would be any match: 0 for none, or 2 and more",
        );
    }
    let within = SECOND..=DAY;
    Ok(StormLimits {
        attempts,
        targets,
        within_ms: duration(
            "policy.storm_within",
            section.storm_within,
            MINUTE,
            within.clone(),
        )?,
        quiet_ms: duration(
            "policy.storm_quiet",
            section.storm_quiet,
            10 * MINUTE,
            within,
        )?,
    })
}

/// None where it is not given: the policy then takes it from the limits.
fn pending_max(section: &PolicySection) -> Result<Option<u64>, Fault> {
    if section.pending_max.is_none() {
        return Ok(None);
    }
    let range = SECOND..=LIMIT_MS_MAX;
    duration("policy.pending_max", section.pending_max, 0, range).map(Some)
}

/// A target's own limits for the policy, and the defaults where it states none.
fn inherit(own: &TargetSection, defaults: &DefaultsSection) -> DefaultsSection {
    let own = own.limits();
    DefaultsSection {
        cooldown: own.cooldown.or(defaults.cooldown),
        window: own.window.or(defaults.window),
        max_per_window: own.max_per_window.or(defaults.max_per_window),
        stable_for: own.stable_for.or(defaults.stable_for),
        backoff: own.backoff.or(defaults.backoff),
        cooldown_max: own.cooldown_max.or(defaults.cooldown_max),
        max_attempts: own.max_attempts.or(defaults.max_attempts),
        release_after: own.release_after.or(defaults.release_after),
        start_delay: own.start_delay.or(defaults.start_delay),
        stop_timeout: own.stop_timeout.or(defaults.stop_timeout),
        remedies: own.remedies,
        ..DefaultsSection::default()
    }
}

fn target(
    place: &str,
    switches: &TargetSection,
    limits: &DefaultsSection,
) -> Result<TargetConfig, Fault> {
    let key = |name: &str| format!("{place}.{name}");
    let cooldown_ms = duration(
        &key("cooldown"),
        limits.cooldown,
        300 * SECOND,
        0..=LIMIT_MS_MAX,
    )?;
    let cooldown_max_ms = match limits.cooldown_max {
        // The ceiling's default never lies under a cooldown that someone set.
        None => cooldown_ms.max(HOUR),
        ceiling => duration(&key("cooldown_max"), ceiling, HOUR, 0..=LIMIT_MS_MAX)?,
    };
    if cooldown_max_ms < cooldown_ms {
        return fault(
            &key("cooldown_max"),
            format!(
                "{} is less than the cooldown, {}",
                show_duration_ms(cooldown_max_ms),
                show_duration_ms(cooldown_ms)
            ),
        );
    }
    let backoff = limits.backoff.map_or(2000, |factor| factor.0);
    if !(1000..=100_000).contains(&backoff) {
        return fault(
            &key("backoff"),
            format!("{} is not between 1 and 100", f64::from(backoff) / 1000.0),
        );
    }
    Ok(TargetConfig {
        enabled: switches.enabled.unwrap_or(true),
        protected: switches.protect.unwrap_or(false),
        dry_run: switches.dry_run.unwrap_or(false),
        limits: Limits {
            cooldown_ms,
            window_ms: duration(
                &key("window"),
                limits.window,
                600 * SECOND,
                SECOND..=LIMIT_MS_MAX,
            )?,
            max_per_window: number(&key("max_per_window"), limits.max_per_window, 4, 1..=1000)?,
        },
        recovery: Recovery {
            stable_for_ms: duration(
                &key("stable_for"),
                limits.stable_for,
                60 * SECOND,
                SECOND..=DAY,
            )?,
            backoff,
            cooldown_max_ms,
            max_attempts: number(&key("max_attempts"), limits.max_attempts, 5, 1..=1000)?,
            release_after_ms: duration(
                &key("release_after"),
                limits.release_after,
                10 * MINUTE,
                0..=LIMIT_MS_MAX,
            )?,
            start_delay_ms: duration(&key("start_delay"), limits.start_delay, 0, 0..=HOUR)?,
        },
        remedies: Remedies::default(),
        depends_on: BTreeSet::new(),
    })
}

fn stop_timeout(place: &str, value: Option<Millis>) -> Result<Option<u32>, Fault> {
    let key = format!("{place}.stop_timeout");
    let Some(Millis(ms)) = value else {
        return Ok(None);
    };
    duration(&key, value, 0, 0..=10 * MINUTE)?;
    if ms % SECOND != 0 {
        return fault(&key, "the engine takes whole seconds only");
    }
    Ok(Some((ms / SECOND) as u32))
}
