//! What an engine is made of, and what of it a reload replaces.

use std::rc::Rc;
use std::time::Duration;

use policy::Record;

use crate::calendar::Calendar;
use crate::clock::Clock;
use crate::config::StopTimeouts;
use crate::evidence::Evidence;
use crate::http::Site;
use crate::journal::Journal;
use crate::notify::Notifications;
use crate::procs::Procs;
use crate::report::Reports;

/// What SIGHUP can change.
#[derive(Debug)]
pub struct Settings {
    /// Limits, targets, everything that decisions depend on.
    pub policy: policy::Config,
    /// Maintenance windows.
    pub calendar: Calendar,
    /// What the executor's own rules call for.
    pub rules: rules::RuleBook,
    /// Replace the containers' own, sent as `t`.
    pub stop_timeouts: StopTimeouts,
    /// How long the way out waits for calls in flight.
    pub shutdown_grace: Duration,
}

/// What the engine works with; made once at start.
#[derive(Debug)]
pub struct Parts<D> {
    /// See [`Settings`].
    pub settings: Settings,
    /// Docker Engine API.
    pub docker: Rc<D>,
    /// Opened, and its records.
    pub journal: Journal,
    /// The journal could not be written when it was opened, which was told.
    pub journal_failing: bool,
    /// Every record of the journal, oldest first.
    pub records: Vec<Record>,
    /// Anchored by the journal.
    pub clock: Clock,
    /// Process ids to containers.
    pub procs: Procs,
    /// Counters, gauges and readiness.
    pub site: Rc<Site>,
    /// Report files; may be switched off.
    pub reports: Reports,
    /// Evidence of attempts; may be switched off.
    pub evidence: Evidence,
    /// Who tells people; there may be nobody.
    pub notifications: Notifications,
}
