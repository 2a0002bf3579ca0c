//! The documents against what they describe: links, make targets, settings with
//! their defaults, metrics. What they say in prose only a reader can check.

use std::path::Path;

use out_healer::metrics::{Counter, Gauge};

use crate::support::tools::repository_file;

const DOCUMENTS: [&str; 14] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/benchmarks.md",
    "docs/executor.md",
    "docs/fluent-bit.md",
    "docs/guarantees.md",
    "docs/healing.md",
    "docs/matching.md",
    "docs/notifications.md",
    "docs/protocol.md",
    "docs/rules.md",
    "docs/triggers.md",
];

#[test]
fn links_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for document in DOCUMENTS {
        let directory = root.join(document).parent().expect("a file").to_owned();
        for part in repository_file(document).split("](").skip(1) {
            let link = part.split(')').next().expect("split gives one");
            let path = link.split('#').next().expect("split gives one");
            if path.is_empty() || path.contains("://") {
                continue;
            }
            seen += 1;
            assert!(directory.join(path).exists(), "{document}: {link}");
        }
    }
    assert!(seen > 10, "only {seen} links found");
}

#[test]
fn every_document_is_in_the_list() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for entry in std::fs::read_dir(docs).expect("docs/ is there") {
        let name = entry.expect("an entry").file_name();
        let name = format!("docs/{}", name.to_str().expect("UTF-8"));
        assert!(DOCUMENTS.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn make_targets_that_are_named_exist() {
    let makefile = repository_file("Makefile");
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = repository_file(document);
        let inline = text.split("`make ").skip(1);
        let on_lines = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("make "));
        for rest in inline.chain(on_lines) {
            let target: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            assert!(
                makefile.contains(&format!("\n{target}:")),
                "{document}: make {target}"
            );
            seen += 1;
        }
    }
    assert!(seen > 4, "only {seen} targets found");
}

/// `| `key` | `default` | `VARIABLE` ... |` of README's table.
#[test]
fn settings_have_the_defaults_that_readme_says() {
    let readme = repository_file("README.md");
    let written = repository_file("conf/healer.toml");
    let table: toml::Table = written.parse().expect("TOML");
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| key | default | variable |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 8, "{} rows found", rows.len());
    for row in rows {
        let bare = |cell: &str| cell.trim_matches('`').to_owned();
        let (key, default) = (bare(row[1]), bare(row[2]));
        let mut value = &toml::Value::Table(table.clone());
        for part in key.split('.') {
            value = value.get(part).unwrap_or_else(|| panic!("no key {key}"));
        }
        let shown = value.as_str().map_or(value.to_string(), str::to_owned);
        assert_eq!(shown, default, "{key}");
        for variable in row[3].split(", ").map(bare) {
            assert!(written.contains(&variable), "{key}: {variable}");
        }
    }
}

#[test]
fn every_metric_is_described() {
    let plugin = repository_file("docs/fluent-bit.md");
    let counters = Counter::ALL.map(Counter::name);
    let gauges = Gauge::ALL.map(Gauge::name);
    for name in counters.iter().chain(&gauges) {
        let found = plugin.contains(&format!("`{name}`")) || plugin.contains(&format!("`{name}{{"));
        assert!(found, "docs/fluent-bit.md: {name}");
    }
    let executor = repository_file("docs/executor.md");
    let text = healer::metrics::Metrics::new().encode();
    let described = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE healer_"));
    for name in described.map(|rest| rest.split(' ').next().expect("a name")) {
        assert!(
            executor.contains(&format!("`{name}")),
            "docs/executor.md: {name}"
        );
    }
}

#[test]
fn every_gate_is_described_in_the_order_of_asking() {
    let in_order = |document: &str, from: &str| {
        let text = repository_file(document);
        let (_, mut rest) = text.split_once(from).expect("the part about gates");
        for gate in policy::Gate::ALL {
            let name = format!("`{}`", gate.as_str());
            let place = rest.find(&name);
            let place = place.unwrap_or_else(|| panic!("{document}: {name} is not there, or late"));
            rest = &rest[place + name.len()..];
        }
    };
    in_order("docs/protocol.md", "Gates, in the order");
    in_order("docs/executor.md", "| gate | refuses where");
}

/// What a table says holds a guarantee must be there to hold it.
#[test]
fn tests_that_hold_a_guarantee_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut folders = vec![root.join("tests"), root.join("executor")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                sources += &std::fs::read_to_string(&path).expect("a source file");
            }
        }
    }
    let guarantees = repository_file("docs/guarantees.md");
    let table = guarantees
        .split("## What holds it")
        .nth(1)
        .expect("the table");
    let table = table.split("\n## ").next().expect("split gives one");
    let mut seen = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let tests = row.split(" | ").nth(2).expect("three columns");
        for name in tests.split('`').skip(1).step_by(2) {
            assert!(sources.contains(&format!("fn {name}(")), "no test {name}");
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} tests found");
}
