//! What a container's `healer.*` labels change. Labels tighten; they loosen
//! only where the configuration lets them. A value that a label cannot have is
//! ignored and told, never guessed at.

use std::collections::BTreeMap;

use crate::{Config, Facts, Limits, Recovery, TargetConfig};

/// Heal this container, or (`false`) never, whatever the configuration lists.
pub const LABEL_ENABLE: &str = "healer.enable";
/// Never restart this container.
pub const LABEL_PROTECT: &str = "healer.protect";
/// [`Limits::cooldown_ms`], as `300s`, `5m` or bare seconds.
pub const LABEL_COOLDOWN: &str = "healer.cooldown";
/// [`Limits::window_ms`], as `600s`, `10m` or bare seconds.
pub const LABEL_WINDOW: &str = "healer.window";
/// [`Limits::max_per_window`].
pub const LABEL_MAX_PER_WINDOW: &str = "healer.max_per_window";
/// No restarts for as long as the container bears it.
pub const LABEL_MAINTENANCE: &str = "healer.maintenance";
/// Decide and record, do not act.
pub const LABEL_DRY_RUN: &str = "healer.dry_run";

/// `off`: its end is no trigger; decides nothing by itself.
pub const LABEL_DIED: &str = "healer.died";
/// Whether a container bears [`LABEL_DIED`] so that it is left alone when it ends.
pub fn is_died_off(labels: &BTreeMap<String, String>) -> bool {
    labels
        .get(LABEL_DIED)
        .is_some_and(|word| word.trim() == "off")
}

/// A test container that `healer drill` may make sick on purpose; decides nothing.
pub const LABEL_DRILL: &str = "healer.drill";

/// The configuration and the labels of one container, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) enabled: Enabled,
    pub(crate) protected: bool,
    pub(crate) maintenance: bool,
    pub(crate) dry_run: bool,
    pub(crate) limits: Limits,
    pub(crate) recovery: Recovery,
    pub(crate) ignored: Vec<Ignored>,
}

/// Whether a container may be healed, and who says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enabled {
    Yes,
    NotListed,
    SwitchedOff,
    ByLabel,
}

/// A label that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ignored {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) why: String,
}

/// Configuration and labels together.
pub(crate) fn settings(config: &Config, facts: &Facts) -> Settings {
    let listed = config.targets.get(&facts.name);
    let base: &TargetConfig = listed.unwrap_or(&config.defaults);
    let mut labels = Labels {
        labels: &facts.labels,
        may_loosen: config.labels_may_loosen,
        longest_ms: config.largest_limit_ms().max(crate::KEEP_MS),
        ignored: Vec::new(),
    };
    let enabled = match (labels.switch(LABEL_ENABLE), listed) {
        (Some(false), _) => Enabled::ByLabel,
        (_, Some(listed)) if listed.enabled => Enabled::Yes,
        (Some(true), Some(_)) if labels.may_loosen => Enabled::Yes,
        (_, Some(_)) => Enabled::SwitchedOff,
        (Some(true), None) => Enabled::Yes,
        (None, None) => Enabled::NotListed,
    };
    let protected = labels.tighten_switch(LABEL_PROTECT, base.protected);
    let maintenance = labels.switch(LABEL_MAINTENANCE).unwrap_or(false);
    let dry_run = labels.tighten_switch(LABEL_DRY_RUN, base.dry_run || config.dry_run);
    let limits = labels.limits(base.limits);
    Settings {
        enabled,
        protected,
        maintenance,
        dry_run,
        limits,
        recovery: base.recovery,
        ignored: labels.ignored,
    }
}

struct Labels<'a> {
    labels: &'a BTreeMap<String, String>,
    may_loosen: bool,
    longest_ms: u64,
    ignored: Vec<Ignored>,
}

impl Labels<'_> {
    fn limits(&mut self, base: Limits) -> Limits {
        let longer = |given, base| given < base;
        Limits {
            cooldown_ms: self.value(LABEL_COOLDOWN, base.cooldown_ms, longer, Self::duration),
            window_ms: self.value(LABEL_WINDOW, base.window_ms, longer, Self::duration),
            max_per_window: self.value(
                LABEL_MAX_PER_WINDOW,
                base.max_per_window,
                |given, base| given > base,
                |_, text| match text.parse::<u32>() {
                    Ok(n) if n > 0 => Ok(n),
                    _ => Err("not a whole number of 1 or more".into()),
                },
            ),
        }
    }

    /// A label's value where it has one, is readable, and may apply.
    fn value<T: Copy + PartialOrd>(
        &mut self,
        label: &'static str,
        base: T,
        loosens: impl Fn(T, T) -> bool,
        read: impl Fn(&Self, &str) -> Result<T, String>,
    ) -> T {
        let Some(text) = self.labels.get(label) else {
            return base;
        };
        match read(self, text.trim()) {
            Ok(value) if loosens(value, base) && !self.may_loosen => {
                self.ignore(label, "it would loosen the configured limit".into());
                base
            }
            Ok(value) => value,
            Err(why) => {
                self.ignore(label, why);
                base
            }
        }
    }

    fn duration(&self, text: &str) -> Result<u64, String> {
        match parse_duration_ms(text) {
            Some(ms) if ms > self.longest_ms => Err(format!(
                "longer than charges are kept ({}s)",
                self.longest_ms / 1_000
            )),
            Some(ms) => Ok(ms),
            None => Err("not a duration such as 300s, 5m or 300".into()),
        }
    }

    fn switch(&mut self, label: &'static str) -> Option<bool> {
        let text = self.labels.get(label)?;
        let value = parse_switch(text.trim());
        if value.is_none() {
            self.ignore(label, "neither true nor false".into());
        }
        value
    }

    /// True where the label or the configuration says so; a `false` against the
    /// configuration's `true` loosens.
    fn tighten_switch(&mut self, label: &'static str, base: bool) -> bool {
        match self.switch(label) {
            Some(false) if base && !self.may_loosen => {
                self.ignore(label, "it would loosen the configuration".into());
                true
            }
            Some(value) => value,
            None => base,
        }
    }

    fn ignore(&mut self, label: &'static str, why: String) {
        let value = self.labels.get(label).cloned().unwrap_or_default();
        self.ignored.push(Ignored { label, value, why });
    }
}

fn parse_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// `300`, `300s`, `5m`, `1h30m`, `500ms`, `2d`: milliseconds.
fn parse_duration_ms(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1_000);
    }
    let mut rest = text;
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
        rest = rest[letters..].trim_start();
    }
    (!text.is_empty()).then_some(total_ms)
}

/// The labels that mean something.
pub const LABELS: [&str; 9] = [
    LABEL_ENABLE,
    LABEL_PROTECT,
    LABEL_MAINTENANCE,
    LABEL_COOLDOWN,
    LABEL_WINDOW,
    LABEL_MAX_PER_WINDOW,
    LABEL_DRY_RUN,
    LABEL_DIED,
    LABEL_DRILL,
];

/// What configuration and labels together make of a container, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// It may be restarted as far as [`Self::protected`] and
    /// [`Self::orchestrator`] let it.
    pub enabled: bool,
    /// Never restarted.
    pub protected: bool,
    /// A label keeps restarts off for as long as it is there.
    pub maintenance: bool,
    /// Decided and recorded only.
    pub dry_run: bool,
    /// Swarm or Kubernetes, which restart their containers themselves.
    pub orchestrator: Option<&'static str>,
    /// Labels that change nothing: label, value and why.
    pub ignored: Vec<(&'static str, String, String)>,
}

/// How a container stands, without deciding anything.
pub fn standing(config: &Config, facts: &Facts) -> Standing {
    let settings = settings(config, facts);
    Standing {
        enabled: settings.enabled == Enabled::Yes,
        protected: settings.protected,
        maintenance: settings.maintenance,
        dry_run: settings.dry_run,
        orchestrator: orchestrator(facts),
        ignored: settings
            .ignored
            .into_iter()
            .map(|label| (label.label, label.value, label.why))
            .collect(),
    }
}

/// Who orchestrates a container, where someone does.
pub(crate) fn orchestrator(facts: &Facts) -> Option<&'static str> {
    let has = |prefix: &str| facts.labels.keys().any(|label| label.starts_with(prefix));
    if has("com.docker.swarm.service.") || has("com.docker.swarm.task") {
        Some("Docker Swarm")
    } else if has("io.kubernetes.") {
        Some("Kubernetes")
    } else {
        None
    }
}
