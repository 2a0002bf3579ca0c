//! Hands intents to the executor and reads what it decided.

use std::path::PathBuf;

use executor_api::{Answer, Decision, decode_answer};

use super::super::client::Client;
use super::super::output::{Failure, tell_error};
use super::super::run::runtime;
use crate::config::Config;

/// Longest wait for the answer to one intent. The executor answers once the
/// decision is durable, so seconds mean that its disk hangs.
const ANSWER_MS_MAX: u64 = 5_000;

/// Sends intents one after the other over one connection, made when needed.
pub(super) struct Sender {
    runtime: tokio::runtime::Runtime,
    socket: PathBuf,
    client: Option<Client>,
    /// Intents that have to be sent again: not delivered, or answered `retry`.
    /// Not those answered `error`, which would be wrong again, for ever.
    pub(super) undecided: u64,
}

impl Sender {
    pub(super) fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            runtime: runtime()?,
            socket: config.sockets.intents.clone(),
            client: None,
            undecided: 0,
        })
    }

    pub(super) fn send(&mut self, line: &[u8]) -> Option<Answer> {
        let answer = self.exchange(line);
        match &answer {
            Ok(answer) if matches!(answer.decision, Decision::Retry | Decision::Error) => {
                self.undecided += u64::from(answer.decision == Decision::Retry);
                let why = answer.detail.as_deref().unwrap_or("no reason given");
                tell_error(&format!(
                    "not decided ({}): {why}",
                    answer.decision.as_str()
                ));
            }
            Ok(_) => {}
            Err(why) => {
                self.undecided += 1;
                // What comes late on this connection must not answer the next intent.
                self.client = None;
                tell_error(&format!("not delivered: {why}"));
            }
        }
        answer.ok()
    }

    fn exchange(&mut self, line: &[u8]) -> Result<Answer, String> {
        let connected = match self.client.take() {
            Some(client) => Ok(client),
            None => self.runtime.block_on(Client::connect(&self.socket)),
        };
        let client = self.client.insert(connected.map_err(|e| e.to_string())?);
        let answer = self
            .runtime
            .block_on(client.exchange(line, ANSWER_MS_MAX))
            .map_err(|e| e.to_string())?;
        decode_answer(&answer).map_err(|e| format!("the answer is not understood: {}", e.why))
    }
}
