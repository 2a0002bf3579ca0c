//! From what was written to what is meant: defaults filled in, ranges checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use policy::{
    Limits, OnRefusal, Recovery, Remedies, STORM_ATTEMPTS_MAX, StormLimits, TargetConfig,
};

use super::beats;
use super::checks;
use super::file::{ConfigFile, DefaultsSection, PolicySection, TargetSection};
use super::maintenance;
use super::notify;
use super::remedies;
use super::values::{Millis, OrOff, show_duration_ms};
use super::watch::watch;
use super::{Config, Evidence, Log, LogFormat, LogLevel, Reports, Sockets, StopTimeouts};

/// The key, and what is wrong with its value.
pub(super) type Fault = (String, String);

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Longest cooldown and window. The journal keeps every charge for so long.
const LIMIT_MS_MAX: u64 = 30 * DAY;
/// Most targets in one configuration.
const TARGETS_MAX: usize = 1000;
/// Longest container name that the engine would take on any file system.
const NAME_BYTES_MAX: usize = 255;
/// Longest path of a Unix socket (`sun_path` with its NUL is 108 bytes).
const SOCKET_PATH_BYTES_MAX: usize = 107;

pub(super) fn resolve(file: &ConfigFile, from: Option<&Path>) -> Result<Config, Fault> {
    let mut warnings = Vec::new();
    let http_listen = match file.http.listen.clone() {
        Some(listen) => listen.on(),
        None => Some(([127, 0, 0, 1], 9718).into()),
    };
    if let Some(address) = http_listen.filter(|a| !a.ip().is_loopback()) {
        warnings.push(format!(
            "http.listen {address} can be reached from other machines, and asks nobody who they are"
        ));
    }
    let rules = file.rules.clone().unwrap_or_else(|| "gpu".to_owned());
    if rules.trim().is_empty() {
        return fault("rules", "is empty; name a pack such as gpu, or a rule file");
    }
    let (policy, stop_timeouts) = policy(file)?;
    let maintenance = maintenance::resolve(&file.maintenance, &mut warnings)?;
    let (notifiers, notifiers_off) = notify::resolve(&file.notify)?;
    Ok(Config {
        sockets: sockets(file)?,
        docker_socket: docker_socket(file)?,
        state_dir: path("state_dir", &file.state_dir, "/var/lib/log-healer")?,
        reports: reports(file)?,
        evidence: evidence(file)?,
        rules,
        procfs: path("procfs", &file.procfs, "/proc")?,
        kernel_records: file.kernel_records.unwrap_or(false),
        http_listen,
        log: Log {
            format: file.log.format.unwrap_or(LogFormat::Human),
            level: file.log.level.unwrap_or(LogLevel::Info),
        },
        shutdown_grace_ms: duration(
            "shutdown_grace",
            file.shutdown_grace,
            25 * SECOND,
            0..=10 * MINUTE,
        )?,
        policy,
        maintenance,
        beats: beats::resolve(&file.beats)?,
        checks: checks::resolve(&file.targets)?,
        stop_timeouts,
        watch: watch(file)?,
        notifiers,
        notifiers_off,
        file: from.map(Path::to_owned),
        warnings,
    })
}

fn sockets(file: &ConfigFile) -> Result<Sockets, Fault> {
    let intents = path(
        "intents_socket",
        &file.intents_socket,
        "/run/healer/intents.sock",
    )?;
    let admin = path(
        "admin_socket",
        &file.admin_socket,
        "/run/healer-admin/admin.sock",
    )?;
    for (key, socket) in [("intents_socket", &intents), ("admin_socket", &admin)] {
        let bytes = socket.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return fault(
                key,
                format!("has {bytes} bytes; a socket's path may have {SOCKET_PATH_BYTES_MAX}"),
            );
        }
        if socket.file_name().is_none() {
            return fault(key, format!("{} names no file", socket.display()));
        }
    }
    if intents.parent() == admin.parent() {
        return fault(
            "admin_socket",
            format!(
                "{} is in the directory of intents_socket, which is shared with the plugin; put it in another",
                admin.display()
            ),
        );
    }
    let intents_mode = file.intents_mode.map_or(0o660, |mode| mode.0);
    if intents_mode & 0o111 != 0 || intents_mode & 0o600 != 0o600 {
        return fault(
            "intents_mode",
            format!("0{intents_mode:o} is not one of 0600, 0660, 0666"),
        );
    }
    Ok(Sockets {
        intents,
        intents_mode,
        intents_group: file.intents_group.clone().filter(|group| !group.is_empty()),
        admin,
    })
}

fn docker_socket(file: &ConfigFile) -> Result<PathBuf, Fault> {
    let Some(text) = &file.docker_socket else {
        return Ok("/var/run/docker.sock".into());
    };
    let bare = text.strip_prefix("unix://").unwrap_or(text);
    if bare.contains("://") {
        return fault(
            "docker_socket",
            format!(
                "{text} is not a Unix socket, and only those are spoken to; set docker_socket to its path"
            ),
        );
    }
    path("docker_socket", &Some(bare.into()), "")
}

fn reports(file: &ConfigFile) -> Result<Reports, Fault> {
    let dir = match file.report_dir.clone() {
        Some(OrOff::Off) => None,
        Some(OrOff::On(dir)) => Some(path("report_dir", &Some(dir), "")?),
        None => Some("/tmp/marie-healer".into()),
    };
    let section = &file.reports;
    Ok(Reports {
        dir,
        rotate_bytes: number(
            "reports.rotate_bytes",
            section.rotate_bytes,
            10 << 20,
            4096..=1 << 30,
        )?,
        rotated_files: number("reports.rotated_files", section.rotated_files, 5, 0..=100)?,
        marker_keep_ms: duration(
            "reports.marker_keep",
            section.marker_keep,
            7 * DAY,
            MINUTE..=3650 * DAY,
        )?,
    })
}

fn evidence(file: &ConfigFile) -> Result<Evidence, Fault> {
    let section = &file.evidence;
    let keep = match section.keep.clone() {
        Some(OrOff::Off) => None,
        Some(OrOff::On(keep)) => Some(keep),
        None => Some(Millis(7 * DAY)),
    };
    let most = MINUTE..=3650 * DAY;
    Ok(Evidence {
        keep_ms: keep
            .map(|keep| duration("evidence.keep", Some(keep), 0, most))
            .transpose()?,
        log_lines: number("evidence.log_lines", section.log_lines, 100, 1..=1000)?,
    })
}

fn policy(file: &ConfigFile) -> Result<(policy::Config, StopTimeouts), Fault> {
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

/// The engine's own rule for names: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(super) fn check_name(key: &str, name: &str) -> Result<(), Fault> {
    let valid = name.len() >= 2
        && name.len() <= NAME_BYTES_MAX
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if valid {
        return Ok(());
    }
    fault(
        key,
        format!(
            "{name:?} is no container name (a letter or digit, then letters, digits, _ . -; without the leading /)"
        ),
    )
}

fn path(key: &str, value: &Option<PathBuf>, default: &str) -> Result<PathBuf, Fault> {
    let path = value.clone().unwrap_or_else(|| default.into());
    if path.is_absolute() {
        return Ok(path);
    }
    fault(
        key,
        format!("\"{}\" is not an absolute path", path.display()),
    )
}

pub(super) fn duration(
    key: &str,
    value: Option<Millis>,
    default_ms: u64,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<u64, Fault> {
    let ms = value.map_or(default_ms, |millis| millis.0);
    if allowed.contains(&ms) {
        return Ok(ms);
    }
    let [value, min, max] = [ms, *allowed.start(), *allowed.end()].map(show_duration_ms);
    fault(key, format!("{value} is not between {min} and {max}"))
}

pub(super) fn number<T>(
    key: &str,
    value: Option<T>,
    default: T,
    allowed: std::ops::RangeInclusive<T>,
) -> Result<T, Fault>
where
    T: PartialOrd + std::fmt::Display,
{
    let number = value.unwrap_or(default);
    if allowed.contains(&number) {
        return Ok(number);
    }
    let (min, max) = allowed.into_inner();
    fault(key, format!("{number} is not between {min} and {max}"))
}

pub(super) fn fault<T>(key: &str, why: impl Into<String>) -> Result<T, Fault> {
    Err((key.to_owned(), why.into()))
}
