//! Whether the executor could heal now, and if not, why.

use std::cell::RefCell;
use std::collections::BTreeSet;

use policy::Timestamp;

/// An answer of the engine older than this says nothing about now. The engine
/// is asked at least every third of it.
pub const ENGINE_MS_MAX: u64 = 90_000;

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
    policy: Vec<String>,
    stopping: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            journal: Err("not open yet".to_owned()),
            listening: BTreeSet::new(),
            engine: Err("not asked yet".to_owned()),
            engine_name: String::new(),
            policy: Vec::new(),
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

    /// Why the policy says that nothing could be healed now.
    pub fn set_policy(&self, faults: Vec<String>) {
        self.state.borrow_mut().policy = faults;
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
        faults.extend(state.policy.iter().cloned());
        faults
    }
}
