//! The YAML notation: `service`, `env`, `includes`, `plugins`, `pipeline`.
//! Values are kept as they are written, as Fluent Bit takes them.

use std::path::Path;
use std::rc::Rc;

use saphyr_parser::{Event, Parser};

use super::files::Files;
use super::model::{Broken, Kind, Place, Property, Section, normal_key};

/// Deepest nesting. Fluent Bit's own structure needs ten levels.
const DEPTH_MAX: usize = 64;

/// A node, with the line that it begins on.
struct Node {
    line: usize,
    data: Data,
}

enum Data {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A list or map that is still being read.
struct Open {
    node: Node,
    /// In a map: the key whose value comes next.
    key: Option<String>,
}

pub(super) fn read(files: &mut Files, file: &Rc<Path>, text: &str) -> Result<(), Broken> {
    let Some(root) = parse(file, text)? else {
        return Ok(());
    };
    for (name, node) in entries(&root) {
        match (name.to_ascii_lowercase().as_str(), &node.data) {
            ("env", Data::Map(variables)) => {
                for (variable, value) in variables {
                    // Other forms read files at run time; what they hold is not known.
                    if let Data::Text(value) = &value.data {
                        files
                            .config
                            .variables
                            .insert(variable.clone(), value.clone());
                    }
                }
            }
            ("includes", Data::List(paths)) => {
                for path in paths {
                    if let Data::Text(text) = &path.data {
                        files.include(text, &format!("{}:{}", file.display(), path.line))?;
                    }
                }
            }
            ("service", Data::Map(_)) => {
                let section = section(file, Kind::Service, node);
                files.config.sections.push(section);
            }
            ("plugins", Data::List(paths)) => {
                for path in paths {
                    files.config.sections.push(plugin(file, path));
                }
            }
            ("pipeline", Data::Map(parts)) => {
                for (part, list) in parts {
                    if let Data::List(instances) = &list.data {
                        let kind = Kind::of(part);
                        let read = instances.iter().map(|node| section(file, kind, node));
                        files.config.sections.extend(read);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn entries(node: &Node) -> &[(String, Node)] {
    match &node.data {
        Data::Map(entries) => entries,
        Data::Text(_) | Data::List(_) => &[],
    }
}

fn section(file: &Rc<Path>, kind: Kind, node: &Node) -> Section {
    let place = |line| Place {
        file: Rc::clone(file),
        line,
    };
    let property = |written: &str, line, value: &str| Property {
        key: normal_key(written, true),
        written: written.to_owned(),
        value: value.trim().to_owned(),
        place: place(line),
    };
    // Nested ones are not ours to judge, but an input's processors may change its keys.
    let properties = entries(node)
        .iter()
        .filter_map(|(written, value)| match &value.data {
            Data::Text(text) => Some(property(written, value.line, text)),
            _ if kind == Kind::Input && written == "processors" => {
                Some(property(written, value.line, ""))
            }
            Data::List(_) | Data::Map(_) => None,
        })
        .collect();
    Section {
        kind,
        place: place(node.line),
        properties,
    }
}

/// `plugins:` lists paths, where the classic notation has `Path` keys.
fn plugin(file: &Rc<Path>, path: &Node) -> Section {
    let place = Place {
        file: Rc::clone(file),
        line: path.line,
    };
    let text = match &path.data {
        Data::Text(text) => text.clone(),
        Data::List(_) | Data::Map(_) => String::new(),
    };
    let property = Property {
        key: "path".to_owned(),
        written: "path".to_owned(),
        value: text,
        place: place.clone(),
    };
    Section {
        kind: Kind::Plugins,
        place,
        properties: vec![property],
    }
}

/// The first document; none where there is nothing in it.
fn parse(file: &Rc<Path>, text: &str) -> Result<Option<Node>, Broken> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| Broken {
            place: format!("{}:{}", file.display(), e.marker().line()),
            why: e.info().to_owned(),
        })?;
        let line = span.start.line();
        let broken = |why: &str| Broken {
            place: format!("{}:{line}", file.display()),
            why: why.to_owned(),
        };
        let data = match event {
            Event::MappingStart(..) => Data::Map(Vec::new()),
            Event::SequenceStart(..) => Data::List(Vec::new()),
            Event::Scalar(text, ..) => Data::Text(text.into_owned()),
            Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                Some(done) => match put(&mut open, done.node) {
                    Some(root) => return Ok(Some(root)),
                    None => continue,
                },
                None => continue,
            },
            Event::Alias(_) => return Err(broken("Fluent Bit knows no YAML aliases")),
            _ => continue,
        };
        let node = Node { line, data };
        if matches!(node.data, Data::Text(_)) {
            if let Some(Open {
                node: Node {
                    data: Data::Map(_), ..
                },
                key: key @ None,
            }) = open.last_mut()
                && let Data::Text(text) = node.data
            {
                *key = Some(text);
                continue;
            }
            if let Some(root) = put(&mut open, node) {
                return Ok(Some(root));
            }
        } else if open.len() == DEPTH_MAX {
            return Err(broken(&format!("is nested more than {DEPTH_MAX} deep")));
        } else {
            open.push(Open { node, key: None });
        }
    }
    Ok(None)
}

/// Puts a finished node into the one around it; gives it back where it is the root.
fn put(open: &mut [Open], node: Node) -> Option<Node> {
    let Some(around) = open.last_mut() else {
        return Some(node);
    };
    match &mut around.node.data {
        Data::List(list) => list.push(node),
        // A key that is itself a list or map names nothing in Fluent Bit.
        Data::Map(map) => map.push((around.key.take().unwrap_or_default(), node)),
        Data::Text(_) => {}
    }
    None
}
