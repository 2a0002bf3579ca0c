//! What labels change, and what they must not.

use crate::labels::{Enabled, Settings, settings};
use crate::testing::*;
use crate::*;

fn with(labels: &[(&str, &str)], change: impl Fn(&mut Config)) -> Settings {
    let mut config = config();
    change(&mut config);
    let mut facts = facts();
    for (label, value) in labels {
        facts
            .labels
            .insert((*label).to_owned(), (*value).to_owned());
    }
    settings(&config, &facts)
}

fn ignored(settings: &Settings) -> Vec<(&str, &str)> {
    let all = settings.ignored.iter();
    all.map(|i| (i.label, &*i.why)).collect()
}

const LOOSENS: &str = "it would loosen the configured limit";

/// Configured: cooldown 300 s, window 600 s, 4 per window.
#[test]
fn limits_are_tightened_and_loosened_only_where_allowed() {
    let of = |cooldown_s: u64, window_s: u64, max_per_window| Limits {
        cooldown_ms: cooldown_s * 1_000,
        window_ms: window_s * 1_000,
        max_per_window,
    };
    let table: [(&str, &str, Limits, Limits); 9] = [
        (LABEL_COOLDOWN, "301", of(301, 600, 4), of(301, 600, 4)),
        (LABEL_COOLDOWN, "5m", of(300, 600, 4), of(300, 600, 4)),
        (LABEL_COOLDOWN, "299s", of(300, 600, 4), of(299, 600, 4)),
        (LABEL_COOLDOWN, "0", of(300, 600, 4), of(0, 600, 4)),
        (LABEL_WINDOW, "1h", of(300, 3_600, 4), of(300, 3_600, 4)),
        (LABEL_WINDOW, "60s", of(300, 600, 4), of(300, 60, 4)),
        (LABEL_MAX_PER_WINDOW, "1", of(300, 600, 1), of(300, 600, 1)),
        (LABEL_MAX_PER_WINDOW, "4", of(300, 600, 4), of(300, 600, 4)),
        (LABEL_MAX_PER_WINDOW, "5", of(300, 600, 4), of(300, 600, 5)),
    ];
    for (label, value, tight, loose) in table {
        let seen = with(&[(label, value)], |_| {});
        assert_eq!(seen.limits, tight, "{label}={value}");
        let loosens = tight != loose;
        let why: Vec<_> = loosens.then_some((label, LOOSENS)).into_iter().collect();
        assert_eq!(ignored(&seen), why, "{label}={value}");
        let seen = with(&[(label, value)], |c| c.labels_may_loosen = true);
        assert_eq!(seen.limits, loose, "{label}={value}");
        assert_eq!(ignored(&seen), []);
    }
}

#[test]
fn durations_are_read_as_written() {
    for (text, want_ms) in [
        ("400", Some(400_000)),
        ("400s", Some(400_000)),
        (" 400s ", Some(400_000)),
        ("400000ms", Some(400_000)),
        ("10m", Some(600_000)),
        ("10min", Some(600_000)),
        ("1h30m", Some(5_400_000)),
        ("1h 30m", Some(5_400_000)),
        ("7d", Some(KEEP_MS)),
        ("7d1s", None),
        ("", None),
        ("s", None),
        ("400x", None),
        ("400s5", None),
        ("-400", None),
        ("4.5m", None),
        ("1m-", None),
        ("99999999999999999999", None),
        ("18446744073709551615", None),
        ("18446744073709551615d", None),
    ] {
        let seen = with(&[(LABEL_COOLDOWN, text)], |_| {});
        assert_eq!(
            seen.limits.cooldown_ms,
            want_ms.unwrap_or(300_000),
            "{text:?}"
        );
        assert_eq!(
            seen.ignored.len(),
            usize::from(want_ms.is_none()),
            "{text:?}"
        );
    }
}

#[test]
fn counts_are_whole_numbers_of_one_or_more() {
    for bad in ["0", "-1", "x", "", "1.5", "4294967296"] {
        let seen = with(&[(LABEL_MAX_PER_WINDOW, bad)], |_| {});
        assert_eq!(seen.limits.max_per_window, 4);
        assert_eq!(
            ignored(&seen),
            [(LABEL_MAX_PER_WINDOW, "not a whole number of 1 or more")]
        );
    }
}

#[test]
fn switches_are_true_or_false_in_usual_words() {
    for (text, want) in [
        ("true", Some(true)),
        ("TRUE", Some(true)),
        ("1", Some(true)),
        ("yes", Some(true)),
        ("on", Some(true)),
        ("false", Some(false)),
        ("0", Some(false)),
        ("No", Some(false)),
        ("off", Some(false)),
        ("", None),
        ("ture", None),
    ] {
        let seen = with(&[(LABEL_DRY_RUN, text)], |_| {});
        assert_eq!(seen.dry_run, want == Some(true), "{text}");
        assert_eq!(seen.ignored.is_empty(), want.is_some(), "{text}");
    }
}

#[test]
fn a_label_does_not_switch_off_a_configured_dry_run_or_protection() {
    let set = |c: &mut Config| {
        c.dry_run = true;
        if let Some(web) = c.targets.get_mut(NAME) {
            web.protected = true;
        }
    };
    let labels = [(LABEL_DRY_RUN, "false"), (LABEL_PROTECT, "false")];
    let seen = with(&labels, set);
    assert!(seen.dry_run && seen.protected);
    assert_eq!(seen.ignored.len(), 2);
    let seen = with(&labels, |c| {
        set(c);
        c.labels_may_loosen = true;
    });
    assert!(!seen.dry_run && !seen.protected);
    assert_eq!(seen.ignored, []);
}

#[test]
fn who_may_be_healed() {
    let unlisted = |c: &mut Config| c.targets.clear();
    let off = |c: &mut Config| {
        if let Some(web) = c.targets.get_mut(NAME) {
            web.enabled = false;
        }
    };
    let off_but_loose = move |c: &mut Config| {
        off(c);
        c.labels_may_loosen = true;
    };
    let listed = |_: &mut Config| {};
    type Change<'a> = &'a dyn Fn(&mut Config);
    let table: [(Change<'_>, Option<&str>, Enabled); 11] = [
        (&listed, None, Enabled::Yes),
        (&listed, Some("true"), Enabled::Yes),
        (&listed, Some("false"), Enabled::ByLabel),
        (&listed, Some("?"), Enabled::Yes),
        (&unlisted, None, Enabled::NotListed),
        (&unlisted, Some("true"), Enabled::Yes),
        (&unlisted, Some("false"), Enabled::ByLabel),
        (&unlisted, Some("?"), Enabled::NotListed),
        (&off, None, Enabled::SwitchedOff),
        (&off, Some("true"), Enabled::SwitchedOff),
        (&off_but_loose, Some("true"), Enabled::Yes),
    ];
    for (i, (change, value, want)) in table.into_iter().enumerate() {
        let label = value.map(|value| (LABEL_ENABLE, value));
        let labels: Vec<_> = label.into_iter().collect();
        assert_eq!(with(&labels, change).enabled, want, "row {i}");
    }
}

#[test]
fn an_ignored_label_is_told_once_per_container_and_value() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let tell = |bench: &mut Bench, facts: &Facts| {
        let intent = bench.new_intent("oom");
        let step = bench.decide(&intent, &found(facts));
        told(&step)
            .iter()
            .filter(|event| matches!(event, Event::LabelIgnored { .. }))
            .count()
    };
    facts.labels.insert(LABEL_COOLDOWN.into(), "soon".into());
    assert_eq!(tell(&mut bench, &facts), 1);
    assert_eq!(tell(&mut bench, &facts), 0);
    facts.labels.insert(LABEL_COOLDOWN.into(), "later".into());
    assert_eq!(tell(&mut bench, &facts), 1);
    assert_eq!(
        bench.matched(&facts).gate,
        Some(Gate::InProgress),
        "and changes nothing"
    );
}
