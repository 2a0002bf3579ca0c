//! `healer beat`: a sign of life, for scripts, cron jobs and workers.

use clap::Args;
use executor_api::{Beat, Decision, ExitCode, decode_answer, encode};

use super::Settings;
use super::client::Client;
use super::output::Failure;
use super::run::runtime;

/// Longest wait for the answer. Nothing has to be written for it.
const ANSWER_MS_MAX: u64 = 5_000;

#[derive(Debug, Args)]
pub(super) struct BeatArgs {
    /// The container that it is a sign of, by its name
    target: String,
}

/// Quiet where it is well: it is called from cron.
pub(super) fn beat(settings: &Settings, args: &BeatArgs) -> Result<ExitCode, Failure> {
    let config = settings.load()?;
    let beat = Beat {
        id: format!("beat-{}", std::process::id()),
        target: args.target.trim_start_matches('/').to_owned(),
    };
    let exchanged = runtime()?.block_on(async {
        let mut client = Client::connect(&config.sockets.intents).await?;
        let line = encode(Some("beat"), &beat);
        client.exchange(&line, ANSWER_MS_MAX).await
    });
    let answer = exchanged.map_err(|e| Failure::failed(format!("not delivered: {e}")))?;
    let answer = decode_answer(&answer)
        .map_err(|e| Failure::failed(format!("the answer is not understood: {}", e.why)))?;
    match answer.decision {
        Decision::Noted => Ok(ExitCode::Done),
        Decision::Error => Err(Failure::wrong_use(answer.detail.unwrap_or_default())),
        other => {
            let why = answer.detail.unwrap_or_default();
            Err(Failure::failed(format!(
                "not taken ({}): {why}",
                other.as_str()
            )))
        }
    }
}
