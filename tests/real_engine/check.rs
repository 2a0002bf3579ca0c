//! `healer check` on real containers: what they wait for, and whether what is tried at them
//! can be tried.

use serde_json::{Value, json};

use crate::support::engine::{Container, Spec, engine};
use crate::support::healer::{Executor, Setup, by_id, oom};
use crate::support::ports::free_port;

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

/// Level and text of what is said of a target's probe.
fn probe(executor: &Executor, name: &str, container: &Container) -> (String, String) {
    let found = about(executor, &format!("probe {name} of {}", container.name));
    let [(level, text, _)] = &found[..] else {
        panic!("{name}: {found:?}");
    };
    (level.clone(), text.clone())
}

#[test]
fn each_probe_is_tried_once_and_no_command_is_run() {
    let Some(engine) = engine() else { return };
    let closed = free_port();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let open = listening.local_addr().expect("bound").port();
    let host = engine.run(
        "doctor-host",
        &Spec::app().host_config("NetworkMode", json!("host")),
    );
    let none = engine.run("doctor-none", &Spec::app());
    let stopped = engine.run("doctor-stopped", &Spec::app());
    stopped.stop();
    let touch = ["touch", "/tmp/was-run"];
    let setup = Setup::new(engine.socket())
        .set_for(
            &host.name,
            "probes",
            json!([
                {"name": "open", "type": "tcp", "port": open},
                {"name": "closed", "type": "tcp", "port": closed},
                // It takes connections and never answers.
                {"name": "mute", "type": "http", "port": open, "timeout": "300ms"},
                {"name": "process", "type": "process", "pattern": "^/?.*sh /app"},
                {"name": "other", "type": "process", "pattern": "train.py"},
                {"name": "touch", "type": "exec", "command": touch},
                {"name": "path", "type": "exec", "command": ["/bin/busybox", "true"]},
                {"name": "absent", "type": "exec", "command": ["curl", "-f", "http://localhost"]},
                {"name": "relative", "type": "exec", "command": ["./check"]},
            ]),
        )
        .set_for(
            &none.name,
            "probes",
            json!([{"name": "api", "type": "tcp", "port": open}]),
        )
        .set_for(
            &stopped.name,
            "probes",
            json!([{"name": "api", "type": "tcp", "port": open}]),
        )
        .set_for(
            "nobody-here",
            "probes",
            json!([{"name": "api", "type": "tcp", "port": open}]),
        );
    let mut executor = Executor::start(setup);
    // Only the doctor is left, which fails nothing for it of what is asked here.
    assert!(executor.stop().success());
    host.exec(&["rm", "-f", "/tmp/was-run"]);
    let said = |name: &str| probe(&executor, name, &host);
    let is = |name: &str, level: &str, words: &str| {
        let (was, text) = said(name);
        assert!(was == level && text.contains(words), "{name}: {was} {text}");
    };
    is("open", "ok", "tcp, tried from here: passes");
    is("closed", "warn", "does not pass: connection to 127.0.0.1:");
    is("mute", "warn", "does not pass: no answer within 300 ms");
    is("process", "ok", "process, tried from here: passes");
    is("other", "warn", "does not pass: none of ");
    is(
        "touch",
        "ok",
        "exec: not run by a look; /bin/touch is there",
    );
    is(
        "path",
        "ok",
        "exec: not run by a look; /bin/busybox is there",
    );
    is(
        "absent",
        "warn",
        "exec: \"curl\" is not in the container (/usr/local/sbin/curl, ",
    );
    is(
        "relative",
        "ok",
        "./check is relative and was not looked for",
    );
    let (level, text) = probe(&executor, "api", &none);
    let words = "cannot be tried from here: it has no address of its own: give the probe a host";
    assert!(level == "warn" && text.contains(words), "{text}");
    let (level, text) = probe(&executor, "api", &stopped);
    assert_eq!(
        (&*level, &*text),
        ("warn", "was not tried: the container is exited")
    );
    assert_eq!(about(&executor, "probe api of nobody-here"), []);
    host.exec(&["test", "!", "-e", "/tmp/was-run"]);
}

#[test]
fn what_a_target_sets_in_vain_is_said() {
    let Some(engine) = engine() else { return };
    let always = json!({"Name": "always"});
    let web = engine.run(
        "moot-web",
        &Spec::app().host_config("RestartPolicy", always),
    );
    let mute = engine.run(
        "moot-mute",
        &Spec::app().host_config("LogConfig", json!({"Type": "none"})),
    );
    let setup = Setup::new(engine.socket())
        .set_for(&web.name, "died", "any")
        .set_for(&web.name, "unhealthy_checks", 2)
        .set_for(&mute.name, "silence", json!({"any": true}));
    let executor = Executor::start(setup);
    let said = |container: &Container| {
        let found = about(&executor, &format!("container {}", container.name));
        let texts = found
            .iter()
            .map(|(level, text, _)| format!("{level} {text}"));
        texts.collect::<Vec<_>>()
    };
    assert_eq!(
        said(&web),
        [
            "ok restarted when a rule matches",
            "warn died is set, and its own restart policy (always) brings it back anyway",
            "warn unhealthy_checks is set, and it has no health check",
        ]
    );
    assert_eq!(
        said(&mute)[1],
        "fail silence is to be heard by the engine's log stream, and its log driver is none"
    );
}
