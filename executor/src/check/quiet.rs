//! Silence and activity: whether what is waited for can arrive at all.
//!
//! Not here: whether Fluent Bit looks for the progress that targets wait for; that is a
//! matter of its own configuration (`fluent_bit`).

use super::finding::Findings;
use super::unheeded::is_unheeded;
use crate::config::{Config, OutputSource, show_duration_ms};
use crate::daemon::beat_token;

/// `has_intents`: the intents socket takes connections; `has_http`: the endpoint answers.
pub(super) fn check(config: &Config, has_intents: bool, has_http: bool, findings: &mut Findings) {
    silence(config, findings);
    let over_http = token(config, has_http, findings);
    for (name, checks) in &config.checks {
        let Some(activity) = &checks.activity else {
            continue;
        };
        if is_unheeded(config, name) {
            continue;
        }
        let within = show_duration_ms(activity.within_ms);
        let waits = format!("{name} needs a beat within {within}");
        let by_socket = has_intents.then(|| {
            let socket = config.sockets.intents.display();
            format!("by `healer beat {name}` at {socket}")
        });
        let ways: Vec<String> = by_socket
            .into_iter()
            .chain(over_http.as_ref().map(|url| format!("POST {url}/{name}")))
            .collect();
        match ways.is_empty() {
            true => findings.fail(
                "activity",
                format!(
                    "{waits}, and none can arrive: the intents socket takes no connection, and {}",
                    match config.beats {
                        None => "beats over HTTP are off ([beats] has no token)",
                        Some(_) => "none can come over HTTP",
                    }
                ),
                "start the executor; for beats from elsewhere set beats.token_file and http.listen",
            ),
            false => findings.ok("activity", format!("{waits}: {}", ways.join(", or "))),
        }
    }
}

fn silence(config: &Config, findings: &mut Findings) {
    for (name, checks) in &config.checks {
        let Some(silence) = &checks.silence else {
            continue;
        };
        if is_unheeded(config, name) {
            continue;
        }
        let what = match &silence.pattern {
            Some(pattern) => format!("progress {:?}", pattern.to_string()),
            None => "any output".to_owned(),
        };
        let seen = match silence.source {
            OutputSource::Engine => "by the engine's log stream",
            OutputSource::Plugin => {
                "by the Fluent Bit plugin; `healer check --fluent-bit FILE` says whether it looks \
                 for it"
            }
        };
        findings.ok(
            "silence",
            format!("{name} has to print {what}, seen {seen}"),
        );
    }
}

/// Where beats over HTTP go; none where none can arrive so.
fn token(config: &Config, has_http: bool, findings: &mut Findings) -> Option<String> {
    let about = "beats";
    config.beats.as_ref()?;
    let Some(address) = config.http_listen else {
        let advice = "set http.listen, or take the token out";
        findings.warn(
            about,
            "a token is set, and http.listen is off: no beat comes over HTTP",
            advice,
        );
        return None;
    };
    match beat_token(config) {
        Ok(_) => findings.ok(about, format!("over HTTP at {address}, with the token")),
        Err(why) if why.starts_with("beats.token_env") => {
            let advice =
                "well, if the executor has it in its own environment; it does not start without";
            findings.warn(about, why, advice);
        }
        Err(why) => {
            findings.fail(
                about,
                why,
                "the executor does not start without a token that it can read",
            );
            return None;
        }
    }
    has_http.then(|| format!("http://{address}/beat"))
}
