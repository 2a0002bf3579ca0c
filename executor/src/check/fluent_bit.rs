//! `healer check --fluent-bit FILE`: what a plugin cannot see. Fluent Bit hands
//! a proxy plugin only the keys that it asks for, so a mistyped one is silently
//! nothing; and whether intents outlive a restart is settled by the input's,
//! the service's and the output's keys together.
//!
//! Not here: Fluent Bit's other plugins, and whether it runs.

mod classic;
mod files;
mod filter;
mod input;
mod model;
mod output;
mod progress;
mod service;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::finding::Findings;
use crate::config::Config;
use model::{FluentBit, Kind};

/// Judges a configuration, as seen from this machine.
pub(crate) fn check(path: &Path, config: &Config, findings: &mut Findings) {
    let read = match files::read(path) {
        Ok(read) => read,
        Err(broken) => {
            findings.fail(
                broken.place,
                broken.why,
                "Fluent Bit does not start with this; mend it first",
            );
            return;
        }
    };
    let outputs: Vec<_> = read
        .of_kind(Kind::Output)
        .filter(|section| read.word(section, "name").as_deref() == Some("healer"))
        .collect();
    if outputs.is_empty() {
        findings.fail(
            path.display(),
            "no [OUTPUT] is named healer",
            "add one; conf/fluent-bit.conf shows it",
        );
        return;
    }
    plugins(&read, path, findings);
    service::check(&read, path, findings);
    progress::check(&read, &outputs, config, findings);
    for output in outputs {
        let before = findings.0.len();
        output::check(&read, output, config, findings);
        input::check(&read, output, findings);
        filter::check(&read, output, findings);
        if findings.0.len() == before {
            findings.ok(&output.place, "[OUTPUT] healer is as it should be");
        }
    }
}

/// The plugin's object has to be loaded, under a name that Fluent Bit takes for
/// a proxy plugin.
fn plugins(read: &FluentBit, path: &Path, findings: &mut Findings) {
    let root = path.parent().unwrap_or(Path::new(""));
    let mut named = 0;
    let mut look = |config: &FluentBit| {
        for section in config.of_kind(Kind::Plugins) {
            for property in section.properties.iter().filter(|p| p.key == "path") {
                let file = Path::new(&property.value).file_name();
                let file = file.and_then(|f| f.to_str()).unwrap_or_default();
                if !file.contains("healer") {
                    continue;
                }
                named += 1;
                if file.starts_with("flb-") {
                    findings.fail(
                        &property.place,
                        format!("{file} would be taken for a native plugin of one version"),
                        "name the object out_healer.so",
                    );
                }
            }
        }
    };
    look(read);
    for service in read.of_kind(Kind::Service) {
        for key in ["plugins_file", "plugin_file"] {
            let Some(model::Value::Known(file)) = read.value(service, key) else {
                continue;
            };
            let file = Path::new(&file);
            // As it will be where it is installed; else beside what is checked.
            let beside = root.join(file.file_name().unwrap_or_default());
            if let Ok(plugins) = files::read(&root.join(file)).or_else(|_| files::read(&beside)) {
                look(&plugins);
            }
        }
    }
    if named == 0 {
        findings.warn(
            path.display(),
            "no plugins file that can be read here names out_healer.so",
            "set Plugins_File, or start Fluent Bit with -e /path/to/out_healer.so",
        );
    }
}
