//! The executor's two sockets: there, with their modes, reachable, and who may.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use executor_api::{AdminAnswer, AdminRequest, Status, encode};

use super::finding::Findings;
use crate::cli::client::{Client, ClientError};
use crate::config::Config;
use crate::groups;

/// Longest wait for the answer to `status`.
const ANSWER_MS_MAX: u64 = 3_000;

const START: &str = "start the executor: `healer run`, by systemd or compose";

/// Whether the intents socket takes connections.
pub(super) async fn check(config: &Config, findings: &mut Findings) -> bool {
    let sockets = &config.sockets;
    let mut has_intents = false;
    let group = sockets.intents_group.as_deref();
    let gid = group.and_then(|group| groups::gid(group).ok());
    if let Some(meta) = socket("intents", &sockets.intents, findings) {
        mode(
            "intents",
            &sockets.intents,
            &meta,
            sockets.intents_mode,
            findings,
        );
        if let Some(gid) = gid.filter(|gid| *gid != meta.gid()) {
            let text = format!(
                "{} has group {}, not {gid}",
                sockets.intents.display(),
                meta.gid()
            );
            findings.warn(
                "intents socket",
                text,
                "restart the executor to give it its group",
            );
        }
        if gid.is_some() {
            directory(&sockets.intents, &meta, findings);
        }
        match Client::connect(&sockets.intents).await {
            Ok(_) => {
                has_intents = true;
                findings.ok("intents socket", who(&sockets.intents, &meta));
            }
            Err(e) => findings.fail("intents socket", e.to_string(), ""),
        }
    }
    if let Some(meta) = socket("admin", &sockets.admin, findings) {
        mode("admin", &sockets.admin, &meta, 0o600, findings);
        admin(config, findings).await;
    }
    has_intents
}

/// The file, where it is there and a socket.
fn socket(name: &str, path: &Path, findings: &mut Findings) -> Option<Metadata> {
    let about = format!("{name} socket");
    match std::fs::metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => Some(meta),
        Ok(_) => {
            let text = format!("{} is in the way and is no socket", path.display());
            findings.fail(about, text, "move it and restart the executor");
            None
        }
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            let text = format!("{}: {e}", path.display());
            let advice = "run this as root, as healer's own user, or in the socket's group";
            findings.fail(about, text, advice);
            None
        }
        Err(e) => {
            findings.fail(about, format!("{}: {e}", path.display()), START);
            None
        }
    }
}

fn mode(name: &str, path: &Path, meta: &Metadata, wanted: u32, findings: &mut Findings) {
    let mode = meta.mode() & 0o777;
    if mode != wanted {
        let text = format!("{} has mode 0{mode:o}, not 0{wanted:o}", path.display());
        let advice = "somebody changed it; restart the executor to set it";
        findings.warn(format!("{name} socket"), text, advice);
    }
}

/// A group that may connect must also be let into the directory.
fn directory(path: &Path, meta: &Metadata, findings: &mut Findings) {
    let Some((dir, above)) = path
        .parent()
        .and_then(|dir| Some((dir, std::fs::metadata(dir).ok()?)))
    else {
        return;
    };
    let group_may = meta.mode() & 0o060 == 0o060;
    let group_enters =
        above.mode() & 0o001 != 0 || (above.mode() & 0o010 != 0 && above.gid() == meta.gid());
    if group_may && !group_enters {
        findings.fail(
            "intents socket",
            format!(
                "group {} may connect, but may not enter {} (mode 0{:o}, group {})",
                meta.gid(),
                dir.display(),
                above.mode() & 0o777,
                above.gid()
            ),
            &format!("chgrp {} {1} && chmod g+x {1}", meta.gid(), dir.display()),
        );
    }
}

fn who(path: &Path, meta: &Metadata) -> String {
    let mut who = vec![format!("root and user {}", meta.uid())];
    if meta.mode() & 0o060 == 0o060 {
        who.push(format!("group {}", meta.gid()));
    }
    if meta.mode() & 0o006 == 0o006 {
        who.push("everybody".to_owned());
    }
    format!("{} takes intents of {}", path.display(), who.join(", "))
}

/// Asks the executor how it is.
async fn admin(config: &Config, findings: &mut Findings) {
    let about = "admin socket";
    let path = config.sockets.admin.display();
    let answer = match ask(config).await {
        Ok(answer) => answer,
        Err(e) => {
            findings.fail(about, e.to_string(), START);
            return;
        }
    };
    let status: Status = match serde_json::from_value(answer.data) {
        Ok(status) => status,
        Err(e) => {
            let text = format!("{path}: the answer is not understood: {e}");
            findings.fail(
                about,
                text,
                "executor and CLI are of different versions: update both",
            );
            return;
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    if status.version != own {
        let text = format!("the executor is {}, this is {own}", status.version);
        findings.warn(
            about,
            text,
            "restart the executor, so that both are the same",
        );
    }
    findings.ok(about, format!("{path} answers"));
    if status.faults.is_empty() {
        findings.ok("executor", format!("{} is ready", status.version));
    }
    for fault in &status.faults {
        findings.fail("executor", format!("not ready: {fault}"), "");
    }
}

async fn ask(config: &Config) -> Result<AdminAnswer, ClientError> {
    let mut client = Client::connect(&config.sockets.admin).await?;
    let line = encode(None, &AdminRequest::Status {});
    let answer = client.exchange(&line, ANSWER_MS_MAX).await?;
    serde_json::from_slice(&answer)
        .map_err(|e| ClientError::Failed(format!("the answer is not understood: {e}")))
}
