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
        match steps.failing.get(step) {
            Some(errno) => first().and(Err(io::Error::from_raw_os_error(*errno))),
            None => Ok(()),
        }
    }
}
