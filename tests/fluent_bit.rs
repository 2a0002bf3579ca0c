//! A real Fluent Bit with the project's own configuration and the plugin as
//! built, the real `healer run`, and an engine: from a line in a log to the
//! restart, and what becomes of matches while one of the three is away.
//!
//! The engine is a real one where it matters that it is, else the fake, which
//! counts restarts. `HEALER_SOAK=1` runs the long counts.

mod outage;
mod outputs;
mod path;
mod progress;
mod reload;

use crate::support::fake_engine::FakeEngine;
use crate::support::healer::{Executor, Setup as ExecutorSetup};
use crate::support::shipped::{FluentBit, Setup};

/// What an application prints when it runs out of GPU memory.
const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB";

/// Whether the long counts are asked for.
fn is_soak() -> bool {
    std::env::var_os("HEALER_SOAK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A fake engine with these containers, an executor that may restart each of
/// them as often as asked, and a Fluent Bit with a second output.
struct Stack {
    engine: FakeEngine,
    ids: Vec<String>,
    executor: Executor,
    fluent_bit: FluentBit,
}

impl Stack {
    /// None where there is no Fluent Bit.
    fn start(names: &[&str]) -> Option<Self> {
        let mut stack = Self::not_started(names)?;
        stack.executor.start_again();
        stack.fluent_bit.start_again();
        Some(stack)
    }

    fn not_started(names: &[&str]) -> Option<Self> {
        let engine = FakeEngine::start();
        let ids = names.iter().map(|name| engine.add(name)).collect();
        let setup = ExecutorSetup::new(&engine.socket())
            .set("defaults.cooldown", 0)
            .with_http();
        let setup = names.iter().fold(setup, |setup, name| setup.target(name));
        let executor = Executor::not_started(setup);
        let socket = executor.path("intents/intents.sock");
        let fluent_bit = FluentBit::not_started(Setup::new(&socket).with_a_second_output())?;
        Some(Self {
            engine,
            ids,
            executor,
            fluent_bit,
        })
    }

    /// How often each container was restarted.
    fn restarts(&self) -> Vec<u32> {
        let starts = |id: &String| self.engine.with(id, |container| container.starts);
        self.ids.iter().map(starts).collect()
    }

    /// Waits until nothing is under way: Fluent Bit has no chunk left that the
    /// plugin has not done with, the plugin keeps nothing, and the executor has
    /// nothing in progress or pending; then each was restarted so often.
    fn assert_restarts(&mut self, lines: usize, times: u32) {
        #[allow(clippy::cast_precision_loss)]
        let lines = lines as f64;
        let labels = "name=\"healer.0\"";
        self.fluent_bit
            .eventually_counts("fluentbit_output_proc_records_total", labels, |n| {
                n >= lines
            });
        self.fluent_bit
            .eventually_counts("healer_plugin_held_intents", "", |n| n == 0.0);
        let all = vec![times; self.ids.len()];
        self.executor
            .eventually("all restarts", |_| (self.restarts() == all).then_some(()));
        self.executor.eventually("quiet", |executor| {
            let targets = executor.status()["targets"].clone();
            let targets = targets.as_array()?;
            let is_quiet = |target: &serde_json::Value| target["state"] == "idle";
            targets.iter().all(is_quiet).then_some(())
        });
        assert_eq!(self.restarts(), all, "restarts");
    }
}
