//! Labels of containers that begin with `healer.` and mean nothing: most likely
//! mistyped, so that whoever set them believes in something that is not so.
//!
//! Not here: what labels do (`policy`), and values that they cannot have.

use std::collections::{BTreeMap, BTreeSet};

use policy::LABELS;

use crate::config::nearest;

/// What all of ours begin with.
const PREFIX: &str = "healer.";
/// Most labels remembered as told; beyond it all are told again.
const TOLD_MAX: usize = 4_096;
/// Most labels of one container that are told.
const OF_ONE_MAX: usize = 8;
/// Most characters of a label that are shown.
const SHOWN_CHARS_MAX: usize = 128;

/// Those of a container's labels that nothing knows, each with what to do.
pub(crate) fn unknown(labels: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let ours = labels.range(PREFIX.to_owned()..);
    let ours = ours.map(|(label, _)| label);
    ours.take_while(|label| label.starts_with(PREFIX))
        .filter(|label| !LABELS.contains(&label.as_str()))
        .take(OF_ONE_MAX)
        .map(|label| (shown(label), advice(label)))
        .collect()
}

fn advice(label: &str) -> String {
    match nearest(label, LABELS.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("the labels are {}", LABELS.join(", ")),
    }
}

/// Labels come from outside: nothing that does anything to a terminal.
fn shown(label: &str) -> String {
    let plain = label.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(SHOWN_CHARS_MAX).collect()
}

/// Tells each once for each container, while the executor runs.
#[derive(Debug, Default)]
pub(crate) struct UnknownLabels {
    told: BTreeSet<(String, String)>,
}

impl UnknownLabels {
    /// A container was seen.
    pub(crate) fn see(&mut self, id: &str, name: &str, labels: &BTreeMap<String, String>) {
        for (label, advice) in self.news(id, labels) {
            tracing::warn!(
                target = name,
                label,
                "the container's label {label} is not known and has no effect: {advice}"
            );
        }
    }

    fn news(&mut self, id: &str, labels: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut news = unknown(labels);
        news.retain(|(label, _)| {
            if self.told.len() >= TOLD_MAX {
                self.told.clear();
            }
            self.told.insert((id.to_owned(), label.clone()))
        });
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> BTreeMap<String, String> {
        let pair = |name: &&str| ((*name).to_owned(), "x".to_owned());
        names.iter().map(pair).collect()
    }

    #[test]
    fn what_is_mistyped_is_told_with_what_was_meant() {
        let found = unknown(&labels(&[
            "healer.cooldwn",
            "healer.cooldown",
            "healer.enabel",
            "healer.something-else-altogether",
            "healers.own",
            "com.docker.compose.project",
        ]));
        let found: Vec<(&str, &str)> = found.iter().map(|(l, a)| (&**l, &**a)).collect();
        assert_eq!(
            found[0],
            ("healer.cooldwn", "did you mean healer.cooldown?")
        );
        assert_eq!(found[1], ("healer.enabel", "did you mean healer.enable?"));
        assert_eq!(found[2].0, "healer.something-else-altogether");
        assert!(found[2].1.starts_with("the labels are healer.enable, "));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn each_is_told_once_for_each_container() {
        let mut unknown = UnknownLabels::default();
        let typo = labels(&["healer.cooldwn"]);
        assert_eq!(unknown.news("a", &typo).len(), 1);
        assert_eq!(unknown.news("a", &typo).len(), 0);
        assert_eq!(unknown.news("b", &typo).len(), 1);
        for n in 0..TOLD_MAX {
            unknown.news(&n.to_string(), &typo);
        }
        assert!(unknown.told.len() <= TOLD_MAX);
    }

    #[test]
    fn a_container_with_many_tells_a_few_and_nothing_that_moves_a_cursor() {
        let many: Vec<String> = (0..100)
            .map(|n| format!("healer.x{n:03}\u{1b}[2J"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = unknown(&labels(&many));
        assert_eq!(found.len(), OF_ONE_MAX);
        assert!(!found[0].0.contains('\u{1b}'), "{:?}", found[0]);
    }
}
