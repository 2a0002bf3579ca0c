//! Active probes: containers that are really sick, found and healed.

use serde_json::{Value, json};

use super::{assert_started, eventually_restarted};
use crate::support::engine::{Container, Engine, Spec};
use crate::support::healer::Executor;

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

/// A port of loopback that nobody had just now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("it is bound").port()
}

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
    let engine = crate::support::engine::engine()?;
    let container = engine.run(&name, spec);
    let setup = crate::support::healer::Setup::new(engine.socket())
        .target(&container.name)
        .set_for(&container.name, "probes", json!([probe(keys)]));
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
