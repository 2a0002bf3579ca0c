//! Disk faults on demand, for the tests of what no real file system can be
//! made to do: a failing fsync. Outside of tests there are none.

use std::io;

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
}

/// Steps that fail while they stand in the set, and how often each was taken.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(std::sync::Arc<parking_lot::Mutex<Steps>>);

#[cfg(test)]
#[derive(Debug, Default)]
struct Steps {
    failing: std::collections::BTreeMap<&'static str, i32>,
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
        let mut steps = self.0.lock();
        *steps.taken.entry(step).or_default() += 1;
        match steps.failing.get(step) {
            Some(errno) => first().and(Err(io::Error::from_raw_os_error(*errno))),
            None => Ok(()),
        }
    }
}
