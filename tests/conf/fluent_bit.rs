//! conf/fluent-bit.conf, conf/fluent-bit.yaml, conf/fluent-bit.compose.conf,
//! conf/plugins.conf, conf/parsers.conf, and conf/fluentd.conf.

use crate::support::tools::repository_file;

/// A section's name and its settings, in order, keys and names in lower case.
type Section = (String, Vec<(String, String)>);

/// Puts what the two forms write differently the same way.
fn pair(key: &str, value: &str) -> (String, String) {
    let value = value.trim().trim_matches('"');
    let value = match value {
        "On" => "on",
        other => other,
    };
    (key.trim().to_lowercase(), value.to_owned())
}

fn classic(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![("env".into(), Vec::new())];
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(set) = line.strip_prefix("@SET ") {
            let (key, value) = set.split_once('=').expect("@SET KEY=VALUE");
            sections[0].1.push(pair(key, value));
        } else if let Some(name) = line.strip_prefix('[') {
            sections.push((name.trim_end_matches(']').to_lowercase(), Vec::new()));
        } else {
            let (key, value) = line.split_once(char::is_whitespace).expect("KEY VALUE");
            sections.last_mut().expect("one").1.push(pair(key, value));
        }
    }
    sections
}

/// The few forms of YAML that the file uses.
fn yaml(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut list = String::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        match (indent, bare.strip_prefix("- ")) {
            (0, _) => sections.push((bare.trim_end_matches(':').into(), Vec::new())),
            (2, _) if bare.ends_with(':') => list = bare.trim_end_matches("s:").into(),
            (4, Some(first)) => {
                let (key, value) = first.split_once(": ").expect("key: value");
                sections.push((list.clone(), vec![pair(key, value)]));
            }
            _ => {
                let (key, value) = bare.split_once(": ").expect("key: value");
                sections.last_mut().expect("one").1.push(pair(key, value));
            }
        }
    }
    sections.retain(|(name, _)| name != "pipeline");
    sections
}

#[test]
fn both_forms_say_the_same() {
    assert_eq!(
        classic(&repository_file("conf/fluent-bit.conf")),
        yaml(&repository_file("conf/fluent-bit.yaml"))
    );
}

#[test]
fn the_one_for_compose_changes_the_listener_and_nothing_else() {
    let text = repository_file("conf/fluent-bit.compose.conf");
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "@INCLUDE fluent-bit.conf",
            "@SET HEALER_HTTP_LISTEN=0.0.0.0"
        ]
    );
}

#[test]
fn fluentd_sections_are_closed_in_order() {
    let mut open: Vec<&str> = Vec::new();
    let text = repository_file("conf/fluentd.conf");
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if let Some(name) = line.strip_prefix("</") {
            assert_eq!(
                open.pop(),
                Some(name.trim_end_matches('>')),
                "line {}",
                number + 1
            );
        } else if let Some(head) = line.strip_prefix('<') {
            let name = head.trim_end_matches('>').split(' ').next();
            open.push(name.expect("split gives one"));
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn fluentd_answers_where_the_original_did() {
    let text = repository_file("conf/fluentd.conf");
    let monitor = text
        .split("<source>")
        .find(|part| part.contains("@type monitor_agent"))
        .expect("there is a monitor");
    assert!(monitor.contains("bind 127.0.0.1") && monitor.contains("port 24220"));
}
