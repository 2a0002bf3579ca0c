//! What SIGHUP may change in a running executor.
//!
//! Policy, rules, stop timeouts, the shutdown grace and the log level take
//! effect at once. What stands for an open file or socket keeps its old value
//! until a restart, and is named so that nobody believes otherwise.

use super::{Config, ConfigError, Sources};

/// The outcome of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// What is in force from now on.
    pub config: Config,
    /// Keys that differ but keep their old value until the executor is restarted.
    pub needs_restart: Vec<&'static str>,
}

impl Config {
    /// Reads the same sources again. On a fault the old configuration stays in force.
    pub fn reload(&self, sources: &Sources) -> Result<Reload, ConfigError> {
        let mut config = Self::load(sources)?;
        let mut needs_restart = Vec::new();
        let mut keep = |key, differs: bool| {
            if differs {
                needs_restart.push(key);
            }
        };
        keep(
            "intents_socket",
            config.sockets.intents != self.sockets.intents,
        );
        keep(
            "intents_mode",
            config.sockets.intents_mode != self.sockets.intents_mode,
        );
        keep(
            "intents_group",
            config.sockets.intents_group != self.sockets.intents_group,
        );
        keep("admin_socket", config.sockets.admin != self.sockets.admin);
        keep("docker_socket", config.docker_socket != self.docker_socket);
        keep("state_dir", config.state_dir != self.state_dir);
        keep("report_dir", config.reports.dir != self.reports.dir);
        keep(
            "reports.rotate_bytes",
            config.reports.rotate_bytes != self.reports.rotate_bytes,
        );
        keep(
            "reports.rotated_files",
            config.reports.rotated_files != self.reports.rotated_files,
        );
        keep(
            "reports.marker_keep",
            config.reports.marker_keep_ms != self.reports.marker_keep_ms,
        );
        keep(
            "evidence.keep",
            config.evidence.keep_ms != self.evidence.keep_ms,
        );
        keep(
            "evidence.log_lines",
            config.evidence.log_lines != self.evidence.log_lines,
        );
        keep("procfs", config.procfs != self.procfs);
        keep(
            "kernel_records",
            config.kernel_records != self.kernel_records,
        );
        keep("http.listen", config.http_listen != self.http_listen);
        keep("log.format", config.log.format != self.log.format);

        config.sockets = self.sockets.clone();
        config.docker_socket = self.docker_socket.clone();
        config.state_dir = self.state_dir.clone();
        config.reports = self.reports.clone();
        config.evidence = self.evidence;
        config.procfs = self.procfs.clone();
        config.kernel_records = self.kernel_records;
        config.http_listen = self.http_listen;
        config.log.format = self.log.format;
        Ok(Reload {
            config,
            needs_restart,
        })
    }
}
