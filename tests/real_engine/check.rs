//! `healer check` on real containers: what they wait for, and whether what is tried at them
//! can be tried.

use serde_json::{Value, json};

use crate::support::engine::{Container, Spec, engine};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// Level, text and advice of what is said about something.
fn about(executor: &Executor, about: &str) -> Vec<(String, String, String)> {
    let check = executor.cli(&["check", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&check.stdout).expect("findings");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let of = findings.iter().filter(|finding| finding["about"] == about);
    of.map(|one| (text(one, "level"), text(one, "text"), text(one, "advice")))
        .collect()
}

/// A service of a project of Compose's.
fn service(project: &str, service: &str, depends_on: &str) -> Spec {
    Spec::app()
        .label("com.docker.compose.project", project)
        .label("com.docker.compose.service", service)
        .label("com.docker.compose.depends_on", depends_on)
}

/// Nobody else's: containers of other tests may be there.
fn project(container: &str) -> String {
    format!("check-{container}-{}", std::process::id())
}

#[test]
fn a_circle_of_composes_labels_is_said_once_by_the_doctor_and_once_in_the_log() {
    let Some(engine) = engine() else { return };
    let project = project("circle");
    let web = engine.run(
        "circle-web",
        &service(&project, "web", "db:service_started:true"),
    );
    let db = engine.run(
        "circle-db",
        &service(&project, "db", "web:service_started:true"),
    );
    let setup = Setup::new(engine.socket())
        .target(&web.name)
        .target(&db.name);
    let executor = Executor::start(setup);
    let mut round = [&*db.name, &*web.name];
    round.sort_unstable();
    let circle = format!("{0} needs {1} needs {0}", round[0], round[1]);
    let found = about(&executor, "dependencies");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "warn");
    let words = format!("Compose's depends_on leads round in a circle: {circle};");
    assert!(found[0].1.starts_with(&words), "{found:?}");
    // Neither waits for the other, and that is told.
    for container in [&web, &db] {
        let answer = executor.decide(&oom(by_id(&container.id)));
        assert_eq!(answer["decision"], "restart", "{answer}");
        executor.eventually_tells(&container.name, "recovered");
    }
    assert_eq!(
        executor.log().matches(&circle).count(),
        1,
        "{}",
        executor.log()
    );
}

#[test]
fn parents_that_are_not_there_or_that_nobody_heals_are_said() {
    let Some(engine) = engine() else { return };
    let project = project("parents");
    let depends = "db:service_started:true,cache:service_started:true,gone:service_started:true";
    let db = engine.run("parents-db", &service(&project, "db", ""));
    let cache = engine.run("parents-cache", &service(&project, "cache", ""));
    let net = engine.run("parents-net", &Spec::app());
    let web = engine.run("parents-web", &service(&project, "web", depends));
    let network = json!(format!("container:{}", net.id));
    let sharing = engine.run(
        "parents-sharing",
        &Spec::app().host_config("NetworkMode", network),
    );
    let setup = Setup::new(engine.socket())
        .target(&cache.name)
        .target(&sharing.name)
        .set_for(&web.name, "depends_on", json!(["nobody-here"]));
    let executor = Executor::start(setup);
    let found = about(&executor, "dependencies");
    let is_said = |level: &str, text: String, advice: &str| {
        let said = (level.to_owned(), text, advice.to_owned());
        assert!(found.contains(&said), "{said:?} is not in {found:#?}");
    };
    let list = "list the parent as a target, too (or label it healer.enable=true)";
    let in_vain = |child: &Container, parent: &Container| {
        format!(
            "{} waits for {} while that is not well, and nobody heals that: it is no target",
            child.name, parent.name
        )
    };
    is_said("warn", in_vain(&web, &db), list);
    is_said("warn", in_vain(&sharing, &net), list);
    is_said("ok", format!("{} waits for {}", web.name, cache.name), "");
    is_said(
        "warn",
        format!(
            "{} needs the service gone, which has no container: it is not waited for",
            web.name
        ),
        "docker compose up -d, if it belongs there",
    );
    is_said(
        "warn",
        format!(
            "targets.{}.depends_on names nobody-here, and no container has that name: it is not \
             waited for",
            web.name
        ),
        "correct the name, or create the container",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
    net.remove();
    let found = about(&executor, "dependencies");
    let lost = format!(
        "{} shares the network of a container that is no more",
        sharing.name
    );
    assert!(
        found
            .iter()
            .any(|(level, text, _)| level == "fail" && text.starts_with(&lost)),
        "{found:#?}"
    );
}
