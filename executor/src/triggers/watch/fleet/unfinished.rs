//! Finds workers that are down with their work undone: the container has ended and has left
//! the file that its target's configuration names.
//!
//! Keeps true:
//! - how a container ended is `ending`'s word, and only while the stream of events has not
//!   broken since: what it saw to end by itself is started, whatever its exit code; what
//!   anybody may have asked for, and what `died` or `oom-killed` has fired for, is left alone;
//! - where nobody saw the end, nothing is started unless the owner has said so in the
//!   configuration ([`Gap::Start`]); by default a person is told;
//! - the engine is asked for the file only of a container that is down, once it has been down
//!   for the configured time, and before each firing; where there is none, never again for
//!   that end; a look that failed is no answer, is told once, and is taken again.

use policy::{ContainerState, RuleRemedy, Sign, Timestamp, WallTime, is_died_off};

use super::AGAIN_MS_MAX;
use super::projects::STOP_MS;
use crate::config::{Gap, Unfinished as Settings};
use crate::docker::{AtPath, Seen};
use crate::triggers::{AGAIN_AFTER, Fired, UNFINISHED};

/// Between two firings that only tell a person, ms.
const UNSEEN_AGAIN_MS: u64 = 3_600_000;

/// What is known of one container's latest end.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    told_by_events: Option<Known>,
    /// Few have one.
    case: Option<Box<Case>>,
    /// So many times it has fired since its start.
    rounds: u32,
    /// That the file cannot be looked for has been told.
    is_inability_told: bool,
}

/// How it ended, as events told.
#[derive(Debug)]
struct Known {
    /// By the engine's clock; the end itself is then or before.
    at: WallTime,
    is_its_own: bool,
    heard_at: Timestamp,
}

/// An end as an inspect has shown it.
#[derive(Debug)]
struct Case {
    id: String,
    name: String,
    /// Its `FinishedAt`.
    ended_at: WallTime,
    exit_code: i64,
    how: How,
    /// When the file is to be looked for; none: no more.
    due: Option<Timestamp>,
    /// It is being looked for.
    is_looking: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    ByItself {
        heard_at: Timestamp,
    },
    /// Nobody saw it.
    Unseen,
}

impl Unfinished {
    /// It runs, or has been started.
    pub(super) fn started(&mut self) {
        *self = Self::default();
    }

    /// Events tell of an end that is none of ours: somebody asked for it, or it is another
    /// trigger's.
    pub(super) fn left_alone(&mut self, now: Timestamp, at: WallTime) {
        self.know(now, at, false);
    }

    /// It ended by itself and no other trigger acts on that.
    pub(super) fn ended_by_itself(&mut self, heard_at: Timestamp, at: WallTime) {
        self.know(heard_at, at, true);
    }

    fn know(&mut self, heard_at: Timestamp, at: WallTime, is_its_own: bool) {
        self.case = None;
        self.told_by_events = Some(Known {
            at,
            is_its_own,
            heard_at,
        });
    }

    /// Events may have been missed, and with them what people did. That somebody has stopped
    /// it goes on being known.
    pub(super) fn broken(&mut self) {
        self.case = None;
        self.told_by_events.take_if(|known| known.is_its_own);
    }

    /// Its settings have changed, or it may be down by another end: that is examined anew.
    pub(super) fn examine_anew(&mut self) {
        self.case = None;
    }

    /// A list shows it down: whether an inspect has to tell more.
    pub(super) fn wants_inspect(&self) -> bool {
        self.case.is_none()
    }

    /// When the file is to be looked for.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.case.as_ref()?.due
    }

    /// Takes what an inspect shows of a container whose end is settled otherwise.
    pub(super) fn examine(&mut self, now: Timestamp, seen: &Seen, settings: &Settings) {
        let container = &seen.container;
        let (ContainerState::Exited, Some(ended_at)) = (container.state, container.finished_at)
        else {
            self.case = None;
            return;
        };
        if self.case.as_ref().is_some_and(|c| c.ended_at == ended_at) {
            return;
        }
        let known = self.told_by_events.as_ref();
        let known = known.filter(|known| !known.at.is_before(ended_at));
        let how = match known {
            Some(known) if known.is_its_own => Some(How::ByItself {
                heard_at: known.heard_at,
            }),
            Some(_) => None,
            None => Some(How::Unseen),
        };
        let how = how.filter(|how| is_ours(*how, seen, settings));
        // From when it was first known to be down: an engine that has just started may be
        // about to start it, too.
        let since = match how {
            Some(How::ByItself { heard_at }) => heard_at,
            Some(How::Unseen) | None => now,
        };
        self.case = Some(Box::new(Case {
            id: container.id.clone(),
            name: container.name.clone(),
            ended_at,
            exit_code: seen.container.exit.code,
            how: how.unwrap_or(How::Unseen),
            due: how.map(|_| since.plus(settings.after_ms)),
            is_looking: false,
        }));
    }

    /// Whether it explains that it is down that another container of its compose project was
    /// stopped then and is not back.
    pub(super) fn is_explained_by(&self, stopped: Timestamp) -> bool {
        match self.case.as_ref().map(|case| case.how) {
            Some(How::ByItself { heard_at }) => stopped.plus(STOP_MS) > heard_at,
            Some(How::Unseen) => true,
            None => false,
        }
    }

    /// Not now.
    pub(super) fn put_off(&mut self, now: Timestamp) {
        if let Some(case) = &mut self.case {
            case.due = Some(now.plus(AGAIN_MS_MAX));
        }
    }

    /// The file is being looked for.
    pub(super) fn looking(&mut self) {
        if let Some(case) = &mut self.case {
            case.due = None;
            case.is_looking = true;
        }
    }

    /// What came of looking for the file.
    pub(super) fn found(
        &mut self,
        now: Timestamp,
        found: Result<AtPath, String>,
        settings: &Settings,
    ) -> Option<Fired> {
        // It may have been started, and have ended once more, meanwhile.
        let case = self.case.as_mut().filter(|case| case.is_looking)?;
        case.is_looking = false;
        let file = &settings.file;
        match found {
            Ok(AtPath::File { size }) => {
                self.is_inability_told = false;
                let fired = case.fire(self.rounds, file, size, settings.gap);
                case.due = Some(now.plus(again_ms(&fired)));
                self.rounds = self.rounds.saturating_add(1);
                return Some(fired);
            }
            Ok(AtPath::Nothing) => self.is_inability_told = false,
            Ok(AtPath::Directory | AtPath::Special) => self.tell_inability(&format!(
                "{file} is no file there: set targets.NAME.unfinished.file to one"
            )),
            Err(why) => {
                case.due = Some(now.plus(AGAIN_MS_MAX));
                self.tell_inability(&why);
            }
        }
        None
    }

    fn tell_inability(&mut self, why: &str) {
        let name = self.case.as_ref().map_or("", |case| &*case.name);
        if !std::mem::replace(&mut self.is_inability_told, true) {
            tracing::warn!(
                target = name,
                "is down, and whether it has left its work undone cannot be found out: {why}"
            );
        }
    }

    /// A signal did not arrive.
    pub(super) fn untold(&mut self, rule: &str, again_at: Timestamp) {
        if rule == UNFINISHED
            && let Some(case) = &mut self.case
        {
            self.rounds = self.rounds.saturating_sub(1);
            case.due = Some(again_at);
        }
    }
}

/// Whether this end may call for anything.
fn is_ours(how: How, seen: &Seen, settings: &Settings) -> bool {
    if is_died_off(&seen.container.labels) {
        return false;
    }
    match how {
        How::ByItself { .. } => true,
        // One that its restart policy always starts is down because somebody stopped it.
        How::Unseen => settings.gap != Gap::Off && !seen.container.exit.is_always_restarted,
    }
}

/// When it fires again where nothing changes.
fn again_ms(fired: &Fired) -> u64 {
    match fired.sign {
        Sign::EndedUnseen => UNSEEN_AGAIN_MS,
        _ => u64::try_from(AGAIN_AFTER.as_millis()).unwrap_or(u64::MAX),
    }
}

impl Case {
    fn fire(&self, round: u32, file: &str, size: u64, gap: Gap) -> Fired {
        let code = self.exit_code;
        let left = format!("it has left {file} ({size} bytes), so its work is not done");
        let (remedy, sign, why) = match (self.how, gap) {
            (How::ByItself { .. }, _) => (
                RuleRemedy::Restart,
                Sign::Ended,
                format!("ended by itself with exit code {code}, and {left}"),
            ),
            (How::Unseen, Gap::Start) => (
                RuleRemedy::Restart,
                Sign::Ended,
                format!("does not run, and {left}; nobody saw how it ended, and gap = \"start\""),
            ),
            (How::Unseen, Gap::Tell | Gap::Off) => (
                RuleRemedy::Escalate,
                Sign::EndedUnseen,
                format!(
                    "does not run, and {left}; nobody saw how it ended (the executor or the \
                     engine's events were away), so somebody may have stopped it"
                ),
            ),
        };
        Fired {
            container_id: self.id.clone(),
            target: self.name.clone(),
            rule: UNFINISHED.to_owned(),
            remedy,
            sign,
            found: self.ended_at,
            round,
            why,
            sample: String::new(),
        }
    }
}
