//! Targets for which nothing is ever done: what status says of them, and which need no checks.

use crate::testing::*;
use crate::*;

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config();
    change(&mut config);
    config
}

fn target(config: &mut Config) -> &mut TargetConfig {
    config.targets.get_mut(NAME).expect("the bench's own")
}

fn labels(given: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let own = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
    given.iter().map(own).collect()
}

#[test]
fn off_says_what_the_gates_would_and_in_their_order() {
    type Change = fn(&mut Config);
    type Row = (
        Change,
        &'static [(&'static str, &'static str)],
        Option<(Gate, &'static str)>,
    );
    let switched_off = Some((Gate::NotEnabled, "switched off in the configuration"));
    let table: [Row; 9] = [
        (|_| {}, &[], None),
        (|c| target(c).enabled = false, &[], switched_off),
        (
            |c| target(c).enabled = false,
            &[("healer.enable", "true")],
            switched_off,
        ),
        (
            |c| {
                target(c).enabled = false;
                c.labels_may_loosen = true;
            },
            &[("healer.enable", "true")],
            None,
        ),
        (
            |_| {},
            &[("healer.enable", "false")],
            Some((
                Gate::NotEnabled,
                "switched off by its label healer.enable=false",
            )),
        ),
        (
            |c| {
                target(c).enabled = false;
                target(c).protected = true;
            },
            &[],
            Some((
                Gate::Protected,
                "protected, by configuration or label healer.protect",
            )),
        ),
        (
            |_| {},
            &[("healer.protect", "true"), ("io.kubernetes.pod.uid", "1")],
            Some((
                Gate::Protected,
                "protected, by configuration or label healer.protect",
            )),
        ),
        (
            |_| {},
            &[("io.kubernetes.pod.uid", "1")],
            Some((Gate::Orchestrated, "Kubernetes restarts it")),
        ),
        (
            |c| c.targets.clear(),
            &[],
            Some((
                Gate::NotEnabled,
                "neither listed nor labelled healer.enable=true",
            )),
        ),
    ];
    for (i, (change, given, expected)) in table.into_iter().enumerate() {
        let config = with(change);
        let found = off(&config, NAME, &labels(given));
        let found = found.as_ref().map(|off| (off.gate, &*off.why));
        assert_eq!(found, expected, "row {i}");
        // The gates themselves say the same.
        let mut bench = Bench::with(config);
        let facts = Facts {
            labels: labels(given),
            ..facts()
        };
        let gate = bench.matched(&facts).gate;
        assert_eq!(gate, expected.map(|(gate, _)| gate), "row {i}");
    }
}

#[test]
fn only_what_no_label_can_switch_on_is_off_for_good() {
    let gate = |config: &Config| off_for_good(config, NAME).map(|off| off.gate);
    assert_eq!(gate(&config()), None);
    let off = with(|c| target(c).enabled = false);
    assert_eq!(gate(&off), Some(Gate::NotEnabled));
    let protected = with(|c| target(c).protected = true);
    assert_eq!(gate(&protected), Some(Gate::Protected));
    let loose = with(|c| {
        target(c).enabled = false;
        c.labels_may_loosen = true;
    });
    assert_eq!(gate(&loose), None);
    // A label may enable what is not listed.
    assert_eq!(off_for_good(&off, "other"), None);
}

#[test]
fn status_says_off_and_never_of_what_is_switched_off() {
    let bench = Bench::with(with(|c| target(c).enabled = false));
    let status = bench.policy.target_status(bench.now, NAME);
    assert_eq!(status.state, TargetState::Off);
    assert_eq!(
        status.possible,
        Possible {
            gate: Some(Gate::NotEnabled),
            left_ms: None
        }
    );
    let why = status.off.map(|off| off.why).unwrap_or_default();
    assert_eq!(why, "switched off in the configuration");
    let bench = Bench::new();
    let status = bench.policy.target_status(bench.now, NAME);
    assert_eq!((status.state, status.off), (TargetState::Idle, None));
    let other = bench.policy.target_status(bench.now, "other");
    assert_eq!(other.state, TargetState::Idle, "a label may enable it");
}

#[test]
fn labels_that_were_seen_count_where_the_configuration_lets_them() {
    let by_label = off(&config(), NAME, &labels(&[("healer.enable", "false")]));
    let by_label = by_label.expect("it is off");
    let state = |config: Config, labelled| {
        let bench = Bench::with(config);
        bench
            .policy
            .target_status_as(bench.now, NAME, labelled)
            .state
    };
    let off = || with(|c| target(c).enabled = false);
    let loose = || {
        with(|c| {
            target(c).enabled = false;
            c.labels_may_loosen = true;
        })
    };
    assert_eq!(state(config(), Labelled::Off(&by_label)), TargetState::Off);
    assert_eq!(state(config(), Labelled::On), TargetState::Idle);
    assert_eq!(state(loose(), Labelled::On), TargetState::Idle);
    assert_eq!(state(loose(), Labelled::Unseen), TargetState::Off);
    // What was seen before a reload is older than the configuration.
    assert_eq!(state(off(), Labelled::On), TargetState::Off);
}

#[test]
fn what_a_person_has_done_shows_before_it_and_never_goes_on_to_be_said() {
    let mut bench = Bench::with(with(|c| target(c).protected = true));
    let step = bench.policy.handle_pause(bench.now, Some(NAME), None, "");
    bench.take(step);
    let status = bench.policy.target_status(bench.now, NAME);
    assert_eq!(status.state, TargetState::Paused);
    assert_eq!(status.possible.gate, Some(Gate::Protected));
    assert_eq!(status.possible.left_ms, None);
}
