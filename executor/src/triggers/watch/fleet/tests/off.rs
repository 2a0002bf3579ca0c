//! Containers that are named or labelled, and off all the same: kept by name for people.

use policy::Gate;

use super::super::candidates::Candidate;
use super::*;

fn row(n: u8, labels: &[(&str, &str)]) -> Row {
    let pair = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
    Row {
        id: id(n),
        name: format!("c{n}"),
        state: "running".to_owned(),
        health: RowHealth::Unknown,
        labels: labels.iter().map(pair).collect(),
        network_parent: None,
    }
}

fn off(bench: &Bench) -> Vec<(&str, Gate)> {
    let all = bench.fleet.off().iter();
    all.map(|(name, off)| (&**name, off.gate)).collect()
}

#[test]
fn what_its_labels_have_off_is_known_by_name_until_a_list_shows_it_no_more() {
    let mut bench = Bench::new();
    let list = |bench: &mut Bench, rows: &[Row], is_whole| {
        bench.pass(1);
        bench.fleet.list_began(bench.now());
        for row in rows {
            bench.fleet.row(row);
        }
        bench.fleet.list_ended(is_whole);
    };
    let enabled = ("healer.enable", "true");
    let all = [
        row(1, &[enabled]),
        row(2, &[("healer.enable", "false")]),
        row(3, &[enabled, ("healer.protect", "true")]),
        row(4, &[enabled, ("io.kubernetes.pod.name", "x")]),
        row(5, &[]),
    ];
    list(&mut bench, &all, true);
    let expected = [
        ("c2", Gate::NotEnabled),
        ("c3", Gate::Protected),
        ("c4", Gate::Orchestrated),
    ];
    assert_eq!(off(&bench), expected);
    list(&mut bench, &all[..1], false);
    assert_eq!(off(&bench), expected, "a cut list shows nobody gone");
    // Made anew with another label, and gone.
    list(&mut bench, &[row(2, &[enabled]), row(3, &[])], true);
    assert_eq!(off(&bench), []);
}

#[test]
fn what_the_configuration_itself_has_off_is_not_kept_beyond_a_reload() {
    let mut config = Config::default();
    for (name, enabled) in [("c1", false), ("c2", true)] {
        let target = policy::TargetConfig {
            enabled,
            ..config.policy.defaults.clone()
        };
        config.policy.targets.insert(name.to_owned(), target);
    }
    let stands = |n: u8, labels: &[(&str, &str)]| {
        let row = row(n, labels);
        Candidate::of(&config.policy, &row.id, &row.name, &row.labels)
    };
    let label = [("healer.enable", "false")];
    assert_eq!(stands(1, &[]), Candidate::No);
    assert_eq!(stands(1, &label), Candidate::No);
    assert!(matches!(stands(2, &label), Candidate::Off(_)));
    assert_eq!(stands(2, &[]), Candidate::MayBeHealed);
}

#[test]
fn no_more_are_kept_than_are_watched_at_most() {
    let mut names = OffNames::default();
    let off = || Off {
        gate: Gate::Protected,
        why: String::new(),
    };
    for n in 0..=WATCHED_MAX {
        names.see(&n.to_string(), off());
    }
    assert_eq!(names.all().len(), WATCHED_MAX);
    names.see("0", off());
    assert_eq!(names.all().len(), WATCHED_MAX);
}
