//! What a check found, and what to do about it.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Works, but hardly as meant.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of the doctor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// See [`Level`].
    pub level: Level,
    /// `config`, `engine`, or a place in a file.
    pub about: String,
    /// What is so.
    pub text: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// The findings of all checks, in order.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// All is well with this.
    pub(crate) fn ok(&mut self, about: impl ToString, text: impl Into<String>) {
        self.add(Level::Ok, about.to_string(), text.into(), "");
    }

    /// Works, but hardly as meant.
    pub(crate) fn warn(&mut self, about: impl ToString, text: impl Into<String>, advice: &str) {
        self.add(Level::Warn, about.to_string(), text.into(), advice);
    }

    /// Does not work.
    pub(crate) fn fail(&mut self, about: impl ToString, text: impl Into<String>, advice: &str) {
        self.add(Level::Fail, about.to_string(), text.into(), advice);
    }

    fn add(&mut self, level: Level, about: String, text: String, advice: &str) {
        self.0.push(Finding {
            level,
            about,
            text,
            advice: advice.to_owned(),
        });
    }

    /// The worst level; ok where nothing was looked at.
    pub(crate) fn worst(&self) -> Level {
        self.0.iter().map(|f| f.level).max().unwrap_or(Level::Ok)
    }

    /// For people: one line each, what to do below it, and a sum.
    pub(crate) fn draw(&self) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            let level = match finding.level {
                Level::Ok => "ok  ",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            text.push_str(&format!("{level}  {}: {}\n", finding.about, finding.text));
            if !finding.advice.is_empty() {
                text.push_str(&format!("      -> {}\n", finding.advice));
            }
        }
        let count = |level| self.0.iter().filter(|f| f.level == level).count();
        text.push_str(&format!(
            "{} ok, {} to look at, {} failed\n",
            count(Level::Ok),
            count(Level::Warn),
            count(Level::Fail)
        ));
        text
    }
}
