//! The classic notation: `[SECTION]`, indented `Key value`, `@SET`, `@INCLUDE`.
//! Read as strictly as Fluent Bit reads it, so that a file which it refuses
//! does not pass here.

use std::path::Path;
use std::rc::Rc;

use super::files::Files;
use super::model::{Broken, Kind, Place, Property, Section, normal_key};

pub(super) fn read(files: &mut Files, file: &Rc<Path>, text: &str) -> Result<(), Broken> {
    // The first indented line sets the indentation of its file.
    let mut indent: Option<&str> = None;
    let mut in_group = false;
    let mut section_open = false;
    for (index, line) in text.lines().enumerate() {
        let place = Place {
            file: Rc::clone(file),
            line: index + 1,
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('@') {
            meta(files, &place, line)?;
        } else if line.starts_with('[') {
            files.config.sections.push(section(&place, line)?);
            in_group = false;
            section_open = true;
        } else {
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            let indent = *indent.get_or_insert(&line[..blanks]);
            if let Some(body) = body(&place, line, indent, &mut in_group)? {
                if body.starts_with('[') {
                    // Groups (processors and the like) are not ours to judge.
                    in_group = true;
                } else if !section_open {
                    return Err(broken(&place, "a key outside any [SECTION]"));
                } else if !in_group && let Some(section) = files.config.sections.last_mut() {
                    section.properties.push(property(place, body)?);
                }
            }
        }
    }
    Ok(())
}

fn broken(place: &Place, why: &str) -> Broken {
    Broken {
        place: place.to_string(),
        why: why.to_owned(),
    }
}

fn meta(files: &mut Files, place: &Place, line: &str) -> Result<(), Broken> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command.to_ascii_lowercase().as_str() {
        "@include" => files.include(rest, &place.to_string()),
        "@set" => match rest.trim().split_once('=') {
            Some((name, value)) => {
                let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                files.config.variables.insert(name, value);
                Ok(())
            }
            // Fluent Bit says so and goes on; the variable stays unknown.
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn section(place: &Place, line: &str) -> Result<Section, Broken> {
    let name = line[1..]
        .split_once(']')
        .ok_or_else(|| broken(place, "[SECTION] without its ]"))?
        .0;
    Ok(Section {
        kind: Kind::of(name),
        place: place.clone(),
        properties: Vec::new(),
    })
}

/// A line without its indentation; none where it is blank or a comment. One
/// level more is a group's, or (Fluent Bit takes that) a key all the same.
fn body<'a>(
    place: &Place,
    line: &'a str,
    indent: &str,
    in_group: &mut bool,
) -> Result<Option<&'a str>, Broken> {
    let body = match line.strip_prefix(indent) {
        Some(body) if !indent.is_empty() => body,
        _ => {
            return Err(broken(
                place,
                "is not indented as the first key of this file is",
            ));
        }
    };
    if body.trim().is_empty() || body.starts_with('#') {
        return Ok(None);
    }
    let deeper = body.starts_with([' ', '\t']);
    *in_group &= deeper;
    let body = match deeper {
        true => body.strip_prefix(indent).unwrap_or(body),
        false => body,
    };
    if body.starts_with([' ', '\t']) {
        return Err(broken(
            place,
            "is indented more than the first key of this file",
        ));
    }
    Ok((!body.starts_with('#')).then_some(body))
}

fn property(place: Place, body: &str) -> Result<Property, Broken> {
    let (key, value) = body.split_once(' ').unwrap_or((body, ""));
    if value.trim().is_empty() {
        return Err(broken(
            &place,
            &format!(
                "{:?} has no value (key and value are parted by a space)",
                key
            ),
        ));
    }
    Ok(Property {
        key: normal_key(key, false),
        written: key.to_owned(),
        value: value.trim().to_owned(),
        place,
    })
}
