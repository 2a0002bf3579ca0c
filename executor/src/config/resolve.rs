//! From what was written to what is meant: defaults filled in, ranges checked.

use std::path::{Path, PathBuf};

use super::bounds::{DAY, Fault, MINUTE, SECOND, duration, fault, number, path};
use super::file::ConfigFile;
use super::limits::policy;
use super::values::{Millis, OrOff};
use super::watch::watch;
use super::{Config, Evidence, Log, LogFormat, LogLevel, Reports, Sockets};
use super::{beats, checks, maintenance, notify};

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
