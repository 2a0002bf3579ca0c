//! Requests of people: restart, status, history, pause, resume.

use executor_api::{AdminAnswer, AdminRequest, ExitCode, Named, RestartRequest};
use policy::{Decided, Event, Gate, HistoryOf, Look, RequestInput, StatsOf, Verdict};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Engine;
use super::inbox::{Completion, QUEUE_MAX};
use super::looks::{Patience, Reference};
use super::naming::{Asked, hint};
use super::stats::stats_view;
use crate::docker::Docker;

/// Most entries of one `history`.
const HISTORY_MAX: u32 = 1_000;
/// Longest reason of a pause.
const REASON_BYTES_MAX: usize = 255;

/// A restart request that waits for fresh facts.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    input: RequestInput,
    reply: oneshot::Sender<AdminAnswer>,
}

/// A restart request whose attempt is under way.
#[derive(Debug)]
pub(super) struct Watched {
    reply: oneshot::Sender<AdminAnswer>,
}

impl<D: Docker + 'static> Engine<D> {
    pub(super) async fn take_admin(
        &mut self,
        request: AdminRequest,
        reply: oneshot::Sender<AdminAnswer>,
    ) {
        let answer = match request {
            AdminRequest::Restart(request) => return self.take_restart(request, reply),
            AdminRequest::Status {} => self.status(),
            AdminRequest::History {
                target,
                limit,
                rule,
                what,
                since,
            } => {
                let of = HistoryOf {
                    target,
                    rule,
                    what,
                    since_wall_ms: since.unwrap_or(0).saturating_mul(1_000),
                };
                self.history(&of, limit)
            }
            AdminRequest::Stats {
                target,
                rule,
                since,
            } => self.stats(target, rule, since),
            AdminRequest::Pause {
                target,
                seconds,
                reason,
            } => {
                let reason = reason.unwrap_or_default();
                self.pause(target.as_deref(), seconds, &reason).await
            }
            AdminRequest::Resume { target } => self.resume(target.as_deref()).await,
        };
        // A client that has gone has no use for it.
        let _ = reply.send(answer);
    }

    pub(super) fn take_restart(
        &mut self,
        request: RestartRequest,
        reply: oneshot::Sender<AdminAnswer>,
    ) {
        if self.requests.len() >= QUEUE_MAX {
            let _ = reply.send(failed("too many requests wait for Docker; try again"));
            return;
        }
        let ms = |seconds: Option<u64>| seconds.map(|s| s.saturating_mul(1_000));
        let input = RequestInput {
            target: request.target,
            cooldown_ms: ms(request.cooldown_sec),
            window_ms: ms(request.window_sec),
            max_per_window: request.max_per_window,
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let reference = Reference::Either(input.target.trim_start_matches('/').to_owned());
        self.requests
            .insert(ticket, WaitingRequest { input, reply });
        let (looks, done) = (self.looks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let look = looks.fresh(&reference, Patience::Long).await;
            let _ = done.send(Completion::RequestLook { ticket, look }).await;
        });
    }

    pub(super) async fn decide_request(&mut self, ticket: u64, look: &Look) {
        let Some(waiting) = self.requests.remove(&ticket) else {
            return;
        };
        let now = self.clock.now();
        let step = self.policy.handle_request(now, &waiting.input, look);
        if let Err(e) = self.commit(now, &step).await {
            let _ = waiting
                .reply
                .send(failed(&format!("nothing was decided: {e}")));
            return;
        }
        let Some(decided) = step.answer else {
            let _ = waiting
                .reply
                .send(failed("nothing was decided: please report this"));
            return;
        };
        match decided
            .attempt
            .filter(|_| decided.verdict == Verdict::Restart)
        {
            Some(attempt) => {
                self.watched.insert(
                    attempt,
                    Watched {
                        reply: waiting.reply,
                    },
                );
            }
            None => {
                let _ = waiting.reply.send(refusal(&decided));
            }
        }
        self.act(step.actions);
    }

    /// Answers the request that waits for an attempt, if one does.
    pub(super) fn answer_watched(&mut self, event: &Event) {
        let (attempt, answer) = match event {
            Event::Restarted {
                attempt,
                target,
                container_id,
            } => {
                let message = format!("Restarting container '{target}' ...\nRestart complete.");
                let data =
                    json!({"attempt": attempt, "target": target, "container_id": container_id});
                (
                    *attempt,
                    AdminAnswer {
                        code: ExitCode::Done,
                        message,
                        data,
                    },
                )
            }
            Event::Ended {
                attempt,
                target,
                outcome,
                detail,
            } => {
                let outcome = serde_json::to_value(outcome).unwrap_or(Value::Null);
                let message = format!(
                    "Restart of '{target}' {}: {detail}",
                    outcome.as_str().unwrap_or_default()
                );
                let gate = self.policy.attempt(*attempt).and_then(|view| view.gate);
                let gate = gate.map(Gate::as_str);
                let data =
                    json!({"attempt": attempt, "target": target, "outcome": outcome, "gate": gate});
                // Refused by a gate after all, on the last look before the act.
                let code = match gate {
                    Some(_) => ExitCode::Refused,
                    None => ExitCode::Failed,
                };
                (
                    *attempt,
                    AdminAnswer {
                        code,
                        message,
                        data,
                    },
                )
            }
            _ => return,
        };
        if let Some(watched) = self.watched.remove(&attempt) {
            let _ = watched.reply.send(answer);
        }
    }

    fn status(&self) -> AdminAnswer {
        done(
            String::new(),
            serde_json::to_value(self.status_view()).unwrap_or(Value::Null),
        )
    }

    fn history(&self, of: &HistoryOf, limit: u32) -> AdminAnswer {
        let limit = limit.min(HISTORY_MAX) as usize;
        let history = self.history_view(of, limit);
        done(
            String::new(),
            serde_json::to_value(history).unwrap_or(Value::Null),
        )
    }

    fn stats(
        &self,
        target: Option<String>,
        rule: Option<String>,
        since: Option<u64>,
    ) -> AdminAnswer {
        let of = StatsOf {
            target,
            rule,
            since_wall_ms: since.unwrap_or(0).saturating_mul(1_000),
        };
        let stats = stats_view(self.policy.stats(self.clock.now(), &of), since);
        done(
            String::new(),
            serde_json::to_value(stats).unwrap_or(Value::Null),
        )
    }

    async fn pause(
        &mut self,
        target: Option<&str>,
        seconds: Option<u64>,
        reason: &str,
    ) -> AdminAnswer {
        if reason.len() > REASON_BYTES_MAX {
            return AdminAnswer {
                code: ExitCode::WrongUse,
                ..failed(&format!("a reason has at most {REASON_BYTES_MAX} bytes"))
            };
        }
        let now = self.clock.now();
        let named = target.map(|name| self.named(now, name, Asked::Pause));
        let step = self.policy.handle_pause(
            now,
            target,
            seconds.map(|s| s.saturating_mul(1_000)),
            reason,
        );
        if let Err(e) = self.commit(now, &step).await {
            return failed(&format!("not paused: {e}"));
        }
        let hint = named.as_ref().and_then(|named| hint(named, Asked::Pause));
        self.said(step, named, hint)
    }

    async fn resume(&mut self, target: Option<&str>) -> AdminAnswer {
        let now = self.clock.now();
        let named = target.map(|name| self.named(now, name, Asked::Resume));
        let step = self.policy.handle_resume(now, target, "healer resume");
        let has_ended = !step.entries.is_empty();
        if let Err(e) = self.commit(now, &step).await {
            return failed(&format!("not resumed: {e}"));
        }
        let unknown = named.as_ref().filter(|_| !has_ended);
        let hint = unknown.and_then(|named| hint(named, Asked::Resume));
        self.said(step, named, hint)
    }

    /// In the policy's words; in the log too, since it changes what happens. `named` is what is
    /// known of the name that was given, `hint` what there is to say of it.
    fn said(
        &mut self,
        step: policy::Step,
        named: Option<Named>,
        hint: Option<String>,
    ) -> AdminAnswer {
        if let Some(decided) = &step.answer {
            let hint = hint.iter().map(|hint| format!(". {hint}"));
            let hint = hint.collect::<String>();
            tracing::info!("asked by a person: {}{hint}", decided.detail);
        }
        let answer = match step.answer {
            Some(decided) if decided.verdict == Verdict::Refused => failed(&decided.detail),
            Some(decided) => {
                let hint = hint.map_or(String::new(), |hint| format!("\n{hint}"));
                let data = serde_json::to_value(named).unwrap_or(Value::Null);
                done(format!("{}.{hint}", decided.detail), data)
            }
            None => failed("nothing was decided: please report this"),
        };
        self.act(step.actions);
        answer
    }
}

fn done(message: String, data: Value) -> AdminAnswer {
    AdminAnswer {
        code: ExitCode::Done,
        message,
        data,
    }
}

fn failed(message: &str) -> AdminAnswer {
    AdminAnswer {
        code: ExitCode::Failed,
        message: message.to_owned(),
        data: Value::Null,
    }
}

fn refusal(decided: &Decided) -> AdminAnswer {
    let code = match decided.gate {
        Some(Gate::NoFacts) => ExitCode::Failed,
        Some(_) => ExitCode::Refused,
        // Not a gate's word: what was asked for cannot be.
        None => ExitCode::WrongUse,
    };
    let message = match code {
        ExitCode::WrongUse => decided.detail.clone(),
        _ => format!("{} — skipping.", decided.detail),
    };
    AdminAnswer {
        code,
        message,
        data: json!({"gate": decided.gate.map(Gate::as_str)}),
    }
}
