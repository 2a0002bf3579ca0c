//! `healer scan`: the matcher over log lines, as a filter for eyes and scripts,
//! and (`--send`) as the way in for Fluentd, cron and shell scripts.

mod batch;
mod lines;
mod record;
mod time;

#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use executor_api::{Answer, Decision, ExitCode, Remedy, TargetRef, decode_answer, encode};
use rules::{Origin, Rule, RuleSet, Scratch};
use serde::Serialize;

use super::Settings;
use super::client::Client;
use super::output::{Failure, prefix, printable, tell_error};
use crate::config::Config;
use batch::Batch;
use lines::{LINE_BYTES_MAX, Lines};
use record::Record;

/// A pause of this length in a pipe sends what has been gathered.
const PAUSE_MS: u64 = 200;
/// No match waits longer than this for a pause.
const GATHER_MS_MAX: u64 = 2_000;
/// Longest wait for the answer to one intent. The executor answers once the
/// decision is durable, so seconds mean that its disk hangs.
const ANSWER_MS_MAX: u64 = 5_000;
/// Most characters of a line that are shown.
const SHOWN_CHARS_MAX: usize = 400;

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Built-in packs and rule files, comma-separated [default: the configuration's]
    #[arg(long, value_name = "RULES")]
    rules: Option<String>,
    /// One JSON object for each input line, in order
    #[arg(long)]
    json: bool,
    /// Hand the matches to the executor; exits 1 when they could not be decided
    #[arg(long, requires = "target")]
    send: bool,
    /// The container that printed the lines: its name or id, or `auto`: the id
    /// in each record's `filepath`, as Fluentd's tail input gives it
    #[arg(long, value_name = "TARGET", requires = "send")]
    target: Option<String>,
    /// The lines are the kernel's log, not a container's
    #[arg(long)]
    kernel: bool,
    /// Plain lines, or JSON records of Docker, Fluentd or Fluent Bit; - is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Judged<'a> {
    line: u64,
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<Remedy>,
}

struct Scanner<'a> {
    rules: &'a RuleSet,
    origin: Origin,
    scratch: Scratch,
    json: bool,
    out: BufWriter<io::StdoutLock<'static>>,
    target: Option<Target>,
    batch: Batch,
    lines: u64,
    matches: u64,
}

/// Whose lines they are, where they are sent.
enum Target {
    /// Each record says so by its path.
    Auto,
    Given(TargetRef),
}

pub(super) fn scan(settings: &Settings, args: &ScanArgs) -> Result<ExitCode, Failure> {
    let config = settings.load()?;
    let rules = RuleSet::load(args.rules.as_deref().unwrap_or(&config.rules))
        .map_err(|e| Failure::wrong_use(e.to_string()))?;
    let shown = args.file.display();
    let mut input =
        Lines::open(&args.file).map_err(|e| Failure::failed(format!("{shown}: {e}")))?;
    let mut scanner = Scanner {
        rules: &rules,
        origin: match (args.kernel, args.send) {
            (true, _) => Origin::Kernel,
            // What a container prints is not the kernel's word.
            (false, true) => Origin::Container,
            (false, false) => Origin::Any,
        },
        scratch: Scratch::default(),
        json: args.json,
        out: BufWriter::new(io::stdout().lock()),
        target: args.target.as_deref().map(target),
        batch: Batch::default(),
        lines: 0,
        matches: 0,
    };
    let mut sender = Sender::new(&config)?;
    loop {
        scanner.pause(&input, &mut sender)?;
        let line = input
            .next()
            .map_err(|e| Failure::failed(format!("{shown}: line {}: {e}", scanner.lines + 1)))?;
        let Some(line) = line else { break };
        scanner.line(line.bytes)?;
        if line.cut {
            tell_error(&format!(
                "{shown}: line {} has more than {LINE_BYTES_MAX} bytes; only those were judged",
                scanner.lines
            ));
        }
    }
    scanner.send(&mut sender)?;
    scanner.finish()?;
    Ok(if sender.undecided == 0 {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

impl Scanner<'_> {
    /// Before a read that may wait: shows what there is, and sends it where the
    /// input has fallen silent or the oldest match has waited long enough.
    fn pause(&mut self, input: &Lines, sender: &mut Sender) -> Result<(), Failure> {
        if input.is_stream
            && let Some(since) = self.batch.since
        {
            let waited_ms = since.elapsed().as_millis();
            let silent = || input.wait(PAUSE_MS).map(|ready| !ready);
            if waited_ms >= u128::from(GATHER_MS_MAX)
                || (!input.has_line()
                    && silent().map_err(|e| Failure::failed(format!("waiting for input: {e}")))?)
            {
                self.send(sender)?;
            }
        }
        if !input.has_line() {
            self.flushed(|out| out.flush())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.lines += 1;
        let record = Record::of(line);
        let mut found: Option<(&Rule, &[u8])> = None;
        let mut homeless = false;
        for text in &record.texts {
            if let Some(index) = self.rules.judge(text, self.origin, &mut self.scratch) {
                let rule = &self.rules.rules()[index];
                found.get_or_insert((rule, text));
                let target = match &self.target {
                    None => continue,
                    Some(Target::Given(target)) => target.clone(),
                    Some(Target::Auto) => match record.container_id() {
                        Some(id) => TargetRef::Id(id.to_owned()),
                        None => {
                            homeless = true;
                            continue;
                        }
                    },
                };
                let remedy = wire(rule.remedy);
                self.batch
                    .add(&target, &rule.name, remedy, record.time, text);
            }
        }
        self.matches += u64::from(found.is_some());
        let number = self.lines;
        if homeless {
            // Sent again it would be no wiser, so this is no failure.
            tell_error(&format!(
                "line {number} matches, but names no container: its filepath has to hold one id"
            ));
        }
        if self.json {
            let judged = Judged {
                line: number,
                rule: found.map(|(rule, _)| &*rule.name),
                remedy: found.map(|(rule, _)| wire(rule.remedy)),
            };
            return self.flushed(|out| {
                serde_json::to_writer(&mut *out, &judged)?;
                out.write_all(b"\n")
            });
        }
        let Some((rule, text)) = found else {
            return Ok(());
        };
        let text = printable(text, SHOWN_CHARS_MAX);
        let remedy = word(rule.remedy);
        let name = rule.name.clone();
        self.flushed(|out| writeln!(out, "line {number}: {name} ({remedy}): {text}"))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if !self.json {
            let (matches, lines) = (self.matches, self.lines);
            self.flushed(|out| writeln!(out, "{matches} of {lines} lines match"))?;
        }
        self.flushed(|out| out.flush())
    }

    fn send(&mut self, sender: &mut Sender) -> Result<(), Failure> {
        for intent in self.batch.take() {
            let told = sender.send(&encode(Some("intent"), &intent));
            if self.json {
                continue;
            }
            if let Some(answer) = told {
                let line = answer_line(&intent.rule, &answer);
                self.flushed(|out| writeln!(out, "{line}"))?;
            }
        }
        Ok(())
    }

    /// Writes to stdout. While sending, a reader that went away is no reason to
    /// stop: the intents matter, not the words.
    fn flushed(
        &mut self,
        write: impl FnOnce(&mut BufWriter<io::StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match write(&mut self.out) {
            Err(e) if self.target.is_some() && e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Failure::stdout),
        }
    }
}

/// Sends intents one after the other over one connection, made when needed.
struct Sender {
    runtime: tokio::runtime::Runtime,
    socket: PathBuf,
    client: Option<Client>,
    /// Intents that were not delivered, or answered `retry` or `error`.
    undecided: u64,
}

impl Sender {
    fn new(config: &Config) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::failed(format!("starting the runtime: {e}")))?;
        Ok(Self {
            runtime,
            socket: config.sockets.intents.clone(),
            client: None,
            undecided: 0,
        })
    }

    fn send(&mut self, line: &[u8]) -> Option<Answer> {
        let answer = self.exchange(line);
        match &answer {
            Ok(answer) if matches!(answer.decision, Decision::Retry | Decision::Error) => {
                self.undecided += 1;
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

fn answer_line(rule: &str, answer: &Answer) -> String {
    let detail = answer.detail.as_deref().unwrap_or_default();
    let detail = printable(detail.as_bytes(), SHOWN_CHARS_MAX);
    let separator = if detail.is_empty() { "" } else { ": " };
    let decision = answer.decision.as_str();
    format!("{}{rule}: {decision}{separator}{detail}", prefix())
}

fn target(given: &str) -> Target {
    match given {
        "auto" => Target::Auto,
        given => Target::Given(target_ref(given)),
    }
}

/// A full id is an id; all else the engine looks up as a name or a short id.
fn target_ref(target: &str) -> TargetRef {
    let target = target.trim_start_matches('/');
    if target.len() == 64 && target.bytes().all(|b| b.is_ascii_hexdigit()) {
        TargetRef::Id(target.to_owned())
    } else {
        TargetRef::Name(target.to_owned())
    }
}

fn wire(remedy: rules::Remedy) -> Remedy {
    match remedy {
        rules::Remedy::Restart => Remedy::Restart,
        rules::Remedy::Escalate => Remedy::Escalate,
        rules::Remedy::Note => Remedy::Note,
    }
}

fn word(remedy: rules::Remedy) -> &'static str {
    match remedy {
        rules::Remedy::Restart => "restart",
        rules::Remedy::Escalate => "escalate",
        rules::Remedy::Note => "note",
    }
}
