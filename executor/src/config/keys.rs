//! Every key that can be set, with its place in the file and its name in the
//! environment. `--set KEY=VALUE`, the environment and the test of
//! `conf/healer.toml` all go by this one table.

use super::file::{ConfigFile, TargetSection};
use super::values::FromText;

type Set<T> = fn(&mut T, &str) -> Result<(), String>;

/// One key.
pub(super) struct Key<T> {
    /// As in the file: `defaults.cooldown`.
    pub(super) path: &'static str,
    /// As in the environment; empty for keys of a single target.
    pub(super) env: &'static str,
    pub(super) set: Set<T>,
}

macro_rules! keys {
    ($type:ty: $($path:literal $env:literal $($field:ident).+;)+) => {
        &[$(Key::<$type> {
            path: $path,
            env: $env,
            set: |file, text| {
                file.$($field).+ = Some(FromText::from_text(text)?);
                Ok(())
            },
        }),+]
    };
}

/// All keys outside `[targets.NAME]`.
pub(super) const KEYS: &[Key<ConfigFile>] = keys! { ConfigFile:
    "rules" "HEALER_RULES" rules;
    "dry_run" "HEALER_DRY_RUN" dry_run;
    "intents_socket" "HEALER_INTENTS_SOCKET" intents_socket;
    "intents_mode" "HEALER_INTENTS_MODE" intents_mode;
    "intents_group" "HEALER_INTENTS_GROUP" intents_group;
    "admin_socket" "HEALER_ADMIN_SOCKET" admin_socket;
    "docker_socket" "HEALER_DOCKER_SOCKET" docker_socket;
    "state_dir" "HEALER_STATE_DIR" state_dir;
    "report_dir" "HEALER_REPORT_DIR" report_dir;
    "procfs" "HEALER_PROCFS" procfs;
    "kernel_records" "HEALER_KERNEL_RECORDS" kernel_records;
    "shutdown_grace" "HEALER_SHUTDOWN_GRACE" shutdown_grace;
    "http.listen" "HEALER_HTTP_LISTEN" http.listen;
    "beats.token_file" "HEALER_BEATS_TOKEN_FILE" beats.token_file;
    "beats.token_env" "HEALER_BEATS_TOKEN_ENV" beats.token_env;
    "log.format" "HEALER_LOG_FORMAT" log.format;
    "log.level" "HEALER_LOG_LEVEL" log.level;
    "reports.rotate_bytes" "HEALER_REPORTS_ROTATE_BYTES" reports.rotate_bytes;
    "reports.rotated_files" "HEALER_REPORTS_ROTATED_FILES" reports.rotated_files;
    "reports.marker_keep" "HEALER_REPORTS_MARKER_KEEP" reports.marker_keep;
    "evidence.keep" "HEALER_EVIDENCE_KEEP" evidence.keep;
    "evidence.log_lines" "HEALER_EVIDENCE_LOG_LINES" evidence.log_lines;
    "policy.max_age" "HEALER_MAX_AGE" policy.max_age;
    "policy.pending_max" "HEALER_PENDING_MAX" policy.pending_max;
    "policy.on_refusal" "HEALER_ON_REFUSAL" policy.on_refusal;
    "policy.host_max" "HEALER_HOST_MAX" policy.host_max;
    "policy.host_window" "HEALER_HOST_WINDOW" policy.host_window;
    "policy.attempts_parallel" "HEALER_ATTEMPTS_PARALLEL" policy.attempts_parallel;
    "policy.storm_attempts" "HEALER_STORM_ATTEMPTS" policy.storm_attempts;
    "policy.storm_targets" "HEALER_STORM_TARGETS" policy.storm_targets;
    "policy.storm_within" "HEALER_STORM_WITHIN" policy.storm_within;
    "policy.storm_quiet" "HEALER_STORM_QUIET" policy.storm_quiet;
    "policy.shadow_rules" "HEALER_SHADOW_RULES" policy.shadow_rules;
    "policy.labels_may_loosen" "HEALER_LABELS_MAY_LOOSEN" policy.labels_may_loosen;
    "defaults.cooldown" "HEALER_COOLDOWN" defaults.cooldown;
    "defaults.window" "HEALER_WINDOW" defaults.window;
    "defaults.max_per_window" "HEALER_MAX_PER_WINDOW" defaults.max_per_window;
    "defaults.stable_for" "HEALER_STABLE_FOR" defaults.stable_for;
    "defaults.backoff" "HEALER_BACKOFF" defaults.backoff;
    "defaults.cooldown_max" "HEALER_COOLDOWN_MAX" defaults.cooldown_max;
    "defaults.max_attempts" "HEALER_MAX_ATTEMPTS" defaults.max_attempts;
    "defaults.release_after" "HEALER_RELEASE_AFTER" defaults.release_after;
    "defaults.start_delay" "HEALER_START_DELAY" defaults.start_delay;
    "defaults.stop_timeout" "HEALER_STOP_TIMEOUT" defaults.stop_timeout;
    "defaults.unhealthy_checks" "HEALER_UNHEALTHY_CHECKS" defaults.unhealthy_checks;
    "defaults.died" "HEALER_DIED" defaults.died;
    "defaults.oom_killed" "HEALER_OOM_KILLED" defaults.oom_killed;
    "defaults.crash_loop_starts" "HEALER_CRASH_LOOP_STARTS" defaults.crash_loop_starts;
    "defaults.crash_loop_within" "HEALER_CRASH_LOOP_WITHIN" defaults.crash_loop_within;
};

/// The keys of `[targets.NAME]`.
pub(super) const TARGET_KEYS: &[Key<TargetSection>] = keys! { TargetSection:
    "enabled" "" enabled;
    "protect" "" protect;
    "dry_run" "" dry_run;
    "cooldown" "" cooldown;
    "window" "" window;
    "max_per_window" "" max_per_window;
    "stable_for" "" stable_for;
    "backoff" "" backoff;
    "cooldown_max" "" cooldown_max;
    "max_attempts" "" max_attempts;
    "release_after" "" release_after;
    "start_delay" "" start_delay;
    "stop_timeout" "" stop_timeout;
    "unhealthy_checks" "" unhealthy_checks;
    "died" "" died;
    "oom_killed" "" oom_killed;
    "crash_loop_starts" "" crash_loop_starts;
    "crash_loop_within" "" crash_loop_within;
};

/// Sets one key by its path, `targets.NAME.KEY` included.
pub(super) fn set(file: &mut ConfigFile, path: &str, text: &str) -> Result<(), String> {
    // A container's name may hold dots; the key after it cannot.
    if let Some((name, key)) = path
        .strip_prefix("targets.")
        .and_then(|rest| rest.rsplit_once('.'))
    {
        let known = TARGET_KEYS
            .iter()
            .find(|k| k.path == key)
            .ok_or_else(|| unknown(key, TARGET_KEYS.iter().map(|k| k.path)))?;
        return (known.set)(file.targets.entry(name.to_owned()).or_default(), text);
    }
    if path.starts_with("notify.") {
        return Err("notifiers are set in the file only".to_owned());
    }
    let known = KEYS
        .iter()
        .find(|k| k.path == path)
        .ok_or_else(|| unknown(path, KEYS.iter().map(|k| k.path)))?;
    (known.set)(file, text)
}

/// Whether a key outside `[targets.NAME]` is called so, in full.
pub fn is_key(path: &str) -> bool {
    KEYS.iter().any(|key| key.path == path)
}

/// In full, the key that stands in a section and is called so there.
pub(super) fn in_section(last: &str) -> Option<&'static str> {
    let mut paths = KEYS.iter().map(|key| key.path);
    paths.find(|path| path.split_once('.').is_some_and(|(_, name)| name == last))
}

fn unknown(path: &str, known: impl Iterator<Item = &'static str>) -> String {
    match nearest(path, known).or_else(|| in_section(path)) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => "unknown key; conf/healer.toml lists all".to_owned(),
    }
}

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .min()
        .filter(|&(distance, k)| distance <= 1.max(k.len() / 3))
        .map(|(_, k)| k)
}
