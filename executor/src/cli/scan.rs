//! `healer scan`: the matcher over log lines, as a filter for eyes and scripts,
//! and (`--send`) as the way in for Fluentd, cron and shell scripts.

mod batch;
pub(super) mod lines;
pub(super) mod record;
mod sender;
pub(super) mod time;

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use executor_api::{Answer, ExitCode, Remedy, TargetRef, encode};
use rules::{Origin, Rule, RuleSet, Scratch};
use serde::Serialize;

use super::Settings;
use super::output::{Failure, prefix, printable, tell_error};
use batch::Batch;
use lines::{LINE_BYTES_MAX, Lines};
use record::Record;
use sender::Sender;

/// A pause of this length in a pipe sends what has been gathered.
const PAUSE_MS: u64 = 200;
/// No match waits longer than this for a pause.
const GATHER_MS_MAX: u64 = 2_000;
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
    /// The container that printed the lines: its name or id; `auto`: the id in each record's
    /// `filepath`, which Fluentd's and Fluent Bit's tail inputs add
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
    /// Where matches go, with `--send`.
    sending: Option<Sending>,
    lines: u64,
    matches: u64,
}

struct Sending {
    /// Whose the lines are; none = each record says so itself.
    target: Option<TargetRef>,
    batch: Batch,
    /// Matches that no container could be named for.
    homeless: u64,
}

impl Sending {
    fn new(target: &str) -> Self {
        Self {
            target: (target != "auto").then(|| target_ref(target)),
            batch: Batch::default(),
            homeless: 0,
        }
    }

    /// Says once for a whole storm which matches cannot be sent. Sent again they
    /// would be no wiser, so this is no failure.
    fn tell_homeless(&mut self) {
        let homeless = std::mem::take(&mut self.homeless);
        if homeless > 0 {
            tell_error(&format!(
                "{homeless} matches name no container and were not sent: records need the path of \
                 their log file in `filepath`, or give --target NAME"
            ));
        }
    }

    fn add(&mut self, rule: &Rule, record: &Record<'_>, text: &[u8]) {
        self.batch.since.get_or_insert_with(Instant::now);
        let own = || record.container_id().map(|id| TargetRef::Id(id.to_owned()));
        match self.target.clone().or_else(own) {
            Some(target) => {
                let remedy = wire(rule.remedy);
                self.batch
                    .add(target, &rule.name, remedy, record.time, text);
            }
            None => self.homeless += 1,
        }
    }
}

/// What is judged of a line: itself, or of a record every text field.
pub(super) fn texts_of(line: &[u8]) -> Vec<Cow<'_, [u8]>> {
    Record::of(line).texts
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
        sending: args.target.as_deref().map(Sending::new),
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
        let batch = self.sending.as_ref().map(|sending| &sending.batch);
        let since = batch.and_then(|batch| batch.since);
        if batch.is_some_and(Batch::is_full) {
            self.send(sender)?;
        } else if input.is_stream
            && let Some(since) = since
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
        for text in &record.texts {
            if let Some(index) = self.rules.judge(text, self.origin, &mut self.scratch) {
                let rule = &self.rules.rules()[index];
                found.get_or_insert((rule, text));
                if let Some(sending) = &mut self.sending {
                    sending.add(rule, &record, text);
                }
            }
        }
        self.matches += u64::from(found.is_some());
        let number = self.lines;
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
        let Some(sending) = &mut self.sending else {
            return Ok(());
        };
        sending.tell_homeless();
        for intent in sending.batch.take() {
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
            Err(e) if self.sending.is_some() && e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Failure::stdout),
        }
    }
}

fn answer_line(rule: &str, answer: &Answer) -> String {
    let detail = answer.detail.as_deref().unwrap_or_default();
    let detail = printable(detail.as_bytes(), SHOWN_CHARS_MAX);
    let separator = if detail.is_empty() { "" } else { ": " };
    let decision = answer.decision.as_str();
    format!("{}{rule}: {decision}{separator}{detail}", prefix())
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
