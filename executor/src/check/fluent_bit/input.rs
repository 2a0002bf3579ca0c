//! The inputs whose records reach a healer output: whether each record's
//! container can be told by what the host vouches for, and whether lines
//! outlive a restart of Fluent Bit.

use super::super::finding::Findings;
use super::model::{FluentBit, Kind, Section, Value, may_share};
use super::service::is_on;

/// What the sender decides about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Nothing: Fluent Bit reads it itself.
    None,
    /// Its content. The tag is the input's.
    Content,
    /// Its tag too, unless the input sets `Tag`.
    Tag,
    /// Its tag too, whatever the input sets.
    AlwaysTag,
}

pub(super) fn check(read: &FluentBit, output: &Section, findings: &mut Findings) {
    let Some(pattern) = read.value(output, "match") else {
        return;
    };
    let Value::Known(pattern) = pattern else {
        return;
    };
    let target = match read.value(output, "target") {
        None => "auto".to_owned(),
        Some(Value::Known(target)) => target.to_ascii_lowercase(),
        Some(Value::Depends(_)) => return,
    };
    let mut reached = false;
    for input in read.of_kind(Kind::Input) {
        let name = read.word(input, "name").unwrap_or_default();
        if !may_reach(read, input, &pattern) {
            continue;
        }
        reached = true;
        match &*target {
            "auto" => auto(read, input, &name, output, findings),
            "record" => record(read, input, &name, findings),
            "kernel" => kernel(input, &name, findings),
            _ => {}
        }
        durable(read, input, &name, findings);
    }
    if !reached {
        findings.warn(
            &output.place,
            format!("no [INPUT] has a tag that Match {pattern} takes"),
            "give the input of the container logs that Tag, unless a filter rewrites tags",
        );
    }
}

/// Whether records of this input can have a tag that the pattern takes.
pub(super) fn may_reach(read: &FluentBit, input: &Section, pattern: &str) -> bool {
    tag_of(read, input).is_none_or(|tag| may_share(pattern, &tag))
}

/// The tag of an input's records, with `*` for what is not known yet; none where
/// it can be any.
pub(super) fn tag_of(read: &FluentBit, input: &Section) -> Option<String> {
    let name = read.word(input, "name").unwrap_or_default();
    match (read.value(input, "tag"), sender(input, &name)) {
        (Some(Value::Depends(_)), _) | (_, Sender::AlwaysTag) | (None, Sender::Tag) => None,
        // tail puts the path in the place of the *.
        (Some(Value::Known(tag)), _) => Some(tag),
        (None, _) => Some(format!("{name}.0")),
    }
}

/// Whether tail puts a path of Docker's into the tag, and with it the id.
pub(super) fn holds_id_in_tag(read: &FluentBit, input: &Section) -> bool {
    let holds = |key: &str, part: &str| match read.value(input, key) {
        Some(Value::Known(text)) => text.contains(part),
        Some(Value::Depends(_)) => true,
        None => false,
    };
    read.word(input, "name").as_deref() == Some("tail")
        && holds("tag", "*")
        && holds("path", "container")
}

fn sender(input: &Section, name: &str) -> Sender {
    let chosen = |key: &str| input.get(key).is_some();
    match name {
        // The request's path is the tag, even where Tag is set.
        "http" => Sender::AlwaysTag,
        "forward" if chosen("tag_prefix") => Sender::AlwaysTag,
        "opentelemetry" | "splunk" | "elasticsearch" if chosen("tag_key") => Sender::AlwaysTag,
        "forward" | "tcp" | "udp" | "mqtt" | "opentelemetry" | "splunk" | "elasticsearch" => {
            Sender::Tag
        }
        "syslog" | "unix_socket" | "statsd" | "collectd" => Sender::Content,
        _ => Sender::None,
    }
}

fn auto(read: &FluentBit, input: &Section, name: &str, output: &Section, findings: &mut Findings) {
    let about = &input.place;
    match sender(input, name) {
        Sender::AlwaysTag => findings.fail(
            about,
            format!(
                "with Target auto the tag names the container, and the sender of a record \
                 chooses the tag of this {name} input even where Tag is set"
            ),
            "keep this input from the output by another Match, or name the container: Target NAME",
        ),
        Sender::Tag if input.get("tag").is_none() => findings.fail(
            about,
            format!(
                "with Target auto the tag names the container, and the sender of a record \
                 chooses the tag of this {name} input"
            ),
            "set Tag on the input, or name the container: Target NAME",
        ),
        Sender::Tag | Sender::Content => findings.warn(
            about,
            format!(
                "with Target auto whoever may send to this {name} input names the container \
                 by the record's path key"
            ),
            "let nobody send but a forwarder of yours, or name the container: Target NAME",
        ),
        Sender::None => tail(read, input, name, output, findings),
    }
}

/// tail tells the container by its path, in the tag or in a key.
fn tail(read: &FluentBit, input: &Section, name: &str, output: &Section, findings: &mut Findings) {
    let about = &input.place;
    if name != "tail" {
        findings.warn(
            about,
            format!("records of a {name} input hold no path: Target auto finds no container"),
            "use Target record (Docker's fluentd driver, journald, kubernetes) or kernel",
        );
        return;
    }
    let in_tag = read.value(input, "tag").is_some_and(|tag| match tag {
        Value::Known(tag) => tag.contains('*'),
        Value::Depends(_) => true,
    });
    let wanted = match read.value(output, "path_key") {
        Some(Value::Known(key)) => Some(key),
        Some(Value::Depends(_)) => None,
        None => Some("filepath".to_owned()),
    };
    match (read.value(input, "path_key"), wanted) {
        (Some(Value::Known(given)), Some(wanted)) if given != wanted && !in_tag => findings.fail(
            about,
            format!("Path_Key is {given:?} here and {wanted:?} in the output"),
            "give both the same",
        ),
        (None, _) if !in_tag => findings.fail(
            about,
            "neither the tag nor a Path_Key holds the path: no container can be told",
            "set Tag docker.* or Path_Key filepath",
        ),
        _ => {}
    }
}

fn record(read: &FluentBit, input: &Section, name: &str, findings: &mut Findings) {
    let about = &input.place;
    let is_filled = name == "systemd"
        || read
            .of_kind(Kind::Filter)
            .any(|filter| read.word(filter, "name").as_deref() == Some("kubernetes"));
    match sender(input, name) {
        Sender::None if is_filled => {}
        Sender::None => findings.warn(
            about,
            format!(
                "with Target record the input has to write the container's keys, and {name} does \
                 not: none is found, or what an application's text brings"
            ),
            "use Target auto for tail on Docker's files, or put the kubernetes filter before it",
        ),
        _ if name == "forward" && is_private(read, input) => {}
        _ => findings.warn(
            about,
            format!("with Target record whoever may send to this {name} input names the container"),
            "listen on 127.0.0.1 or unix_path, where Docker's fluentd log driver alone sends",
        ),
    }
}

/// On a Unix socket or the loopback address only.
fn is_private(read: &FluentBit, input: &Section) -> bool {
    if input.get("unix_path").is_some() {
        return true;
    }
    matches!(
        read.word(input, "listen").as_deref(),
        Some("127.0.0.1" | "::1" | "localhost")
    )
}

fn kernel(input: &Section, name: &str, findings: &mut Findings) {
    if !matches!(name, "kmsg" | "systemd") {
        findings.fail(
            &input.place,
            format!("Target kernel takes kernel records only, and {name} gives others"),
            "keep this input from the output by another Match, or use Target auto",
        );
    }
}

/// What is read is not lost, and does not come again, over a restart.
fn durable(read: &FluentBit, input: &Section, name: &str, findings: &mut Findings) {
    let about = &input.place;
    let on_disk = read.word(input, "storage.type").as_deref() == Some("filesystem");
    if input.get("storage.type").is_none()
        || (!on_disk && read.word(input, "storage.type").is_some())
    {
        findings.warn(
            about,
            "storage.type is not filesystem: what waits for the executor dies with Fluent Bit",
            "set storage.type filesystem, and storage.path in [SERVICE]",
        );
    }
    if !on_disk && input.get("mem_buf_limit").is_some() {
        findings.warn(
            about,
            "Mem_Buf_Limit: when it is reached this input stops for every output",
            "set storage.type filesystem instead",
        );
    }
    if !matches!(name, "tail" | "systemd") {
        return;
    }
    if input.get("db").is_none() {
        findings.warn(
            about,
            "no DB: after a restart of Fluent Bit lines are read again, or missed",
            "set DB to a file that outlives Fluent Bit",
        );
    }
    let long = read.word(input, "skip_long_lines");
    if name == "tail" && !long.is_some_and(|word| is_on(&word)) {
        findings.warn(
            about,
            "Skip_Long_Lines is off: one line beyond Buffer_Max_Size ends the reading of its file",
            "set Skip_Long_Lines On and Buffer_Max_Size 512k",
        );
    }
}
