//! How well the built-in packs tell failures from lines that only speak of them.
//!
//!     cargo run --release -p rules --example score -- CORPUS [RULES] [--lines]
//!
//! CORPUS is a file of labelled lines, one JSON object each: `line`, `label` (`fatal`,
//! `recoverable` or `benign`) and `family`. A fatal line is found if a rule with the remedy
//! `restart` or `escalate` matches it; any other line that such a rule matches is a false alarm.
//! Lines are judged as `healer scan` does: as if from containers and from the kernel both.
//! `--lines` also prints every line that is judged wrongly.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use rules::{Origin, Remedy, RuleSet, Scratch};
use serde_json::Value;

/// What happened to the lines of one family.
#[derive(Default)]
struct Score {
    restart: usize,
    escalate: usize,
    note: usize,
    none: usize,
}

impl Score {
    fn lines(&self) -> usize {
        self.restart + self.escalate + self.note + self.none
    }

    fn acted_on(&self) -> usize {
        self.restart + self.escalate
    }

    fn add(&mut self, other: &Self) {
        self.restart += other.restart;
        self.escalate += other.escalate;
        self.note += other.note;
        self.none += other.none;
    }
}

fn main() -> ExitCode {
    match score() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("score: {error}");
            ExitCode::FAILURE
        }
    }
}

fn score() -> Result<(), Box<dyn Error>> {
    let (flags, words): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|word| word.starts_with("--"));
    let path = words.first().ok_or("name a file of labelled lines")?;
    let setting = words.get(1).map_or("gpu", String::as_str);
    let set = RuleSet::load(setting)?;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let mut families: BTreeMap<(bool, String, String), Score> = BTreeMap::new();
    let mut scratch = Scratch::default();
    let mut wrong = Vec::new();
    for (number, json) in text.lines().enumerate() {
        let value: Value =
            serde_json::from_str(json).map_err(|e| format!("{path}, line {}: {e}", number + 1))?;
        let field = |key: &str| {
            let word = value.get(key).and_then(Value::as_str);
            word.ok_or_else(|| format!("{path}, line {}: no `{key}`", number + 1))
        };
        let (line, label, family) = (field("line")?, field("label")?, field("family")?);
        let fatal = label == "fatal";
        let rule = set
            .judge(line.as_bytes(), Origin::Any, &mut scratch)
            .map(|index| &set.rules()[index]);
        let key = (!fatal, label.to_owned(), family.to_owned());
        let score = families.entry(key).or_default();
        match rule.map(|rule| rule.remedy) {
            Some(Remedy::Restart) => score.restart += 1,
            Some(Remedy::Escalate) => score.escalate += 1,
            Some(Remedy::Note) => score.note += 1,
            None => score.none += 1,
        }
        let acted = rule.is_some_and(|rule| rule.remedy != Remedy::Note);
        if fatal != acted {
            let by = rule.map_or("nothing", |rule| &rule.name);
            wrong.push(format!("{label}, {family}: {by}: {line}"));
        }
    }
    print(&families);
    if flags.iter().any(|flag| flag == "--lines") {
        wrong.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn print(families: &BTreeMap<(bool, String, String), Score>) {
    println!(
        "{:<12} {:<28} {:>5} {:>8} {:>9} {:>5} {:>5}",
        "label", "family", "lines", "restart", "escalate", "note", "none"
    );
    let (mut fatal, mut other) = (Score::default(), Score::default());
    for ((harmless, label, family), score) in families {
        println!(
            "{label:<12} {family:<28} {:>5} {:>8} {:>9} {:>5} {:>5}",
            score.lines(),
            score.restart,
            score.escalate,
            score.note,
            score.none
        );
        if *harmless { &mut other } else { &mut fatal }.add(score);
    }
    let share = |score: &Score| {
        let (acted, lines) = (score.acted_on(), score.lines());
        let percent = 100.0 * acted as f64 / lines.max(1) as f64;
        format!("{acted} of {lines} ({percent:.1} %)")
    };
    println!("fatal lines found:          {}", share(&fatal));
    println!("false alarms among others:  {}", share(&other));
}
