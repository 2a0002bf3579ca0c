//! `healer explain`: why a line matches, or why it does not.

use std::io::Read;

use clap::Args;
use executor_api::ExitCode;
use rules::{Explanation, Finding, Origin, Scratch};

use super::Settings;
use super::output::{Failure, printable};
use super::rules::{confirmed_by, load, print};
use super::scan;

/// Most bytes of a line that is read from stdin.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Most characters of a matched part that are shown.
const SHOWN_CHARS_MAX: usize = 400;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Built-in packs and rule files, comma-separated [default: the configuration's]
    #[arg(long, value_name = "RULES")]
    rules: Option<String>,
    /// The line is from the kernel's log
    #[arg(long, conflicts_with = "container")]
    kernel: bool,
    /// The line is from a container's output [default: both are tried]
    #[arg(long)]
    container: bool,
    /// A log line, plain or a JSON record; - reads it from stdin, where it may be several lines
    #[arg(value_name = "LINE", allow_hyphen_values = true)]
    line: String,
}

pub(super) fn explain(settings: &Settings, args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let set = load(settings, args.rules.as_deref())?;
    let line = if args.line == "-" {
        from_stdin()?
    } else {
        args.line.clone().into_bytes()
    };
    let origin = match (args.kernel, args.container) {
        (true, _) => Origin::Kernel,
        (_, true) => Origin::Container,
        _ => Origin::Any,
    };
    let mut scratch = Scratch::default();
    let texts = scan::texts_of(&line);
    let mut told = String::new();
    for text in &texts {
        if texts.len() > 1 {
            told.push_str(&format!("> {}\n", printable(text, SHOWN_CHARS_MAX)));
        }
        tell(&set.explain(text, origin, &mut scratch), &mut told);
    }
    print(&told)?;
    Ok(ExitCode::Done)
}

fn from_stdin() -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    std::io::stdin()
        .lock()
        .take(LINE_BYTES_MAX + 1)
        .read_to_end(&mut line)
        .map_err(|e| Failure::failed(format!("stdin: {e}")))?;
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(Failure::wrong_use(format!(
            "stdin has more than {LINE_BYTES_MAX} bytes; give one record at a time"
        )));
    }
    Ok(line)
}

fn tell(looked: &[Explanation<'_>], told: &mut String) {
    let matches =
        |explanation: &&Explanation<'_>| matches!(explanation.finding, Finding::Matches { .. });
    let first = looked.iter().find(matches);
    match first {
        Some(first) => {
            let rule = first.rule;
            told.push_str(&format!("matches {}: {}\n", rule.name, rule.remedy));
            told.push_str(&format!("  {}\n", rule.summary));
            if !rule.why.is_empty() {
                told.push_str(&format!("  why: {}\n", rule.why));
            }
            if let Some(confirm) = &rule.confirm {
                told.push_str(&format!("  to be confirmed by {}\n", confirmed_by(confirm)));
            }
            for link in &rule.links {
                told.push_str(&format!("  see: {link}\n"));
            }
        }
        None => told.push_str("no rule matches\n"),
    }
    if looked.is_empty() {
        told.push_str("no rule looked: the line holds no word that one of them needs\n");
        return;
    }
    told.push_str("rules that looked, in order of precedence:\n");
    for explanation in looked {
        let name = &explanation.rule.name;
        for finding in findings(explanation, first.map(|first| &*first.rule.name)) {
            told.push_str(&format!("  {name}: {finding}\n"));
        }
    }
}

fn findings(explanation: &Explanation<'_>, first: Option<&str>) -> Vec<String> {
    let shown = |text: &str| printable(text.as_bytes(), SHOWN_CHARS_MAX);
    let of = |pattern: &str, matched: &str| {
        if pattern == matched {
            format!("`{}`", shown(matched))
        } else {
            format!("`{}` by `{pattern}`", shown(matched))
        }
    };
    match &explanation.finding {
        Finding::OtherOrigin if explanation.rule.kernel => {
            vec!["looks at the kernel's lines only".to_owned()]
        }
        Finding::OtherOrigin => vec!["looks at containers' lines only".to_owned()],
        Finding::NoMatch => vec!["a word of it is there, none of its patterns".to_owned()],
        Finding::Excused(excused) => excused
            .iter()
            .map(|one| {
                let found = of(&one.pattern, &one.matched);
                format!("found {found}, but excused: {}", one.by)
            })
            .collect(),
        Finding::Matches { pattern, matched } => {
            let later = match first {
                Some(first) if first != explanation.rule.name => {
                    format!(", but {first} comes first")
                }
                _ => String::new(),
            };
            vec![format!("found {}{later}", of(pattern, matched))]
        }
    }
}
