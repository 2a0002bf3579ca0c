//! `healer check`: a doctor. Looks at everything that healing needs, says of
//! each how it is and what to do, and changes nothing.
//!
//! Not here: restarting anything, and what only a running Fluent Bit knows.

mod dependencies;
mod dirs;
mod engine;
mod finding;
mod fluent_bit;
mod live;
mod moot;
mod notify;
mod probes;
mod quiet;
mod remedies;
mod settings;
mod sockets;
mod unheeded;

use std::path::Path;

use crate::config::{Config, ConfigError};
pub(crate) use finding::{Findings, Level};

/// Looks at everything, in the order in which a cause comes before its effects.
pub(crate) async fn all(config: Result<&Config, &ConfigError>) -> Findings {
    let mut findings = Findings::default();
    let config = match config {
        Ok(config) => config,
        Err(e) => {
            let advice = "the executor does not start with this; a running one keeps the old one";
            findings.fail("config", e.to_string(), advice);
            return findings;
        }
    };
    settings::check(config, &mut findings);
    unheeded::check(config, &mut findings);
    dirs::check(config, &mut findings);
    notify::check(config, &mut findings);
    engine::check(config, &mut findings).await;
    let has_intents = sockets::check(config, &mut findings).await;
    let has_http = http(config, &mut findings).await;
    quiet::check(config, has_intents, has_http, &mut findings);
    findings
}

/// Fluent Bit's configuration alone.
pub(crate) fn fluent_bit(path: &Path, config: &Config) -> Findings {
    let mut findings = Findings::default();
    fluent_bit::check(path, config, &mut findings);
    findings
}

/// Whether the executor answers at all: what to say, or why not.
pub(crate) async fn live(config: &Config) -> Result<String, String> {
    live::check(config).await
}

/// Whether the endpoint answers.
async fn http(config: &Config, findings: &mut Findings) -> bool {
    let Some(address) = config.http_listen else {
        findings.ok("http", "off");
        return false;
    };
    match live::check(config).await {
        Ok(_) => findings.ok("http", format!("{address} answers")),
        Err(why) => {
            let advice = "start the executor, or set http.listen = \"off\"";
            findings.fail("http", why, advice);
            return false;
        }
    }
    true
}
