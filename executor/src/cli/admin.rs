//! Asking a running executor over the admin socket.

use executor_api::{AdminAnswer, AdminRequest, ExitCode, encode};
use std::io::Write as _;

use super::client::{Client, ClientError};
use super::output::Failure;
use super::run::runtime;
use crate::config::Config;

/// Longest wait for an answer that needs no engine.
pub(super) const ANSWER_MS_MAX: u64 = 10_000;

/// One request, one answer.
pub(super) fn ask(
    config: &Config,
    request: &AdminRequest,
    answer_ms_max: u64,
) -> Result<AdminAnswer, ClientError> {
    let runtime = runtime().map_err(|failure| ClientError::Failed(failure.to_string()))?;
    let answer = runtime.block_on(async {
        let mut client = Client::connect(&config.sockets.admin).await?;
        client.exchange(&encode(None, request), answer_ms_max).await
    })?;
    serde_json::from_slice(&answer).map_err(|e| {
        ClientError::Failed(format!(
            "{}: the answer is not understood: {e}; are executor and CLI of the same version?",
            config.sockets.admin.display()
        ))
    })
}

/// The same, where only a running executor can answer.
pub(super) fn ask_running(config: &Config, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
    ask(config, request, ANSWER_MS_MAX).map_err(|e| Failure::failed(e.to_string()))
}

/// Shows an answer: as JSON, or by `draw`, which sees only answers that hold
/// what was asked for.
pub(super) fn show(
    answer: &AdminAnswer,
    json: bool,
    draw: impl FnOnce(&AdminAnswer) -> String,
) -> Result<ExitCode, Failure> {
    let text = if json {
        let data = serde_json::to_string(answer).expect("an answer is plain JSON");
        format!("{data}\n")
    } else if matches!(answer.code, ExitCode::Failed | ExitCode::WrongUse) {
        return Err(Failure::Told {
            code: answer.code,
            message: answer.message.clone(),
        });
    } else {
        draw(answer)
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)?;
    Ok(answer.code)
}
