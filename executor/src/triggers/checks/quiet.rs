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

use policy::{Now, RuleRemedy, Sign, Timestamp};
use tokio::time::Instant;

use self::state::{Limits, State};
use super::subject::{Running, Subject};
use super::tell::{Finding, Teller};
use super::verdict::Verdict;
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
/// What stands for any output in the place of a pattern.
pub(super) const ANY: &str = "*";

/// One check of one target.
struct Quiet {
    context: Rc<Context>,
    subject: Rc<Subject>,
    what: What,
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
            tokio::time::sleep(tick).await;
        }
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
        let came = self.newest();
        let is_new = came.is_some() && came != self.taken;
        let is_due = self.is_due(now.at);
        let is_time = self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        let is_unheard = self.state.listens_to().is_none();
        if (is_new && !self.state.has_heard() || is_due || is_time || is_unheard)
            && self.look(now).await.is_none()
        {
            return;
        }
        // Once more: it may be another start's by now.
        let came = self.newest();
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

    /// What the board has of this container, and of this start where that can be told.
    fn newest(&self) -> Option<Timestamp> {
        let board = &self.context.site.board;
        match &self.what {
            What::Beats => board.last_beat(&self.subject.name),
            What::Progress(pattern) => {
                let start = self.state.listens_to();
                let id = start.map_or("", |start| &start.container_id);
                let last = board.progress_of(pattern, id, &self.subject.name)?;
                // A line that is read late may be of an earlier start.
                let is_old = start.is_some_and(|start| last.line.is_before(start.started_at));
                (!is_old).then_some(last.came)
            }
        }
    }

    /// Listens to it; none where it does not run, or the engine does not say.
    async fn look(&mut self, now: Now) -> Option<Running> {
        self.looked = Some(Instant::now());
        match self.subject.look().await {
            Err(why) => {
                self.be_deaf(&why);
                None
            }
            Ok(None) => {
                self.state.deaf();
                None
            }
            Ok(Some(running)) => {
                if self.deaf_told.take().is_some() {
                    let (target, rule) = (&*self.subject.name, self.teller.rule());
                    tracing::info!(target, rule, "it can be heard again");
                }
                self.state.listen(&running.start, now.at);
                Some(running)
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
            let found = Now {
                at,
                wall_ms: wall_ms_of(now, at),
            };
            self.tell(verdict, found, patience).await;
        }
    }

    /// Fires where it is due, after one more look.
    async fn poll(&mut self, patience: Duration) {
        let now = self.context.clock.now();
        if !self.is_due(now.at) || self.look(now).await.is_none() {
            return;
        }
        if let Some(verdict) = self.state.poll(now.at) {
            self.tell(verdict, now, patience).await;
        }
    }

    async fn tell(&mut self, verdict: Verdict, found: Now, patience: Duration) {
        let Some(start) = self.state.listens_to() else {
            return;
        };
        let container_id = start.container_id.clone();
        let finding = match verdict {
            Verdict::Cleared => Finding::Cleared,
            Verdict::Fired => self.fired(found),
        };
        let (name, rule) = (&self.subject.name, self.teller.rule());
        let metrics = &self.context.metrics;
        metrics.set_failing(name, rule, self.state.is_failing());
        let until = Instant::now() + patience;
        if !self.teller.tell(container_id, found, finding, until).await {
            self.state.untold();
        }
    }

    fn fired(&self, now: Now) -> Finding {
        let (silent_ms, limit_ms) = self.state.figures(now.at);
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
