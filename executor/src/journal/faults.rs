//! Disk faults on demand, for the tests of what no real file system can be
//! made to do: an fsync that fails or hangs, a journal that is full already.
//! Outside of tests there are none.

use std::io;

use super::RECORDS_MAX;

#[cfg(not(test))]
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {}

#[cfg(not(test))]
impl Faults {
    pub(crate) fn check(&self, _step: &'static str) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn check_after(
        &self,
        _step: &'static str,
        _first: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn records_max(&self) -> usize {
        RECORDS_MAX
    }
}

/// Steps that fail while they stand in the set, and how often each was taken.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(std::sync::Arc<parking_lot::Mutex<Steps>>);

#[cfg(test)]
#[derive(Debug, Default)]
struct Steps {
    failing: std::collections::BTreeMap<&'static str, i32>,
    stalled: Option<&'static str>,
    records_max: Option<usize>,
    taken: std::collections::BTreeMap<&'static str, u32>,
    script: Script,
    /// The process is killed: nothing more comes of it.
    is_dead: bool,
    died: std::sync::Arc<tokio::sync::Notify>,
}

/// What becomes of one step.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Fails,
    /// The process is killed in the middle of it.
    Dies,
}

#[cfg(test)]
type AskFate = Box<dyn FnMut(&'static str) -> Fate + Send>;

/// Asked before each step.
#[cfg(test)]
#[derive(Default)]
struct Script(Option<AskFate>);

#[cfg(test)]
impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

#[cfg(test)]
impl Faults {
    /// `step` fails with this errno until [`Faults::heal`].
    pub(crate) fn fail(&self, step: &'static str, errno: i32) {
        self.0.lock().failing.insert(step, errno);
    }

    pub(crate) fn heal(&self) {
        self.0.lock().failing.clear();
    }

    /// `step` hangs until [`Faults::go_on`].
    pub(crate) fn stall(&self, step: &'static str) {
        self.0.lock().stalled = Some(step);
    }

    pub(crate) fn go_on(&self) {
        self.0.lock().stalled = None;
    }

    /// A journal takes no more than `records` from now on.
    pub(crate) fn limit_records(&self, records: usize) {
        self.0.lock().records_max = Some(records);
    }

    pub(crate) fn records_max(&self) -> usize {
        self.0.lock().records_max.unwrap_or(RECORDS_MAX)
    }

    /// Every step's fate is asked for from now on.
    pub(crate) fn script(&self, fate: impl FnMut(&'static str) -> Fate + Send + 'static) {
        self.0.lock().script = Script(Some(Box::new(fate)));
    }

    /// Kills the process that writes.
    pub(crate) fn kill(&self) {
        let mut steps = self.0.lock();
        steps.is_dead = true;
        steps.died.notify_one();
    }

    /// Waits for the process's end, for one who waits.
    pub(crate) async fn died(&self) {
        let died = self.0.lock().died.clone();
        while !self.is_dead() {
            died.notified().await;
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().is_dead
    }

    /// How often `step` was taken, be it in vain.
    pub(crate) fn taken(&self, step: &'static str) -> u32 {
        self.0.lock().taken.get(step).copied().unwrap_or(0)
    }

    pub(crate) fn check(&self, step: &'static str) -> io::Result<()> {
        self.check_after(step, || Ok(()))
    }

    /// Fails after having done `first`.
    pub(crate) fn check_after(
        &self,
        step: &'static str,
        first: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        while self.0.lock().stalled == Some(step) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut steps = self.0.lock();
        *steps.taken.entry(step).or_default() += 1;
        let failed = || io::Error::from_raw_os_error(5);
        if steps.is_dead {
            return Err(failed());
        }
        match steps.script.0.as_mut().map_or(Fate::Done, |ask| ask(step)) {
            Fate::Done => {}
            Fate::Fails => return first().and(Err(failed())),
            Fate::Dies => {
                steps.is_dead = true;
                steps.died.notify_one();
                return first().and(Err(failed()));
            }
        }
        match steps.failing.get(step) {
            Some(errno) => first().and(Err(io::Error::from_raw_os_error(*errno))),
            None => Ok(()),
        }
    }
}
