//! Whether the executor could heal now, and if not, why.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use policy::Timestamp;

/// An answer of the engine older than this says nothing about now. The engine
/// is asked at least every third of it.
pub const ENGINE_MS_MAX: u64 = 90_000;
/// How long one intent with an unknown rule makes the executor not ready.
pub const UNKNOWN_RULE_MS: u64 = 600_000;
/// Most unknown rules that are remembered; the names come from outside.
const UNKNOWN_RULES_MAX: usize = 16;

/// Set by the parts that know, read by `/readyz` and `healer status`. All of it
/// happens on one thread.
#[derive(Debug, Default)]
pub struct Health {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    journal: Result<(), String>,
    listening: BTreeSet<&'static str>,
    engine: Result<Timestamp, String>,
    engine_name: String,
    unknown_rules: BTreeMap<String, Timestamp>,
    stopping: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            journal: Err("not open yet".to_owned()),
            listening: BTreeSet::new(),
            engine: Err("not asked yet".to_owned()),
            engine_name: String::new(),
            unknown_rules: BTreeMap::new(),
            stopping: false,
        }
    }
}

impl Health {
    /// The journal is open and takes entries, or why it does not.
    pub fn set_journal(&self, journal: Result<(), String>) {
        self.state.borrow_mut().journal = journal;
    }

    /// A socket is open: `intents`, `admin`.
    pub fn set_listening(&self, socket: &'static str) {
        self.state.borrow_mut().listening.insert(socket);
    }

    /// The engine answered (anything), or why it could not be reached.
    pub fn set_engine(&self, engine: Result<Timestamp, String>) {
        self.state.borrow_mut().engine = engine;
    }

    /// An intent named a rule that the executor does not have.
    pub fn add_unknown_rule(&self, rule: &str, now: Timestamp) {
        let rules = &mut self.state.borrow_mut().unknown_rules;
        rules.retain(|_, at| now.since(*at) < UNKNOWN_RULE_MS);
        if rules.len() < UNKNOWN_RULES_MAX || rules.contains_key(rule) {
            rules.insert(rule.to_owned(), now);
        }
    }

    /// The rules were loaded anew: what was unknown may be known now.
    pub fn forget_unknown_rules(&self) {
        self.state.borrow_mut().unknown_rules.clear();
    }

    /// SIGTERM came: no new intent is taken.
    pub fn set_stopping(&self) {
        self.state.borrow_mut().stopping = true;
    }

    /// What the engine calls itself: `Docker 20.10.24, API 1.41`.
    pub fn set_engine_name(&self, name: String) {
        self.state.borrow_mut().engine_name = name;
    }

    /// What the engine called itself last; empty before it answered.
    pub fn engine_name(&self) -> String {
        self.state.borrow().engine_name.clone()
    }

    /// Why the executor could not heal now, one line each; empty = ready.
    pub fn faults(&self, now: Timestamp) -> Vec<String> {
        let state = self.state.borrow();
        let mut faults = Vec::new();
        if state.stopping {
            faults.push("stopping: no new intents are taken".to_owned());
        }
        if let Err(why) = &state.journal {
            faults.push(format!("journal: {why}"));
        }
        for socket in ["intents", "admin"] {
            if !state.listening.contains(socket) {
                faults.push(format!("{socket} socket: not open"));
            }
        }
        match &state.engine {
            Err(why) => faults.push(format!("engine: {why}")),
            Ok(at) if now.since(*at) > ENGINE_MS_MAX => faults.push(format!(
                "engine: last answered {} s ago",
                now.since(*at) / 1000
            )),
            Ok(_) => {}
        }
        for (rule, at) in &state.unknown_rules {
            let age_ms = now.since(*at);
            if age_ms < UNKNOWN_RULE_MS {
                faults.push(format!(
                    "rules: the plugin sent the unknown rule {:?} {} s ago; \
                     give the executor's `rules` and the plugin's `Rules` the same",
                    shown(rule),
                    age_ms / 1000
                ));
            }
        }
        faults
    }
}

/// A name from outside, short enough for a line.
fn shown(rule: &str) -> &str {
    &rule[..rule.floor_char_boundary(80)]
}
