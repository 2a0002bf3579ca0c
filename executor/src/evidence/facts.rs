//! From the engine's inspect and stats to what a bundle keeps of them. Pure.
//!
//! An engine may leave out or misname anything: what is not there, or not what
//! it should be, is left out here, too. Never kept: values of the environment,
//! labels, and anything that is not named below.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mask::Mask;
use super::output::printed;
use super::text::{cut, plain};

/// Longest single text of the inspect, bytes.
const WORD_BYTES_MAX: usize = 256;
/// Longest output of one health check, bytes.
const OUTPUT_BYTES_MAX: usize = 1024;
/// Newest health checks that are kept; the engine keeps 5.
const CHECKS_MAX: usize = 5;
/// Most bytes of each list: command line, names, mounts, devices.
const LIST_BYTES_MAX: usize = 3 * 1024;
/// What an item takes in a file beside its text.
const ITEM_BYTES: usize = 16;

/// The container as it was before the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Container {
    image: Option<String>,
    created: Option<String>,
    state: State,
    restart_count: Option<i64>,
    restart_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_retries_max: Option<i64>,
    command: List,
    /// Names alone.
    environment: List,
    memory_limit_bytes: Option<i64>,
    shm_bytes: Option<i64>,
    gpus: List,
    devices: List,
    /// Where they are inside the container.
    mounts: List,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    status: Option<String>,
    started_at: Option<String>,
    pid: Option<i64>,
    oom_killed: Option<bool>,
    exit_code: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Health {
    status: Option<String>,
    failing_streak: Option<i64>,
    checks: Vec<Check>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Check {
    start: Option<String>,
    end: Option<String>,
    exit_code: Option<i64>,
    output: String,
}

/// Texts, as many as there is room for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct List {
    #[serde(rename = "first")]
    kept: Vec<String>,
    left_out: usize,
}

/// Memory as it was before the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    usage_bytes: Option<u64>,
    max_usage_bytes: Option<u64>,
    limit_bytes: Option<u64>,
    /// How often the limit was reached (cgroup v1) or led to an oom (v2).
    failures: Option<u64>,
    anonymous_bytes: Option<u64>,
    file_bytes: Option<u64>,
    processes: Option<u64>,
}

/// The container out of its inspect, and what of it has to be masked in texts.
pub(super) fn container(json: &Value) -> (Container, Mask) {
    let environment = || strings(&json["Config"]["Env"]);
    let mask = Mask::knowing(environment());
    let (state, host) = (&json["State"], &json["HostConfig"]);
    let command: Vec<&str> = json["Path"]
        .as_str()
        .into_iter()
        .chain(strings(&json["Args"]))
        .collect();
    let names = environment().map(|entry| entry.split('=').next().unwrap_or_default());
    let container = Container {
        image: word(&json["Config"]["Image"], &mask),
        created: word(&json["Created"], &mask),
        state: State {
            status: word(&state["Status"], &mask),
            started_at: word(&state["StartedAt"], &mask),
            pid: state["Pid"].as_i64(),
            oom_killed: state["OOMKilled"].as_bool(),
            exit_code: state["ExitCode"].as_i64(),
        },
        restart_count: json["RestartCount"].as_i64(),
        restart_policy: word(&host["RestartPolicy"]["Name"], &mask),
        restart_retries_max: host["RestartPolicy"]["MaximumRetryCount"]
            .as_i64()
            .filter(|retries| *retries > 0),
        command: List::of(mask.words(&command).into_iter()),
        environment: List::of(names.map(|name| mask.text(name))),
        memory_limit_bytes: host["Memory"].as_i64(),
        shm_bytes: host["ShmSize"].as_i64(),
        gpus: List::of(items(&host["DeviceRequests"]).map(|gpu| mask.text(&gpu_in_words(gpu)))),
        devices: paths(&host["Devices"], "PathInContainer", &mask),
        mounts: paths(&json["Mounts"], "Destination", &mask),
        health: health(&state["Health"], &mask),
    };
    (container, mask)
}

/// Memory out of the container's stats; none where they tell nothing of it.
pub(super) fn memory(json: &Value) -> Option<Memory> {
    let memory = &json["memory_stats"];
    let detail = |names: [&str; 2]| {
        let mut found = names.iter().map(|name| memory["stats"][name].as_u64());
        found.find_map(|figure| figure)
    };
    let figures = Memory {
        usage_bytes: memory["usage"].as_u64(),
        max_usage_bytes: memory["max_usage"].as_u64(),
        limit_bytes: memory["limit"].as_u64(),
        failures: memory["failcnt"].as_u64(),
        anonymous_bytes: detail(["anon", "rss"]),
        file_bytes: detail(["file", "cache"]),
        processes: json["pids_stats"]["current"].as_u64(),
    };
    figures.usage_bytes.is_some().then_some(figures)
}

fn health(json: &Value, mask: &Mask) -> Option<Health> {
    let status = word(&json["Status"], mask).filter(|status| status != "none")?;
    let all: Vec<&Value> = items(&json["Log"]).collect();
    let newest = &all[all.len().saturating_sub(CHECKS_MAX)..];
    let checks = newest.iter().map(|check| Check {
        start: word(&check["Start"], mask),
        end: word(&check["End"], mask),
        exit_code: check["ExitCode"].as_i64(),
        output: printed(
            check["Output"].as_str().unwrap_or_default(),
            false,
            mask,
            OUTPUT_BYTES_MAX,
        ),
    });
    Some(Health {
        status: Some(status),
        failing_streak: json["FailingStreak"].as_i64(),
        checks: checks.collect(),
    })
}

fn gpu_in_words(json: &Value) -> String {
    let driver = json["Driver"].as_str().filter(|driver| !driver.is_empty());
    let which: Vec<&str> = strings(&json["DeviceIDs"]).collect();
    let which = match (which.is_empty(), json["Count"].as_i64()) {
        (false, _) => which.join(","),
        (true, Some(-1)) => "all".to_owned(),
        (true, count) => format!("{} of them", count.unwrap_or(0)),
    };
    let capabilities: Vec<&str> = items(&json["Capabilities"]).flat_map(strings).collect();
    format!(
        "{}: {which} ({})",
        driver.unwrap_or("any driver"),
        capabilities.join(",")
    )
}

fn paths(list: &Value, field: &str, mask: &Mask) -> List {
    let found = items(list).filter_map(|item| item[field].as_str());
    List::of(found.map(|path| mask.text(path)))
}

fn word(json: &Value, mask: &Mask) -> Option<String> {
    let text = json.as_str().filter(|text| !text.is_empty())?;
    Some(cut(mask.text(&plain(text)), WORD_BYTES_MAX))
}

fn items(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn strings(json: &Value) -> impl Iterator<Item = &str> {
    items(json).filter_map(Value::as_str)
}

impl List {
    /// Of masked texts.
    fn of(texts: impl Iterator<Item = String>) -> Self {
        let mut list = Self::default();
        let mut bytes = 0;
        for text in texts {
            let text = cut(plain(&text).into_owned(), WORD_BYTES_MAX);
            bytes += text.len() + ITEM_BYTES;
            match bytes <= LIST_BYTES_MAX {
                true => list.kept.push(text),
                false => list.left_out += 1,
            }
        }
        list
    }
}

#[cfg(test)]
mod tests;
