//! Targets that are switched off, by the configuration or a label: what status says of them, and
//! that they are not checked; and names that nobody knows.

use serde_json::json;

use crate::support::engine::{Spec, engine};
use crate::support::healer::{Executor, Setup};
use crate::support::ports::free_port;

fn failing(executor: &Executor, name: &str) -> Option<()> {
    (executor.target(name)["failing"] == json!(["probe-port"])).then_some(())
}

#[test]
fn a_target_that_is_switched_off_says_so_and_is_checked_only_while_it_is_on() {
    let Some(engine) = engine() else {
        return;
    };
    let spec = Spec::app().label("healer.enable", "true");
    let container = engine.run("switched-checked", &spec);
    let spec = Spec::app().label("healer.enable", "false");
    let by_label = engine.run("switched-label", &spec);
    let (name, by_label) = (container.name.as_str(), by_label.name.as_str());
    let probe = json!([{"name": "port", "type": "tcp", "host": "127.0.0.1", "port": free_port(),
        "interval": "1s", "timeout": "500ms", "failures": 2, "start_period": "1s",
        "remedy": "note"}]);
    let setup = Setup::new(engine.socket()).target(name).target(by_label);
    let setup = setup.set_for(name, "probes", probe).with_http();
    let mut executor = Executor::start(setup);
    let series = format!("healer_check_failing{{target=\"{name}\",rule=\"probe-port\"}}");

    executor.eventually("a check that fails in the status", |e| failing(e, name));
    assert_eq!(executor.metric(&series), 1);
    executor.cli(&["status"]).says("failing: probe-port");
    executor.eventually_is(by_label, "off");
    let target = executor.target(by_label);
    assert_eq!(target["blocked_by"], "not-enabled", "{target}");
    assert_eq!(target["next_possible"], json!(null), "{target}");
    let why = "switched off by its label healer.enable=false";
    assert_eq!(target["detail"], why, "{target}");

    executor.reconfigure(|setup| setup.set_for(name, "enabled", false));
    executor.reload();
    let target = executor.target(name);
    assert_eq!(target["state"], "off", "{target}");
    assert_eq!(target["blocked_by"], "not-enabled", "{target}");
    assert_eq!(target["failing"], json!(null), "{target}");
    executor.cli(&["status"]).says("never (not-enabled)");
    let metrics = executor.http("/metrics").1;
    assert!(!metrics.contains(&series), "{metrics}");
    let told = format!("is not run for {name} (switched off in the configuration)");
    executor.eventually_logs(&told);

    // Its label may switch it on now.
    executor.reconfigure(|setup| setup.set("policy.labels_may_loosen", true));
    executor.reload();
    executor.eventually("a check that runs for a label", |e| failing(e, name));
    executor.eventually_is(name, "idle");
    let tighten = |setup: Setup| setup.set("policy.labels_may_loosen", false);
    executor.reconfigure(tighten);
    executor.reload();
    assert_eq!(executor.state(name), "off");
    executor.reconfigure(|setup| setup.set_for(name, "enabled", true));
    executor.reload();
    executor.eventually("a check that runs again", |e| failing(e, name));
    assert_eq!(executor.state(name), "idle");
    assert_eq!(executor.metric(&series), 1);
}

#[test]
fn a_mistyped_name_is_paused_and_told_with_the_one_that_was_meant() {
    let Some(engine) = engine() else {
        return;
    };
    // Known by nothing but its label.
    let spec = Spec::app().label("healer.enable", "true");
    let container = engine.run("mistyped", &spec);
    let name = container.name.as_str();
    let executor = Executor::start(Setup::new(engine.socket()));
    executor.eventually_is(name, "idle");
    let typo = format!("{name}x");

    let pause = executor.cli(&["pause", &typo, "--for", "2h"]);
    assert_eq!(pause.code, Some(0), "{pause:?}");
    pause.says(&format!("Paused '{typo}' for "));
    pause.says(&format!("the name '{typo}' is known now"));
    pause.says(&format!("Did you mean '{name}'?"));
    let resume = executor.cli(&["resume", &typo, "--json"]).json();
    let ended = json!({"target": typo, "known": false, "nearest": name});
    assert_eq!(resume["data"], ended, "{resume}");
    let resume = executor.cli(&["resume", &typo]);
    assert_eq!(resume.code, Some(0), "{resume:?}");
    resume.says(&format!("Did you mean '{name}'?"));

    let pause = executor.cli(&["pause", name, "--for", "2h"]);
    assert!(!pause.stdout.contains("is known now"), "{pause:?}");
}
