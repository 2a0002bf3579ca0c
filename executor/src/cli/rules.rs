//! `healer rules`: what the rules are, one rule in full, and whether a rule file of
//! one's own does what it says.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use executor_api::ExitCode;
use rules::{Confirm, Confirmation, Rule, RuleSet};

use super::Settings;
use super::output::{Failure, tell_error};
use super::table::table;

#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All rules in order of precedence: remedy, whose lines, where from, what it means
    List(Which),
    /// One rule in full
    Show {
        /// The rule's name
        name: String,
        #[command(flatten)]
        which: Which,
    },
    /// Load a rule file, and try its examples and counter-examples; exits 1 if one fails
    Test {
        /// A rule file
        file: PathBuf,
        /// Packs and rule files that stand behind it, for rules that name others
        #[arg(long, value_name = "RULES")]
        with: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// Built-in packs and rule files, comma-separated [default: the configuration's]
    #[arg(long, value_name = "RULES")]
    rules: Option<String>,
}

pub(super) fn rules(settings: &Settings, args: &RulesArgs) -> Result<ExitCode, Failure> {
    match &args.what {
        What::List(which) => list(&load(settings, which.rules.as_deref())?),
        What::Show { name, which } => show(&load(settings, which.rules.as_deref())?, name),
        What::Test { file, with } => test(file, with.as_deref()),
    }
}

/// The rules of a flag, else those of the configuration.
pub(super) fn load(settings: &Settings, flag: Option<&str>) -> Result<RuleSet, Failure> {
    let configured;
    let setting = match flag {
        Some(setting) => setting,
        None => {
            configured = settings.load()?.rules;
            &configured
        }
    };
    RuleSet::load(setting).map_err(|e| Failure::wrong_use(e.to_string()))
}

fn list(set: &RuleSet) -> Result<ExitCode, Failure> {
    let row = |rule: &Rule| {
        let lines = if rule.kernel { "kernel" } else { "container" };
        [
            rule.name.clone(),
            rule.remedy.to_string(),
            lines.to_owned(),
            rule.source.clone(),
            rule.summary.clone(),
        ]
    };
    let rows: Vec<[String; 5]> = set.rules().iter().map(row).collect();
    print(&table(
        ["RULE", "REMEDY", "LINES", "FROM", "MEANING"],
        &rows,
    ))?;
    Ok(ExitCode::Done)
}

fn show(set: &RuleSet, name: &str) -> Result<ExitCode, Failure> {
    let rule = set.find(name).ok_or_else(|| {
        Failure::failed(format!(
            "no rule `{name}`; `healer rules list` shows those that there are"
        ))
    })?;
    print(&in_full(rule))?;
    Ok(ExitCode::Done)
}

fn in_full(rule: &Rule) -> String {
    let mut text = format!("{}\n  {}\n", rule.name, rule.summary);
    let mut line = |heading: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {heading}: {value}\n"));
        }
    };
    line("remedy", rule.remedy.as_str());
    line("why", &rule.why);
    line(
        "lines",
        if rule.kernel {
            "the kernel's"
        } else {
            "containers'"
        },
    );
    line("from", &rule.source);
    if let Some(threshold) = rule.threshold {
        let seconds = threshold.within_ms as f64 / 1_000.0;
        line(
            "threshold",
            &format!("{} matches within {seconds} s", threshold.count),
        );
    }
    if let Some(confirm) = &rule.confirm {
        line("confirmed by", &confirmed_by(confirm));
    }
    if rule.sticky {
        line("sticky", "words of recovery do not excuse it");
    }
    line("excused by", &rule.excuses.join(", "));
    for link in &rule.links {
        line("see", link);
    }
    for pattern in rule.patterns() {
        line("looks for", &pattern);
    }
    for example in &rule.examples {
        line("matches", &one_line(example));
    }
    for example in &rule.counter_examples {
        line("does not match", &one_line(example));
    }
    text
}

/// What confirms a match, and how soon.
pub(super) fn confirmed_by(confirm: &Confirm) -> String {
    let by: Vec<String> = confirm.by.iter().map(confirmation).collect();
    let seconds = confirm.within_ms as f64 / 1_000.0;
    format!("{}, within {seconds} s", by.join(", or "))
}

fn confirmation(confirmation: &Confirmation) -> String {
    match confirmation {
        Confirmation::Rule(name) => format!("rule `{name}`"),
        Confirmation::Unhealthy => "an unhealthy container".to_owned(),
        Confirmation::Exit => "the container's exit".to_owned(),
    }
}

/// An example may have several lines and colours.
fn one_line(example: &str) -> String {
    let mut shown = String::new();
    for c in example.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

fn test(file: &std::path::Path, with: Option<&str>) -> Result<ExitCode, Failure> {
    let path = file
        .to_str()
        .filter(|path| !path.contains(','))
        .ok_or_else(|| {
            let file = file.display();
            Failure::wrong_use(format!("{file}: name it without a comma, and in UTF-8"))
        })?;
    // A bare word would be a pack's name.
    let path = if path.contains('/') || path.ends_with(".toml") {
        path.to_owned()
    } else {
        format!("./{path}")
    };
    let setting = match with {
        Some(with) => format!("{path},{with}"),
        None => path.clone(),
    };
    let set = RuleSet::load(&setting).map_err(|e| Failure::wrong_use(e.to_string()))?;
    let own = |rule: &Rule| rule.source == path;
    let failures: Vec<String> = set
        .check_examples()
        .iter()
        .filter(|failure| own(failure.rule()))
        .map(|failure| one_line(&failure.to_string()))
        .collect();
    for failure in &failures {
        tell_error(&format!("{path}: {failure}"));
    }
    let (mut count, mut examples) = (0, 0);
    for rule in set.rules().iter().filter(|rule| own(rule)) {
        count += 1;
        examples += rule.examples.len() + rule.counter_examples.len();
    }
    let failed = failures.len();
    print(&format!(
        "{path}: {count} rules, {examples} examples, {failed} failed\n"
    ))?;
    Ok(if failed == 0 {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}
