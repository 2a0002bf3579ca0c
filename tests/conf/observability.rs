//! Alert rules and dashboard against the metrics that really exist: every name,
//! label and label value that they go by is on the executor's rendered page or
//! among the plugin's. A metric that is renamed fails here, not in silence.

use std::collections::{BTreeMap, BTreeSet};

use out_healer::metrics::{Counter, Gauge};
use serde_json::Value;

use crate::support::tools::repository_file;

/// A series' labels.
type Labels = BTreeMap<String, String>;

/// Labels that Prometheus itself adds to every series.
const SCRAPED: [&str; 2] = ["instance", "job"];
/// Label values that come from outside: from rules, and from a target's checks.
const OPEN_LABELS: [&str; 3] = ["rule", "le", "name"];

/// Every series that exists from the start, by name.
fn series() -> BTreeMap<String, Vec<Labels>> {
    let mut all: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
    let metrics = healer::metrics::Metrics::new();
    // Notifiers are the configuration's.
    metrics.notify().add("phone");
    let page = metrics.encode();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = pairs(labels.trim_end_matches('}'));
        let labels = labels.into_iter().map(|(key, _, value)| (key, value));
        all.entry(name.to_owned())
            .or_default()
            .push(labels.collect());
    }
    let rules = ["cuda-oom".to_owned()];
    for counter in Counter::ALL {
        for value in counter.labels(&rules) {
            let own = counter.label().map(|label| (label.to_owned(), value));
            let labels = own.into_iter().chain([("name".to_owned(), "x".to_owned())]);
            let name = format!("healer_plugin_{}", counter.name());
            all.entry(name).or_default().push(labels.collect());
        }
    }
    for gauge in Gauge::ALL {
        let name = format!("healer_plugin_{}", gauge.name());
        let labels = Labels::from([("name".to_owned(), "x".to_owned())]);
        all.entry(name).or_default().push(labels);
    }
    all
}

/// `a="b",c=~"d|e"`: label, operator, value.
fn pairs(text: &str) -> Vec<Pair> {
    let mut rest = text.trim();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(['=', '!']).expect("an operator");
        let open = rest.find('"').expect("a value in quotes");
        let close = open + 1 + rest[open + 1..].find('"').expect("its end");
        let part = |text: &str| text.trim().to_owned();
        all.push((
            part(&rest[..end]),
            part(&rest[end..open]),
            rest[open + 1..close].to_owned(),
        ));
        rest = rest[close + 1..].trim_start_matches([',', ' ']);
    }
    all
}

/// A label, how it is compared, and with what.
type Pair = (String, String, String);

/// Every `healer_...` of an expression with its selector.
fn selectors(expression: &str) -> Vec<(String, Vec<Pair>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut all = Vec::new();
    for (at, _) in expression.match_indices("healer_") {
        if expression[..at].ends_with(is_word) {
            continue;
        }
        let rest = &expression[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let selector = behind
            .strip_prefix('{')
            .map(|s| s.split_once('}').expect("its end").0);
        all.push((name.to_owned(), pairs(selector.unwrap_or(""))));
    }
    all
}

/// The labels of `by (...)` and `without (...)`.
fn grouped_by(expression: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in ["by (", "without ("] {
        for part in expression.split(word).skip(1) {
            let list = part.split(')').next().expect("split gives one");
            all.extend(list.split(',').map(|label| label.trim().to_owned()));
        }
    }
    all
}

/// What is wrong with an expression.
fn faults(expression: &str, known: &BTreeMap<String, Vec<Labels>>) -> Vec<String> {
    let mut faults = Vec::new();
    let found = selectors(expression);
    if found.is_empty() && !expression.contains("up{") {
        faults.push(format!("no metric of ours in {expression:?}"));
    }
    let mut labels: BTreeSet<String> = SCRAPED.map(str::to_owned).into();
    for (name, selector) in &found {
        let Some(series) = known.get(name) else {
            faults.push(format!("{name} does not exist"));
            continue;
        };
        labels.extend(series.iter().flat_map(Labels::keys).cloned());
        for (label, operator, value) in selector {
            if SCRAPED.contains(&label.as_str()) {
                continue;
            }
            let values: BTreeSet<&String> = series.iter().filter_map(|s| s.get(label)).collect();
            if values.is_empty() {
                faults.push(format!("{name} has no label {label}"));
            }
            let wanted: Vec<&str> = match operator.as_str() {
                "=" | "!=" => vec![value],
                _ => value.split('|').collect(),
            };
            for one in wanted
                .into_iter()
                .filter(|_| !OPEN_LABELS.contains(&label.as_str()))
            {
                if !values.iter().any(|value| *value == one) {
                    faults.push(format!("{name}: {label} is never {one:?}"));
                }
            }
        }
    }
    for label in grouped_by(expression) {
        if !labels.contains(&label) {
            faults.push(format!("no metric of {expression:?} has the label {label}"));
        }
    }
    faults
}

/// The rules of the file: each one's keys with their texts, folded lines joined.
fn alerts() -> Vec<BTreeMap<String, String>> {
    let text = repository_file("conf/alerts.yml");
    let mut alerts: Vec<BTreeMap<String, String>> = Vec::new();
    let mut key = String::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let line = line.trim();
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        let is_key = |name: &str| {
            [
                "expr",
                "for",
                "severity",
                "summary",
                "description",
                "labels",
                "annotations",
            ]
            .contains(&name)
        };
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push(BTreeMap::from([("alert".to_owned(), name.to_owned())]));
        } else if let Some(alert) = alerts.last_mut() {
            if is_key(name) {
                key = name.to_owned();
                let value = value.trim().trim_start_matches(">-");
                alert.insert(key.clone(), value.to_owned());
            } else if let Some(text) = alert.get_mut(&key) {
                text.push_str(&format!(" {line}"));
            }
        }
    }
    alerts
}

#[test]
fn alerts_go_by_metrics_that_exist() {
    let (known, alerts) = (series(), alerts());
    assert!(alerts.len() >= 12, "only {} alerts found", alerts.len());
    let names: BTreeSet<&String> = alerts.iter().map(|alert| &alert["alert"]).collect();
    assert_eq!(names.len(), alerts.len(), "two alerts of one name");
    let mut wrong = Vec::new();
    for alert in &alerts {
        for key in ["expr", "for", "severity", "summary", "description"] {
            let text = alert.get(key).map_or("", |text| text.trim());
            if text.is_empty() {
                wrong.push(format!("{}: no {key}", alert["alert"]));
            }
        }
        let severity = alert.get("severity").map_or("", |text| text.trim());
        if !["critical", "warning"].contains(&severity) {
            wrong.push(format!("{}: severity {severity:?}", alert["alert"]));
        }
        let expression = alert.get("expr").map_or("", String::as_str);
        let of = |fault: String| format!("{}: {fault}", alert["alert"]);
        wrong.extend(faults(expression, &known).into_iter().map(of));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_dashboard_goes_by_metrics_that_exist() {
    let dashboard: Value =
        serde_json::from_str(&repository_file("conf/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() >= 10, "only {} panels", panels.len());
    let known = series();
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            ids.insert(panel["id"].as_u64().expect("an id")),
            "{title}: its id is another's"
        );
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let expression = target["expr"].as_str().expect("an expression");
            let of = |fault: String| format!("{title}: {fault}");
            wrong.extend(faults(expression, &known).into_iter().map(of));
        }
    }
    for variable in dashboard["templating"]["list"]
        .as_array()
        .expect("variables")
    {
        let query = variable["query"]["query"].as_str().unwrap_or_default();
        for (name, _) in selectors(query) {
            if !known.contains_key(&name) {
                wrong.push(format!(
                    "variable {}: {name} does not exist",
                    variable["name"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Without its `healer_`, as the tables of the documentation have it.
#[test]
fn every_metric_is_documented() {
    let pages = ["executor", "notifications", "fluent-bit"];
    let text: String = pages
        .map(|page| repository_file(&format!("docs/{page}.md")))
        .concat();
    let known = series();
    assert!(known.len() > 50, "only {} metrics", known.len());
    let missing: BTreeSet<&str> = known
        .keys()
        .map(|name| {
            let name = name.trim_start_matches("healer_");
            let name = name.trim_start_matches("plugin_");
            let parts = ["_bucket", "_sum", "_count"];
            let whole = parts.iter().find_map(|part| name.strip_suffix(part));
            whole.unwrap_or(name)
        })
        .filter(|name| {
            let is_there = |end: &str| text.contains(&format!("`{name}{end}"));
            let is_there_in_full = |end: &str| text.contains(&format!("healer_{name}{end}"));
            let ends = ["`", "{"];
            !ends
                .into_iter()
                .any(|end| is_there(end) || is_there_in_full(end))
        })
        .collect();
    assert!(missing.is_empty(), "not in the documentation: {missing:?}");
}

#[test]
fn what_does_not_exist_is_found() {
    let known = series();
    for (expression, fault) in [
        (
            "healer_targets_hold > 0",
            "healer_targets_hold does not exist",
        ),
        (
            "rate(healer_decisions{gate=\"x\"}[5m])",
            "healer_decisions does not exist",
        ),
        (
            "healer_attempts_total{result=\"failed\"}",
            "has no label result",
        ),
        (
            "healer_attempts_total{outcome=~\"failed|lost\"}",
            "outcome is never \"lost\"",
        ),
        (
            "sum by (verdict) (healer_attempts_total)",
            "has the label verdict",
        ),
        (
            "healer_plugin_intents_total{answer=\"maybe\"}",
            "answer is never \"maybe\"",
        ),
        ("vector(1)", "no metric of ours"),
    ] {
        let found = faults(expression, &known).join("\n");
        assert!(found.contains(fault), "{expression}: {found}");
    }
    for expression in [
        "sum by (outcome) (rate(healer_attempts_total{outcome!=\"failed\",job=\"healer\"}[5m]))",
        "histogram_quantile(0.9, sum by (le) (healer_recovery_seconds_bucket{le=\"1.0\"}))",
        "healer_plugin_matches_total{rule=\"my-own\",name=\"healer.0\"}",
        "up{job=\"healer\"} == 0",
    ] {
        assert_eq!(
            faults(expression, &known),
            Vec::<String>::new(),
            "{expression}"
        );
    }
}
