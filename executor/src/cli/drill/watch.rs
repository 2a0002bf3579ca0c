//! Looks on while the executor heals: by its own history and status, so that what
//! a drill says is what everybody else can see.

use std::time::Duration;

use executor_api::{AdminAnswer, AdminRequest, ExitCode, HistoryEntry, Status, encode};
use tokio::time::{Instant, sleep};

use super::Steps;
use crate::cli::client::Client;
use crate::cli::output::Failure;
use crate::config::Config;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(50);
/// Longest wait for one answer.
const ANSWER_MS_MAX: u64 = 5_000;
/// Most entries of the history that are looked at.
const ENTRIES_MAX: u32 = 100;

/// The gate of a rule that has not matched often enough.
const TOO_FEW: &str = "below-threshold";

/// How a drill ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Verified.
    Healed,
    /// By a gate.
    Refused(String),
    /// It was tried, or waited for, in vain.
    NotHealed(String),
}

/// One target, from before it is made sick.
pub(super) struct Watch {
    client: Client,
    target: String,
    rule: Option<String>,
    /// What was known of it before.
    before: Vec<HistoryEntry>,
}

/// What the executor says of it now.
#[derive(Debug, Default)]
struct Seen {
    /// The newest attempt since the beginning.
    attempt: Option<HistoryEntry>,
    /// A refusal since the beginning.
    refusal: Option<HistoryEntry>,
    /// Why it waits.
    waits: Option<String>,
}

impl Watch {
    pub(super) async fn new(
        config: &Config,
        target: &str,
        rule: Option<String>,
    ) -> Result<Self, Failure> {
        let client = Client::connect(&config.sockets.admin).await;
        let mut watch = Self {
            client: client.map_err(|e| Failure::failed(e.to_string()))?,
            target: target.to_owned(),
            rule,
            before: Vec::new(),
        };
        watch.before = watch.history().await?;
        Ok(watch)
    }

    /// Until the attempt that heals it has its outcome, or nothing more can come.
    pub(super) async fn until_well(
        &mut self,
        longest: Duration,
        steps: &mut Steps,
    ) -> Result<End, Failure> {
        let until = Instant::now() + longest;
        let mut told = String::new();
        loop {
            let seen = self.look().await?;
            if let Some((step, text)) = seen.step()
                && told != format!("{step}{text}")
            {
                told = format!("{step}{text}");
                steps.tell(step, &text)?;
            }
            if let Some(end) = seen.end() {
                return Ok(end);
            }
            if Instant::now() >= until {
                let is_line = self.rule.is_some();
                return Ok(End::NotHealed(seen.in_vain(longest, is_line)));
            }
            sleep(EVERY).await;
        }
    }

    async fn look(&mut self) -> Result<Seen, Failure> {
        let news = self.history().await?;
        let rule = self.rule.clone();
        let is_news = |entry: &&HistoryEntry| {
            let is_its = rule.is_none() || entry.rule == rule;
            let was = |old: &HistoryEntry| is_same(old, entry);
            is_its && !self.before.iter().any(was)
        };
        let newest = |what: fn(&str) -> bool| {
            let mut entries = news.iter().filter(is_news);
            entries.rfind(|entry| what(&entry.what)).cloned()
        };
        let mut seen = Seen {
            attempt: newest(is_attempt),
            refusal: newest(|what| what == "refused"),
            waits: None,
        };
        // The first lines of a rule that needs several.
        let is_on_the_way = |entry: &HistoryEntry| entry.gate.as_deref() == Some(TOO_FEW);
        seen.refusal.take_if(|entry| is_on_the_way(entry));
        if seen.attempt.is_none() && seen.refusal.is_none() {
            let status: Status = self.ask(&AdminRequest::Status {}).await?;
            let target = status.targets.into_iter().find(|t| t.name == self.target);
            let waits = target.filter(|target| target.state == "pending");
            seen.waits = waits.map(|target| target.detail);
        }
        Ok(seen)
    }

    async fn history(&mut self) -> Result<Vec<HistoryEntry>, Failure> {
        let request = AdminRequest::History {
            target: Some(self.target.clone()),
            limit: ENTRIES_MAX,
            rule: None,
            what: None,
            since: None,
        };
        self.ask(&request).await
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        request: &AdminRequest,
    ) -> Result<T, Failure> {
        let line = encode(None, request);
        let answer = self.client.exchange(&line, ANSWER_MS_MAX).await;
        let answer = answer.map_err(|e| Failure::failed(e.to_string()))?;
        let unread = |e: serde_json::Error| {
            Failure::failed(format!(
                "the executor's answer is not understood: {e}; is it of the same version?"
            ))
        };
        let answer: AdminAnswer = serde_json::from_slice(&answer).map_err(unread)?;
        if answer.code != ExitCode::Done {
            return Err(Failure::failed(answer.message));
        }
        serde_json::from_value(answer.data).map_err(unread)
    }
}

/// Whether an entry was there before: an attempt of that time, or a refusal that
/// has not been counted up since.
fn is_same(old: &HistoryEntry, new: &HistoryEntry) -> bool {
    match (is_attempt(&old.what), is_attempt(&new.what)) {
        (true, true) => {
            (old.at, &old.container_id, &old.rule) == (new.at, &new.container_id, &new.rule)
        }
        (false, false) => old == new,
        _ => false,
    }
}

fn is_attempt(what: &str) -> bool {
    matches!(
        what,
        "in-progress"
            | "verifying"
            | "recovered"
            | "relapsed"
            | "failed"
            | "aborted"
            | "unknown"
            | "dry-run"
    )
}

impl Seen {
    /// What to say of it; none where there is nothing yet.
    fn step(&self) -> Option<(&'static str, String)> {
        if let Some(attempt) = &self.attempt {
            let rule = attempt.rule.as_deref().unwrap_or("no rule");
            let text = match attempt.what.as_str() {
                "in-progress" => ("restarting", format!("called for by {rule}")),
                "verifying" => ("restarted", "it runs anew and is being watched".to_owned()),
                "recovered" => ("recovered", attempt.detail.clone()),
                _ => return None,
            };
            return Some(text);
        }
        let waits = self.waits.as_ref()?;
        // Without the seconds, which count down.
        let waits = waits.split(", decided again").next().unwrap_or(waits);
        Some(("waits", waits.to_owned()))
    }

    /// What cannot be changed by waiting.
    fn end(&self) -> Option<End> {
        let Some(attempt) = &self.attempt else {
            let refusal = self.refusal.as_ref()?;
            return Some(End::Refused(with_gate(refusal)));
        };
        match attempt.what.as_str() {
            "recovered" => Some(End::Healed),
            "in-progress" | "verifying" => None,
            "dry-run" => Some(End::Refused("dry run: it would have been restarted".into())),
            "aborted" if attempt.gate.is_some() => Some(End::Refused(with_gate(attempt))),
            other => Some(End::NotHealed(format!("{other}: {}", attempt.detail))),
        }
    }

    fn in_vain(&self, longest: Duration, is_line: bool) -> String {
        let s = longest.as_secs();
        match (&self.attempt, &self.waits) {
            (Some(attempt), _) => format!("still {} after {s}s", attempt.what),
            (None, Some(waits)) => format!("still waiting after {s}s: {waits}"),
            (None, None) if !is_line => format!(
                "no trigger has fired within {s}s: is there one that sees what was done to it \
                 (docs/triggers.md), and does the executor follow the engine's events?"
            ),
            (None, None) => format!(
                "nothing has reached the executor within {s}s: does Fluent Bit read this \
                 container's log, with the plugin and its rules? (`healer check --fluent-bit`)"
            ),
        }
    }
}

fn with_gate(entry: &HistoryEntry) -> String {
    let gate = entry.gate.as_deref().unwrap_or("none");
    format!("{} (gate {gate})", entry.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: &str, gate: Option<&str>) -> HistoryEntry {
        HistoryEntry {
            at: 5,
            what: what.into(),
            gate: gate.map(str::to_owned),
            detail: "why".into(),
            ..HistoryEntry::default()
        }
    }

    fn end_of(what: &str, gate: Option<&str>) -> Option<End> {
        let seen = Seen {
            attempt: Some(entry(what, gate)),
            ..Seen::default()
        };
        seen.end()
    }

    #[test]
    fn an_attempt_ends_it_by_its_outcome() {
        assert_eq!(end_of("in-progress", None), None);
        assert_eq!(end_of("verifying", None), None);
        assert_eq!(end_of("recovered", None), Some(End::Healed));
        let not_healed = |what: &str| Some(End::NotHealed(format!("{what}: why")));
        for what in ["relapsed", "failed", "unknown", "aborted"] {
            assert_eq!(end_of(what, None), not_healed(what));
        }
        let refused = Some(End::Refused("why (gate maintenance)".into()));
        assert_eq!(end_of("aborted", Some("maintenance")), refused);
        let refusal = Seen {
            refusal: Some(entry("refused", Some("maintenance"))),
            ..Seen::default()
        };
        assert_eq!(refusal.end(), refused);
        assert_eq!(Seen::default().end(), None);
    }

    #[test]
    fn only_what_is_new_is_the_drills() {
        let attempt = |what: &str, at| HistoryEntry {
            at,
            ..entry(what, None)
        };
        assert!(is_same(&attempt("verifying", 5), &attempt("recovered", 5)));
        assert!(!is_same(
            &attempt("recovered", 5),
            &attempt("in-progress", 6)
        ));
        let counted = HistoryEntry {
            detail: "why (2 times)".into(),
            ..entry("refused", None)
        };
        assert!(!is_same(&entry("refused", None), &counted));
        assert!(is_same(&counted, &counted));
    }
}
