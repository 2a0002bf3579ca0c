//! Who may depend on whom. Anything that is not written here is forbidden; a
//! new arrow is a decision, taken here and in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::{none, root};

/// A package, its manifest, and the packages of ours that its code may use.
const PACKAGES: [(&str, &str, &[&str]); 6] = [
    ("fluent-bit-sys", "plugin/fluent-bit-sys/Cargo.toml", &[]),
    ("executor-api", "executor/api/Cargo.toml", &[]),
    ("policy", "executor/policy/Cargo.toml", &[]),
    ("rules", "rules/Cargo.toml", &[]),
    (
        "out-healer",
        "Cargo.toml",
        &["fluent-bit-sys", "rules", "executor-api"],
    ),
    (
        "healer",
        "executor/Cargo.toml",
        &["executor-api", "policy", "rules"],
    ),
];

/// Those whose tests may use any of ours but the plugin.
const FREE_TESTS: [&str; 2] = ["out-healer", "healer"];

/// What runs inside Fluent Bit is audited by hand: this many packages at most.
const PLUGIN_TREE_MAX: usize = 30;

fn manifest(path: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|e| panic!("{path} cannot be read: {e}"));
    text.parse()
        .unwrap_or_else(|e| panic!("{path} is not TOML: {e}"))
}

/// The names in some tables of a manifest, target-specific ones included.
fn names(manifest: &toml::Table, tables: &[&str]) -> BTreeSet<String> {
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|part| tables.iter().filter_map(|table| part.get(*table)))
        .filter_map(toml::Value::as_table)
        .flat_map(|table| {
            table.iter().map(|(key, value)| {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                renamed.unwrap_or(key).to_owned()
            })
        })
        .collect()
}

/// The names of all packages that code of `package` is linked with.
fn tree(package: &str) -> BTreeSet<String> {
    let out = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", package])
        .args(["-e", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo tree: {out:?}");
    String::from_utf8(out.stdout)
        .expect("package names are UTF-8")
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[test]
fn arrows_point_where_they_may() {
    let ours: BTreeMap<&str, &[&str]> = PACKAGES.iter().map(|p| (p.0, p.2)).collect();
    let mut faults = Vec::new();
    for (name, path, allowed) in PACKAGES {
        let manifest = manifest(path);
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(name),
            "{path} holds another package"
        );
        for used in names(&manifest, &["dependencies", "build-dependencies"]) {
            if ours.contains_key(&*used) && !allowed.contains(&&*used) {
                faults.push(format!("{path}: {name} may not depend on {used}"));
            }
        }
        for used in names(&manifest, &["dev-dependencies"]) {
            let free = FREE_TESTS.contains(&name) && used != "out-healer";
            if ours.contains_key(&*used) && !free {
                faults.push(format!("{path}: {name}'s tests may not depend on {used}"));
            }
        }
    }
    none(faults);
}

#[test]
fn the_workspace_holds_these_packages_and_no_others() {
    let manifest = manifest("Cargo.toml");
    let members: BTreeSet<String> = manifest["workspace"]["members"]
        .as_array()
        .expect("members is a list")
        .iter()
        .map(|m| format!("{}/Cargo.toml", m.as_str().expect("a path")))
        .chain(["Cargo.toml".to_owned()])
        .collect();
    let known: BTreeSet<String> = PACKAGES.iter().map(|p| p.1.to_owned()).collect();
    assert_eq!(members, known);
}

#[test]
fn the_protocol_and_the_policy_stay_pure() {
    let own = |package: &str| {
        let path = PACKAGES.iter().find(|p| p.0 == package).expect("known").1;
        names(&manifest(path), &["dependencies", "build-dependencies"])
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(own("executor-api"), set(&["serde", "serde_json"]));
    assert_eq!(own("policy"), set(&["serde"]));
    assert_eq!(own("fluent-bit-sys"), set(&[]));
}

#[test]
fn what_fluent_bit_loads_stays_short_enough_to_audit() {
    let tree = tree("out-healer");
    // parking_lot's contended path leaves a thread-local destructor behind,
    // which would run after dlclose.
    let kept_out = [
        "tokio",
        "hyper",
        "parking_lot",
        "policy",
        "healer",
        "tracing",
    ];
    for name in kept_out {
        assert!(!tree.contains(name), "{name} is in the plugin: {tree:?}");
    }
    assert!(
        tree.len() <= PLUGIN_TREE_MAX,
        "{} packages in the plugin, at most {PLUGIN_TREE_MAX}: {tree:?}",
        tree.len()
    );
}
