//! Whether an application can choose the container: what it prints becomes keys
//! of the record, and the host's own key of that name is not there (any more)
//! to contradict it.
//!
//! With the container's id in the tag it cannot: another in a key is a conflict
//! and not sent. Nor where the host's key is still there: then it is doubled,
//! and not believed. So a finding takes both, something that makes keys of text
//! and something that takes the host's key away (or an input that gives none).
//!
//! Not here: what a parser really emits; one that could is worth a look.

use super::super::finding::Findings;
use super::input::{holds_id_in_tag, may_reach, tag_of};
use super::model::{FluentBit, Kind, Place, Section, Value, may_share};
use super::service::is_on;

/// The host's keys that `Target record` looks at.
const RECORD_KEYS: [&str; 6] = [
    "container_id",
    "container_name",
    "CONTAINER_ID_FULL",
    "CONTAINER_ID",
    "CONTAINER_NAME",
    "kubernetes",
];

/// What a filter, or an input's parser, does to the keys in question.
struct Effect<'c> {
    place: &'c Place,
    what: &'static str,
    /// The host's key may be gone afterwards.
    drops: bool,
    /// One of the application's may be there.
    adds: bool,
}

pub(super) fn check(read: &FluentBit, output: &Section, findings: &mut Findings) {
    let target = match read.value(output, "target") {
        None => "auto".to_owned(),
        Some(Value::Known(target)) => target.to_ascii_lowercase(),
        Some(Value::Depends(_)) => return,
    };
    let path_key = match read.value(output, "path_key") {
        None => "filepath".to_owned(),
        Some(Value::Known(key)) => key,
        Some(Value::Depends(_)) => return,
    };
    let keys: &[&str] = match &*target {
        "auto" => &[&path_key],
        "record" => &RECORD_KEYS,
        _ => return,
    };
    let pattern = match read.value(output, "match") {
        Some(Value::Known(pattern)) => pattern,
        // It may be all.
        _ => "*".to_owned(),
    };
    let inputs = read
        .of_kind(Kind::Input)
        .filter(|input| may_reach(read, input, &pattern));
    for input in inputs {
        let before = findings.0.len();
        if target == "auto" {
            retagged(read, input, &pattern, findings);
        }
        // Retagged by text: nothing worse can be said.
        if findings.0.len() == before {
            chosen(read, input, &pattern, &target, keys, findings);
        }
    }
}

/// A tag made of the record's text names the container that the text names.
fn retagged(read: &FluentBit, input: &Section, pattern: &str, findings: &mut Findings) {
    for (place, tag) in new_tags(read, input, pattern) {
        if tag.replace("$TAG", "").contains('$') {
            findings.fail(
                place,
                format!(
                    "the new tag {tag} is made of the record's text, and with Target auto the \
                     tag names the container: what an application prints chooses it"
                ),
                "make the new tag of words and $TAG only, or keep it from the output by its Match",
            );
        }
    }
}

/// Tags that filters give to an input's records and the output takes.
fn new_tags<'c>(read: &'c FluentBit, input: &Section, pattern: &str) -> Vec<(&'c Place, &'c str)> {
    let rules = filters(read, input)
        .filter(|filter| read.word(filter, "name").as_deref() == Some("rewrite_tag"))
        .flat_map(|filter| filter.properties.iter().filter(|p| p.key == "rule"));
    // KEY REGEX NEW_TAG KEEP
    rules
        .filter_map(|rule| Some((&rule.place, rule.value.split_whitespace().rev().nth(1)?)))
        .filter(|(_, tag)| {
            let shape = tag.find('$').map_or(*tag, |at| &tag[..at]);
            let is_whole = shape.len() == tag.len();
            let shape = format!("{shape}{}", if is_whole { "" } else { "*" });
            may_share(pattern, &shape)
        })
        .collect()
}

fn chosen(
    read: &FluentBit,
    input: &Section,
    pattern: &str,
    target: &str,
    keys: &[&str],
    findings: &mut Findings,
) {
    let keeps_tag = |(_, tag): &(&Place, &str)| tag.contains("$TAG") && !tag.contains("$TAG[");
    let is_auto = target == "auto";
    if is_auto
        && holds_id_in_tag(read, input)
        && new_tags(read, input, pattern).iter().all(keeps_tag)
    {
        return;
    }
    let mut effects: Vec<Effect<'_>> = filters(read, input)
        .filter_map(|filter| effect(read, filter, keys))
        .collect();
    effects.extend(parsed(read, input));
    let gives_key = match read.value(input, "path_key") {
        Some(Value::Known(key)) => !is_auto || key == keys[0],
        Some(Value::Depends(_)) => true,
        None => !is_auto,
    };
    let drops = effects.iter().find(|effect| effect.drops);
    let adds = effects.iter().find(|effect| effect.adds);
    let key = if is_auto { keys[0] } else { "container_id" };
    let (culprit, why) = match (adds, drops) {
        (Some(_), Some(drops)) => (drops, drops.what),
        (Some(adds), None) if !gives_key => (adds, adds.what),
        _ => return,
    };
    findings.warn(
        culprit.place,
        format!(
            "{why}: a {key} in an application's text would be believed by Target {target}, \
             which names any container"
        ),
        if is_auto {
            "keep the id in the tag (tail: Tag docker.*), or let tail's Path_Key stay (Reserve_Data \
             On), or keep the filter from these records by its Match"
        } else {
            "set Reserve_Data On, or keep it away from these records by its Match"
        },
    );
}

/// Filters that an input's records may pass.
fn filters<'c>(read: &'c FluentBit, input: &Section) -> impl Iterator<Item = &'c Section> {
    let tag = tag_of(read, input);
    read.of_kind(Kind::Filter)
        .filter(move |filter| match (read.value(filter, "match"), &tag) {
            (Some(Value::Known(pattern)), Some(tag)) => may_share(&pattern, tag),
            (None, _) => filter.get("match_regex").is_some() || filter.get("match").is_none(),
            _ => true,
        })
}

/// An input that makes keys of what an application wrote.
fn parsed<'c>(read: &FluentBit, input: &'c Section) -> Option<Effect<'c>> {
    let processed = input.get("processors").map(|property| Effect {
        place: &property.place,
        what: "these processors cannot be judged, and may make keys of text or drop the host's",
        drops: true,
        adds: true,
    });
    let parser = input.get("parser").filter(|_| {
        // Docker's own files hold Docker's own keys.
        !matches!(read.value(input, "path"), Some(Value::Known(path)) if path.contains("container"))
            && !matches!(read.value(input, "path"), Some(Value::Depends(_)))
    });
    processed.or(parser.map(|property| Effect {
        place: &property.place,
        what: "this parser makes keys of the text",
        drops: false,
        adds: true,
    }))
}

/// What a filter does to any of these keys; none where it leaves them alone.
fn effect<'c>(read: &FluentBit, filter: &'c Section, keys: &[&str]) -> Option<Effect<'c>> {
    let on = |key: &str| read.word(filter, key).is_some_and(|word| is_on(&word));
    let is_ours = |word: &str| keys.contains(&word);
    let (what, drops, adds) = match &*read.word(filter, "name")? {
        "parser" if on("reserve_data") => ("this filter makes keys of the text", false, true),
        "parser" => ("this filter drops the record's own keys", true, true),
        "nest" if read.word(filter, "operation").as_deref() == Some("lift") => {
            ("this filter lifts keys of the text", false, true)
        }
        "nest" => (
            "this filter nests the host's key",
            nests(filter, keys),
            false,
        ),
        "kubernetes" => {
            let merges = on("merge_log") && filter.get("merge_log_key").is_none();
            ("Merge_Log makes keys of the text", false, merges)
        }
        "modify" => {
            let (drops, adds) = modifies(filter, keys);
            (
                "this filter removes or replaces the host's key",
                drops,
                adds,
            )
        }
        "record_modifier" => {
            let of = |key: &'static str| filter.properties.iter().filter(move |p| p.key == key);
            let mut kept = of("allowlist_key").chain(of("whitelist_key")).peekable();
            let is_cut = kept.peek().is_some() && !kept.any(|p| is_ours(&p.value));
            let is_removed = of("remove_key").any(|p| is_ours(&p.value));
            (
                "this filter drops the host's key",
                is_cut || is_removed,
                false,
            )
        }
        "lua" | "wasm" => (
            "what this filter does cannot be judged, and it may make keys of text or drop the host's",
            true,
            true,
        ),
        _ => return None,
    };
    (drops || adds).then_some(Effect {
        place: &filter.place,
        what,
        drops,
        adds,
    })
}

/// Whether a wildcard of `nest` takes one of these keys.
fn nests(filter: &Section, keys: &[&str]) -> bool {
    let wildcards = filter.properties.iter().filter(|p| p.key == "wildcard");
    wildcards
        .into_iter()
        .any(|p| keys.iter().any(|key| may_share(&p.value, key)))
}

/// What the rules of `modify` do: whether one of these keys may go, and whether
/// one may come from another key.
fn modifies(filter: &Section, keys: &[&str]) -> (bool, bool) {
    let (mut drops, mut adds) = (false, false);
    for rule in &filter.properties {
        let mut words = rule.value.split_whitespace();
        let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (of_first, of_second) = (keys.contains(&first), keys.contains(&second));
        match &*rule.key {
            "remove" => drops |= of_first,
            "remove_wildcard" => drops |= keys.iter().any(|key| key.starts_with(first)),
            "remove_regex" => drops = true,
            "rename" | "copy" => {
                drops |= of_first && rule.key == "rename";
                adds |= of_second;
            }
            "hard_rename" | "hard_copy" => {
                drops |= of_second || (of_first && rule.key == "hard_rename");
                adds |= of_second;
            }
            _ => {}
        }
    }
    (drops, adds)
}
