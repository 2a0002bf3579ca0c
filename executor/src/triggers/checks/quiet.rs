//! What ought to be heard of a container and is not: progress, beats.
//!
//! Keeps true: before anything is said to be silent it is looked at once more, and it has to
//! run; where nothing could have been heard (the engine, the log stream or the plugin is
//! away) nothing is silent. A silence that a plugin is to hear fires once a plugin has said
//! after its end that it is still there: it may have died in the middle of it.

mod follow;
mod lines;
mod state;

use std::rc::Rc;
use std::time::Duration;

use policy::{Now, RuleRemedy, Sign, Timestamp, WallTime};
use tokio::time::Instant;

use self::state::{Limits, State};
use super::subject::Subject;
use super::tell::{Finding, Teller};
use super::verdict::{Start, Verdict};
use super::{Context, spread};
use crate::clock::wall_ms_of;
use crate::config::{Activity, OutputSource, Silence, show_duration_ms};
use crate::triggers::board::{CONTACT_MS_MAX, Contact};
use crate::triggers::{NO_BEAT, SILENT};

/// Between two looks at what came in.
const TICK_MAX: Duration = Duration::from_secs(5);
const TICK_MIN: Duration = Duration::from_millis(100);
/// Between two looks at the container, where nothing asks for one before.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A turn that comes so much later than it was due was slept through: what came meanwhile may
/// not have been read yet.
const SLEPT_MS: u64 = 10_000;
/// What stands for any output in the place of a pattern.
pub(super) const ANY: &str = "*";

/// One check of one target.
struct Quiet {
    context: Rc<Context>,
    subject: Rc<Subject>,
    what: What,
    /// Whether what does not run is waited for, too: a backup's container that is down, or gone,
    /// sends no beat either, and a person wants to know. A restart is nothing for it.
    while_down: bool,
    state: State,
    teller: Teller,
    looked: Option<Instant>,
    /// What was last taken from the board.
    taken: Option<Timestamp>,
    /// While plugins were there to hear it, where they are to.
    contact: Option<Contact>,
    deaf_told: Option<String>,
}

/// What is waited for.
#[derive(Debug, Clone)]
enum What {
    Beats,
    /// By the pattern's own text, or [`ANY`].
    Progress(String),
}

/// Beats are waited for, for as long as this is not dropped.
pub(super) async fn watch_activity(context: Rc<Context>, subject: Rc<Subject>, activity: Activity) {
    let limits = Limits {
        first_ms: activity.start_period_ms,
        then_ms: activity.within_ms,
    };
    let quiet = Quiet::new(context, subject, limits, What::Beats, activity.remedy);
    quiet.watch_board(limits).await;
}

/// Progress is waited for, for as long as this is not dropped.
pub(super) async fn watch_silence(context: Rc<Context>, subject: Rc<Subject>, silence: Silence) {
    let limits = Limits {
        first_ms: silence.first_ms,
        then_ms: silence.then_ms,
    };
    let what = What::Progress(pattern_text(&silence));
    let quiet = Quiet::new(context, subject, limits, what, silence.remedy);
    match silence.source {
        OutputSource::Plugin => quiet.watch_board(limits).await,
        OutputSource::Engine => follow::watch(quiet, silence.pattern).await,
    }
}

/// As the plugin names it, too.
pub(super) fn pattern_text(silence: &Silence) -> String {
    let text = silence.pattern.as_ref().map(ToString::to_string);
    text.unwrap_or_else(|| ANY.to_owned())
}

/// Whether what was said then is this start's. A start in the future is from before the clock
/// was set back, and tells nothing.
fn is_of(said: WallTime, start: &Start, now: Now) -> bool {
    !said.is_before(start.started_at) || now.wall().is_before(start.started_at)
}

impl Quiet {
    fn new(
        context: Rc<Context>,
        subject: Rc<Subject>,
        limits: Limits,
        what: What,
        remedy: RuleRemedy,
    ) -> Self {
        let rule = match what {
            What::Beats => NO_BEAT,
            What::Progress(_) => SILENT,
        };
        Self {
            teller: Teller::new(&context, &subject.name, rule.to_owned(), remedy),
            context,
            subject,
            while_down: matches!(what, What::Beats) && remedy != RuleRemedy::Restart,
            what,
            state: State::new(limits),
            looked: None,
            taken: None,
            contact: None,
            deaf_told: None,
        }
    }

    async fn watch_board(mut self, limits: Limits) {
        let shortest = Duration::from_millis(limits.first_ms.min(limits.then_ms));
        let tick = (shortest / 10).clamp(TICK_MIN, TICK_MAX);
        tokio::time::sleep(spread(&self.subject.name, tick)).await;
        loop {
            self.tick(tick).await;
            let began = self.context.clock.now().at;
            tokio::time::sleep(tick).await;
            self.deaf_if_slept(began, tick);
        }
    }

    /// The machine was suspended, or this process was stopped: silence counts anew.
    fn deaf_if_slept(&mut self, began: Timestamp, wait: Duration) -> bool {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let took_ms = self.context.clock.now().at.since(began);
        let has_slept = took_ms > wait_ms.saturating_add(SLEPT_MS);
        if has_slept {
            self.state.deaf();
        }
        has_slept
    }

    async fn tick(&mut self, tick: Duration) {
        let now = self.context.clock.now();
        if let What::Progress(pattern) = &self.what {
            let Some(contact) = self.context.site.board.contact_over(pattern, now.at) else {
                let (pattern, secs) = (pattern.clone(), CONTACT_MS_MAX / 1_000);
                return self.be_deaf(&format!(
                    "no plugin has said for {secs} s that it looks for progress {pattern:?}"
                ));
            };
            if self
                .contact
                .is_some_and(|known| known.first != contact.first)
            {
                self.state.deaf();
            }
            self.contact = Some(contact);
        }
        let came = self.newest(now);
        let is_new = came.is_some() && came != self.taken;
        let is_due = self.is_due(now.at);
        let is_time = self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        let is_unheard = self.state.listens_to().is_none();
        if (is_new && !self.state.has_heard() || is_due || is_time || is_unheard)
            && !self.look(now).await
        {
            return;
        }
        // Once more: it may be another start's by now.
        let came = self.newest(now);
        if came != self.taken
            && let Some(at) = came
        {
            self.taken = came;
            self.hear(at, now, tick).await;
        }
        self.poll(tick).await;
    }

    /// Whether it has been silent for too long, as far as it was listened to.
    fn is_due(&self, now: Timestamp) -> bool {
        let heard_to = self.contact.map_or(now, |contact| contact.last);
        self.state.due().is_some_and(|due| due <= heard_to)
    }

    /// What the board has of this container, and of this start as far as clocks can tell.
    fn newest(&self, now: Now) -> Option<Timestamp> {
        let board = &self.context.site.board;
        let start = self.state.listens_to();
        let (came, sent) = match &self.what {
            What::Beats => {
                let came = board.last_beat(&self.subject.name)?;
                (came, WallTime::from_ms(wall_ms_of(now, came)))
            }
            What::Progress(pattern) => {
                let id = start.map_or("", |start| &start.container_id);
                let last = board.progress_of(pattern, id, &self.subject.name)?;
                // It may be a line of an earlier start that is read late.
                (last.came, last.line)
            }
        };
        start
            .is_none_or(|start| is_of(sent, start, now))
            .then_some(came)
    }

    /// Listens to it; false where nothing is to be heard of it, or the engine does not say.
    async fn look(&mut self, now: Now) -> bool {
        self.looked = Some(Instant::now());
        match self.subject.look().await {
            Err(why) => {
                self.be_deaf(&why);
                false
            }
            Ok(None) if self.while_down => {
                self.deaf_told = None;
                self.state.absent(&self.subject.known_id(), now.at);
                true
            }
            Ok(None) => {
                self.state.deaf();
                false
            }
            Ok(Some(running)) => {
                if self.deaf_told.take().is_some() {
                    let (target, rule) = (&*self.subject.name, self.teller.rule());
                    tracing::info!(target, rule, "it can be heard again");
                }
                if !self.state.is_of(&running.start) {
                    // What was taken for another start's may be this one's.
                    self.taken = None;
                }
                self.state.listen(&running.start, now.at);
                true
            }
        }
    }

    fn be_deaf(&mut self, why: &str) {
        self.state.deaf();
        if self.deaf_told.is_none() {
            let (target, rule) = (&*self.subject.name, self.teller.rule());
            tracing::warn!(target, rule, "nothing counts as silence for now: {why}");
            self.context.metrics.deaf();
            self.deaf_told = Some(why.to_owned());
        }
    }

    async fn hear(&mut self, at: Timestamp, now: Now, patience: Duration) {
        if let Some(verdict) = self.state.hear(at) {
            let found = WallTime::from_ms(wall_ms_of(now, at));
            self.tell(verdict, at, found, patience).await;
        }
    }

    /// Fires where it is due, after one more look.
    async fn poll(&mut self, patience: Duration) {
        let now = self.context.clock.now();
        if !self.is_due(now.at) || !self.look(now).await {
            return;
        }
        if let Some(verdict) = self.state.poll(now.at) {
            self.tell(verdict, now.at, now.wall(), patience).await;
        }
    }

    async fn tell(&mut self, verdict: Verdict, at: Timestamp, found: WallTime, patience: Duration) {
        let Some(start) = self.state.listens_to() else {
            return;
        };
        let container_id = start.container_id.clone();
        let finding = match verdict {
            Verdict::Cleared => Finding::Cleared,
            Verdict::Fired => self.fired(at),
        };
        let (name, rule) = (&self.subject.name, self.teller.rule());
        let metrics = &self.context.metrics;
        metrics.set_failing(name, rule, self.state.is_failing());
        if container_id.is_empty() && verdict == Verdict::Cleared {
            // There is no container of which anything could be over.
            return;
        }
        let until = Instant::now() + patience;
        if !self.teller.tell(container_id, found, finding, until).await {
            self.state.untold();
        }
    }

    fn fired(&self, now: Timestamp) -> Finding {
        let (silent_ms, limit_ms) = self.state.figures(now);
        let whole = |ms: u64| show_duration_ms(ms / 1_000 * 1_000);
        let (silent, limit) = (whole(silent_ms), show_duration_ms(limit_ms));
        let since = match self.state.has_heard() {
            true => "the last",
            false => "its start or ours",
        };
        let what = match &self.what {
            What::Beats => "beat".to_owned(),
            What::Progress(pattern) if pattern == ANY => "output".to_owned(),
            What::Progress(pattern) => format!("progress {pattern:?}"),
        };
        Finding::Fired {
            sign: Sign::Watched {
                clear_within_ms: self.state.clear_within_ms(),
            },
            why: format!("no {what} for {silent} since {since}; {limit} are allowed"),
            sample: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_before_a_start_is_another_starts_unless_the_clock_was_set_back() {
        let at = |secs| WallTime {
            secs,
            nanos: Some(0),
        };
        let start = Start {
            container_id: "a".repeat(64),
            started_at: at(100),
        };
        let now = |secs: u64| Now {
            at: Timestamp(7),
            wall_ms: secs * 1_000,
        };
        assert!(!is_of(at(99), &start, now(110)));
        assert!(is_of(at(100), &start, now(110)));
        assert!(is_of(at(49), &start, now(50)));
    }
}
