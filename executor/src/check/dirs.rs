//! The state directory with its evidence, and the report directory: there, whose, writable, and
//! with room.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::Findings;
use crate::config::Config;
use crate::journal::Journal;

/// With less free than this, warn before the journal cannot grow.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Files that the executor writes again and again, and so must own.
const REPORT_FILES: [&str; 2] = ["last_restart.json", "restarts.log"];

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let uid = rustix::process::geteuid().as_raw();
    state(&config.state_dir, uid, findings);
    evidence(config, uid, findings);
    match &config.reports.dir {
        Some(dir) => report(dir, uid, findings),
        None => findings.ok("reports", "off"),
    }
}

fn state(dir: &Path, uid: u32, findings: &mut Findings) {
    let about = "state";
    let shown = dir.display();
    let meta = match std::fs::metadata(dir) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let text = format!("{shown} is not there yet");
            findings.warn(about, text, "`healer run` makes it where it may");
            return;
        }
        Err(e) => {
            let text = format!("{shown}: {e}");
            findings.fail(about, text, "run this as root or as healer's own user");
            return;
        }
    };
    if !meta.is_dir() {
        findings.fail(about, format!("{shown} is no directory"), "move it away");
        return;
    }
    if meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        let advice = format!("chmod 700 {shown}");
        findings.fail(
            about,
            format!("{shown} is open to others (mode 0{mode:o})"),
            &advice,
        );
    }
    room(about, dir, findings);
    // Only its owner can read it as the executor does, and a look must not
    // leave files behind that belong to root.
    if meta.uid() != uid {
        let text = format!(
            "{shown} belongs to user {}; its journal was not read",
            meta.uid()
        );
        findings.ok(about, text);
        return;
    }
    match Journal::peek(dir) {
        Ok(records) => findings.ok(about, format!("{shown}: {} journal entries", records.len())),
        Err(e) => findings.fail(about, e.to_string(), ""),
    }
}

fn evidence(config: &Config, uid: u32, findings: &mut Findings) {
    let about = "evidence";
    if config.evidence.keep_ms.is_none() {
        findings.ok(about, "off");
        return;
    }
    let dir = crate::evidence::dir(&config.state_dir);
    let shown = dir.display();
    // Without the state directory, or a look into it, that was said above.
    let Ok(meta) = std::fs::symlink_metadata(&dir) else {
        findings.ok(about, format!("{shown}: none yet"));
        return;
    };
    let owner = match std::fs::metadata(&config.state_dir) {
        Ok(state) if uid == 0 => state.uid(),
        _ => uid,
    };
    if !meta.is_dir() {
        let text = format!("{shown} is no directory, and nothing is written");
        findings.warn(about, text, &format!("rm {shown}"));
    } else if meta.uid() != owner {
        let text = format!(
            "{shown} belongs to user {}, and nothing is written",
            meta.uid()
        );
        findings.warn(about, text, &format!("chown -R {owner} {shown}"));
    } else if meta.mode() & 0o077 != 0 {
        let text = format!(
            "{shown} is open to others (mode 0{:o})",
            meta.mode() & 0o777
        );
        findings.warn(about, text, &format!("chmod 700 {shown}"));
    } else {
        findings.ok(about, shown.to_string());
    }
}

fn room(about: &str, dir: &Path, findings: &mut Findings) {
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            if free < FREE_BYTES_MIN {
                let text = format!("{}: {} MiB are free", dir.display(), free / (1024 * 1024));
                let advice = "make room: without it nothing is restarted";
                findings.warn(about, text, advice);
            }
        }
        Err(e) => findings.warn(about, format!("{}: {e}", dir.display()), ""),
    }
}

fn report(dir: &Path, uid: u32, findings: &mut Findings) {
    let about = "reports";
    let shown = dir.display();
    let meta = match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(_) => {
            findings.fail(about, format!("{shown} is no directory"), "move it away");
            return;
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let advice = format!("install -d -m 1777 {shown}, or report_dir = \"off\"");
            findings.warn(about, format!("{shown} is not there"), &advice);
            return;
        }
        Err(e) => {
            findings.fail(about, format!("{shown}: {e}"), "");
            return;
        }
    };
    let open_to_all = meta.mode() & 0o002 != 0;
    if open_to_all && meta.mode() & 0o1000 == 0 {
        let advice = format!("chmod 1777 {shown}");
        let text = format!("{shown}: anybody may take anybody's files away");
        findings.warn(about, text, &advice);
    }
    let before = findings.0.len();
    // Root looking on behalf of the executor cannot know its user; then the
    // directory's owner stands in.
    let owner = if uid == 0 && !open_to_all {
        meta.uid()
    } else {
        uid
    };
    for name in REPORT_FILES {
        foreign(&dir.join(name), owner, findings);
    }
    if findings.0.len() == before {
        findings.ok(about, shown.to_string());
    }
}

/// A report file that somebody else owns is left as it is, and not written.
fn foreign(path: &Path, owner: u32, findings: &mut Findings) {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return;
    };
    let shown = path.display();
    if !is_plain(&meta) {
        let text = format!("{shown} is no plain file, and is not written");
        findings.warn("reports", text, &format!("rm {shown}"));
    } else if owner != 0 && meta.uid() != owner {
        let text = format!("{shown} belongs to user {}, and is not written", meta.uid());
        findings.warn("reports", text, &format!("chown {owner} {shown}"));
    }
}

fn is_plain(meta: &Metadata) -> bool {
    meta.file_type().is_file() && meta.nlink() == 1
}
