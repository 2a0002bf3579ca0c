//! Settings of one target that can never take effect, by how its container was made. Pure,
//! but for the reading.
//!
//! Only what the configuration says of that very target: what it has of the defaults is meant
//! for others.

use serde_json::Value;

use super::finding::Findings;
use crate::config::{Config, Died, OutputSource, Watch};
use crate::docker::{Client, Docker as _, Inspected, Reading, always_restarts};

/// Log drivers that every engine can read.
const READABLE: [&str; 3] = ["json-file", "local", "journald"];

pub(super) async fn check(
    config: &Config,
    docker: &Client,
    container: &Inspected,
    findings: &mut Findings,
) {
    let name = &container.name;
    let silence = config
        .checks
        .get(name)
        .and_then(|checks| checks.silence.as_ref());
    let is_heard = silence.is_some_and(|silence| silence.source == OutputSource::Engine);
    if !is_heard && !config.watch.targets.contains_key(name) {
        return;
    }
    let id = container.id.clone();
    let read = docker
        .read(&Reading::Inspect { id }, super::engine::DEADLINE)
        .await;
    // What the engine does not say was said by the look before this one.
    let Some(inspect) = read
        .ok()
        .and_then(|read| serde_json::from_slice::<Value>(&read).ok())
    else {
        return;
    };
    let about = format!("container {name}");
    let host = &inspect["HostConfig"];
    let policy = host["RestartPolicy"]["Name"].as_str().unwrap_or_default();
    for (text, advice) in triggers(&config.watch, name, policy, container.health.is_some()) {
        findings.warn(&about, text, advice);
    }
    let driver = host["LogConfig"]["Type"].as_str().unwrap_or_default();
    match driver {
        "none" if is_heard => findings.fail(
            &about,
            "silence is to be heard by the engine's log stream, and its log driver is none",
            "give it another log driver, and make the container anew",
        ),
        _ if is_heard && !READABLE.contains(&driver) => findings.warn(
            &about,
            format!(
                "silence is to be heard by the engine's log stream, and its log driver is \
                 {driver:?}, which not every engine can read back"
            ),
            "see whether `docker logs` shows its newest lines",
        ),
        _ => {}
    }
}

/// `policy`: the container's own restart policy; empty = no.
fn triggers(
    watch: &Watch,
    name: &str,
    policy: &str,
    has_check: bool,
) -> Vec<(String, &'static str)> {
    let (own, common) = (watch.of(name), &watch.defaults);
    let mut said = Vec::new();
    if own.died != common.died && own.died != Died::Off && always_restarts(policy) {
        said.push((
            format!("died is set, and its own restart policy ({policy}) brings it back anyway"),
            "leave it to Docker (crash_loop_starts tells of loops), or set restart: \"no\"",
        ));
    }
    if own.crash_loop_starts != common.crash_loop_starts
        && own.crash_loop_starts > 0
        && matches!(policy, "" | "no")
    {
        said.push((
            "crash_loop_starts is set, and it has no restart policy of its own that could loop"
                .to_owned(),
            "max_attempts is for the executor's own restarts",
        ));
    }
    if own.unhealthy_checks != common.unhealthy_checks && own.unhealthy_checks > 0 && !has_check {
        said.push((
            "unhealthy_checks is set, and it has no health check".to_owned(),
            "give it a HEALTHCHECK, or a probe",
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_target_itself_sets_has_to_be_able_to_take_effect() {
        let mut watch = Config::default().watch;
        watch.targets.insert("web".into(), watch.defaults);
        let said = |watch: &Watch, policy: &str, has_check| {
            let said = triggers(watch, "web", policy, has_check);
            let first = |text: &String| text.split(' ').next().unwrap_or_default().to_owned();
            said.iter().map(|(text, _)| first(text)).collect::<Vec<_>>()
        };
        // As for all: meant for others.
        assert_eq!(said(&watch, "always", false), [""; 0]);
        let own = watch.targets.get_mut("web").unwrap();
        (own.died, own.crash_loop_starts, own.unhealthy_checks) = (Died::Any, 3, 1);
        for (policy, has_check, expected) in [
            ("always", true, &["died"][..]),
            ("unless-stopped", true, &["died"]),
            ("on-failure", true, &[]),
            ("no", true, &["crash_loop_starts"]),
            ("", true, &["crash_loop_starts"]),
            ("on-failure", false, &["unhealthy_checks"]),
        ] {
            assert_eq!(said(&watch, policy, has_check), expected, "{policy}");
        }
        let own = watch.targets.get_mut("web").unwrap();
        (own.died, own.crash_loop_starts, own.unhealthy_checks) = (Died::Off, 0, 0);
        for policy in ["always", "no"] {
            assert_eq!(said(&watch, policy, false), [""; 0]);
        }
    }
}
