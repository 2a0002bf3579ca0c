//! Active probes: containers that are really sick, found and healed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use super::{assert_started, eventually_restarted, messages, telling};
use crate::support::engine::{Container, Engine, Spec, engine, eventually};
use crate::support::healer::{Executor, Setup};
use crate::support::ports::free_port;

/// Prints `started`, serves `/tmp/www` on this port of loopback until its server is killed.
fn web(port: u16) -> Spec {
    let script = format!(
        "trap 'exit 0' TERM; busybox=/bin/busybox; $busybox mkdir -p /tmp/www; \
         echo fine > /tmp/www/health; $busybox httpd -f -p 127.0.0.1:{port} -h /tmp/www & \
         echo $! > /tmp/pid; echo started; while :; do sleep 3600 & wait $!; done"
    );
    Spec::command(&["sh", "-c", &script]).host_config("NetworkMode", json!("host"))
}

/// Its server is no more, its main process is.
const KILL: &str = "kill $(cat /tmp/pid)";

/// Tries every second; two failures act.
fn probe(mut keys: Value) -> Value {
    for (key, value) in [
        ("interval", json!("1s")),
        ("timeout", json!("500ms")),
        ("failures", json!(2)),
        ("start_period", json!("3s")),
    ] {
        keys.as_object_mut()
            .expect("an object")
            .entry(key)
            .or_insert(value);
    }
    keys
}

/// An executor that tries `probe` on a container.
fn probing(hint: &str, spec: &Spec, keys: Value) -> Option<(&'static Engine, Executor, Container)> {
    let name = format!("probes-{hint}");
    let engine = engine()?;
    let container = engine.run(&name, spec);
    let setup = Setup::new(engine.socket()).target(&container.name).set_for(
        &container.name,
        "probes",
        json!([probe(keys)]),
    );
    let executor = Executor::start(setup.with_http());
    executor.eventually("a first success", |executor| {
        executor.http("/metrics").1.lines().find_map(|line| {
            let (_, count) = line
                .strip_prefix("healer_probes_total")
                .filter(|rest| rest.contains("passed"))?
                .rsplit_once(' ')?;
            (count != "0").then_some(())
        })
    });
    Some((engine, executor, container))
}

/// Made sick by a command inside, it is restarted once and found well.
fn is_healed(hint: &str, spec: &Spec, keys: Value, sickness: &str) {
    let Some((engine, executor, container)) = probing(hint, spec, keys) else {
        return;
    };
    let started_before = container.started_at();
    container.exec(&["sh", "-c", sickness]);
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
}

#[test]
fn an_http_probe_heals_a_server_that_is_gone() {
    let port = free_port();
    let keys = json!({"name": "api", "type": "http", "port": port, "path": "/health"});
    is_healed("gone", &web(port), keys, KILL);
}

#[test]
fn a_tcp_probe_heals_a_port_that_is_closed() {
    let port = free_port();
    let keys = json!({"name": "port", "type": "tcp", "host": "127.0.0.1", "port": port});
    is_healed("closed", &web(port), keys, KILL);
}

#[test]
fn an_http_probe_heals_a_server_that_hangs_and_one_that_says_something_else() {
    let keys = |port: u16| json!({"name": "api", "type": "http", "port": port, "path": "/health", "body": "^fine"});
    let port = free_port();
    is_healed("hung", &web(port), keys(port), "kill -STOP $(cat /tmp/pid)");
    let port = free_port();
    is_healed(
        "other",
        &web(port),
        keys(port),
        "echo broken > /tmp/www/health",
    );
}

#[test]
fn a_process_probe_heals_what_has_lost_its_process() {
    let port = free_port();
    // Its shell has the rest of it in its own command line.
    let pattern = format!("^/bin/busybox httpd -f -p 127.0.0.1:{port}");
    let keys = json!({"name": "server", "type": "process", "pattern": pattern});
    is_healed("process", &web(port), keys, KILL);
}

#[test]
fn what_a_probes_command_prints_is_for_evidence_and_people_and_never_in_the_log() {
    let Some(engine) = engine() else { return };
    let desk = tempfile::tempdir().expect("a directory");
    let file = desk.path().join("told");
    let container = engine.run("probes-output", &Spec::app());
    let line = "if [ -e /sick ]; then rm /sick; touch /tmp/s; fi; \
                if [ -e /tmp/s ]; then echo PROBE-OUTPUT token=planted-1; exit 7; fi";
    let keys =
        json!({"name": "self", "type": "exec", "command": ["sh", "-c", line], "failures": 1});
    let setup = Setup::new(engine.socket()).target(&container.name).set_for(
        &container.name,
        "probes",
        json!([probe(keys)]),
    );
    let executor = Executor::start(telling(setup, &file).with_http());
    container.exec(&["touch", "/sick"]);
    let detected = eventually("it is told", || {
        let told = messages(&file);
        told.into_iter().find(|m| m["step"] == "detected")
    });
    assert_eq!(detected["rule"], "probe-self");
    assert_eq!(detected["sample"], "PROBE-OUTPUT token=[masked]");
    let detail = detected["detail"].as_str().expect("text");
    assert!(detail.contains("exit code 7"), "{detail}");
    let evidence = executor.eventually("named evidence", |it| {
        let named = |entry: Value| entry["evidence"].as_str().map(str::to_owned);
        it.history(&container.name).into_iter().find_map(named)
    });
    let bundle = std::fs::read(evidence).expect("what is named is there");
    let bundle: Value = serde_json::from_slice(&bundle).expect("JSON");
    assert_eq!(bundle["trigger"]["output"], "PROBE-OUTPUT token=[masked]");
    let why = bundle["trigger"]["why"].as_str().expect("text");
    assert!(why.contains("exit code 7"), "{why}");
    assert!(
        !executor.log().contains("PROBE-OUTPUT"),
        "{}",
        executor.log()
    );
}

#[test]
fn an_exec_probe_heals_what_its_command_finds_sick() {
    let script = "trap 'exit 0' TERM; rm -f /sick; echo started; \
                  while :; do sleep 3600 & wait $!; done";
    let keys = json!({"name": "self", "type": "exec", "command": ["test", "!", "-e", "/sick"]});
    is_healed(
        "exec",
        &Spec::command(&["sh", "-c", script]),
        keys,
        "touch /sick",
    );
}

/// Tries `keys` on a container that is well, counts what comes of it, and waits for the words
/// that its failure is told with.
fn fails_with(hint: &str, keys: Value, words: &str) -> Option<(Executor, Container)> {
    let engine = engine()?;
    let container = engine.run(&format!("probes-{hint}"), &Spec::app());
    let mut keys = probe(keys);
    keys["remedy"] = json!("note");
    keys["start_period"] = json!("0s");
    let setup = Setup::new(engine.socket()).target(&container.name).set_for(
        &container.name,
        "probes",
        json!([keys]),
    );
    let executor = Executor::start(setup.with_http());
    executor.eventually_logs(words);
    assert_started(engine, &container, 1);
    Some((executor, container))
}

/// A server on loopback that answers every connection with this, and then as `go_on` does.
fn serve(head: &'static str, go_on: fn(&mut TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut client = client;
            thread::spawn(move || {
                let mut request = [0; 1_024];
                let _read = client.read(&mut request);
                if client.write_all(head.as_bytes()).is_ok() {
                    go_on(&mut client);
                }
            });
        }
    });
    port
}

#[test]
fn a_command_that_never_ends_is_one_and_stays_one() {
    let keys = json!({"name": "self", "type": "exec", "command": ["sleep", "7200"]});
    // The second round finds the first one's command.
    let words = "failed 2 times in a row: the command of an earlier round has still not ended";
    let Some((executor, container)) = fails_with("endless", keys, words) else {
        return;
    };
    two_more_rounds(&executor, "failed");
    assert_eq!(executor.metric("healer_execs_outlived_total"), 1);
    assert_eq!(processes(&container, "sleep 7200"), 1);
}

/// Waits until the probe of a command has been tried twice more, with this result.
fn two_more_rounds(executor: &Executor, result: &str) {
    let series = format!(r#"healer_probes_total{{kind="exec",result="{result}"}}"#);
    let before = executor.metric(&series);
    executor.eventually(&series, |executor| {
        (executor.metric(&series) >= before + 2).then_some(())
    });
}

/// How many of the container's processes have this in their command line.
fn processes(container: &Container, words: &str) -> usize {
    let engine = engine().expect("there is one");
    let top = engine.request("GET", &format!("/containers/{}/top", container.id), None);
    let rows = top["Processes"].as_array().expect("a list").clone();
    rows.iter()
        .filter(|row| row.to_string().contains(words))
        .count()
}

#[test]
fn a_command_that_prints_without_end_is_listened_to_no_longer() {
    let keys = json!({"name": "self", "type": "exec", "interval": "6s", "timeout": "5s", "failures": 1,
        "command": ["/bin/busybox", "yes"]});
    fails_with("flood", keys, "prints without end; it goes on");
}

#[test]
fn a_command_that_is_not_there_is_nobodys_failure() {
    let Some(engine) = engine() else {
        return;
    };
    let container = engine.run("probes-missing", &Spec::app());
    let keys = probe(
        json!({"name": "self", "type": "exec", "command": ["no-such"],
        "failures": 1, "start_period": "0s"}),
    );
    let setup = Setup::new(engine.socket()).target(&container.name).set_for(
        &container.name,
        "probes",
        json!([keys]),
    );
    let executor = Executor::start(setup.with_http());
    executor.eventually_logs("the probe cannot be tried: the command cannot be run there");
    two_more_rounds(&executor, "unable");
    assert_started(engine, &container, 1);
    let log = executor.log();
    assert_eq!(log.matches("cannot be tried").count(), 1, "{log}");
}

#[test]
fn redirects_without_end_are_followed_five_times() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
    let port = serve(head, |_| {});
    let keys = json!({"name": "api", "type": "http", "host": "127.0.0.1", "port": port,
        "redirects": 5});
    fails_with("redirects", keys, "redirects more than 5 times");
}

#[test]
fn a_body_without_end_costs_its_beginning() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
    let port = serve(head, |client| {
        let block = [b'x'; 64 << 10];
        while client.write_all(&block).is_ok() {}
    });
    let keys = json!({"name": "api", "type": "http", "host": "127.0.0.1", "port": port,
        "body": "y"});
    let words = "status 200, and nothing in the body matches";
    let Some((executor, _container)) = fails_with("gigabyte", keys, words) else {
        return;
    };
    let status = std::fs::read_to_string(format!("/proc/{}/status", executor.pid()));
    let peak = status.expect("it runs").lines().find_map(|line| {
        let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        kib.trim().parse::<u64>().ok()
    });
    assert!(peak.expect("a figure") < 64 << 10, "{peak:?} KiB");
}

#[test]
fn a_probe_that_hangs_delays_no_other() {
    let Some(engine) = engine() else {
        return;
    };
    let hanging = serve("", |client| {
        let _until_it_goes = client.read(&mut [0; 16]);
    });
    let well = serve("HTTP/1.1 204 No Content\r\n\r\n", |_| {});
    let container = engine.run("probes-beside", &Spec::app());
    let to = |name: &str, port: u16| {
        probe(
            json!({"name": name, "type": "http", "host": "127.0.0.1", "port": port,
            "timeout": "1s", "remedy": "note"}),
        )
    };
    let probes = json!([to("hangs", hanging), to("well", well)]);
    let setup = Setup::new(engine.socket()).target(&container.name).set_for(
        &container.name,
        "probes",
        probes,
    );
    let executor = Executor::start(setup.with_http());
    executor
        .eventually_logs("http probe 'hangs' failed 2 times in a row: no answer within 1000 ms");
    let series = |result| format!("healer_probes_total{{kind=\"http\",result=\"{result}\"}}");
    let (passed, failed) = (
        executor.metric(&series("passed")),
        executor.metric(&series("failed")),
    );
    assert!(
        passed + 1 >= failed && passed >= 2,
        "{passed} passed, {failed} failed"
    );
}

#[test]
fn a_reload_leaves_unchanged_probes_alone_and_drops_the_others() {
    let port = free_port();
    let keys = json!({"name": "api", "type": "http", "port": port, "path": "/health"});
    let Some((_, mut executor, container)) = probing("reload", &web(port), keys.clone()) else {
        return;
    };
    let name = container.name.clone();
    let failing = |executor: &Executor, rule: &str| {
        let metrics = executor.http("/metrics").1;
        metrics.contains(&format!(
            "healer_check_failing{{target=\"{name}\",rule=\"{rule}\"}}"
        ))
    };
    assert!(failing(&executor, "probe-api"));
    let other = json!({"name": "port", "type": "tcp", "host": "127.0.0.1", "port": port});
    executor.reconfigure(|setup| {
        setup.set_for(
            &name,
            "probes",
            json!([probe(keys.clone()), probe(other.clone())]),
        )
    });
    executor.reload();
    executor.eventually("the other's first verdict", |executor| {
        failing(executor, "probe-port").then_some(())
    });
    executor.reconfigure(|setup| setup.set_for(&name, "probes", json!([probe(other.clone())])));
    executor.reload();
    assert!(!failing(&executor, "probe-api") && failing(&executor, "probe-port"));
    let bad = json!([{"name": "x", "type": "htpp"}]);
    executor.reconfigure(|setup| setup.set_for(&name, "probes", bad));
    executor.signal(rustix::process::Signal::HUP);
    executor.eventually_logs("did you mean http?");
    assert!(failing(&executor, "probe-port"));
}
