//! From a container's line to its restart, on a real engine; and lines that
//! must restart nothing.

use out_healer::pieces::PIECE_BYTES;
use serde_json::{Value, json};

use super::{OOM, Stack};
use crate::support::engine::{Container, Spec, engine};
use crate::support::healer::{Executor, Setup as ExecutorSetup};
use crate::support::shipped::{FluentBit, Setup};

/// Waits until it runs and was started since.
fn eventually_restarted(container: &Container, before: &str) {
    container.eventually("a restart", |state| {
        state["Status"] == "running" && state["StartedAt"] != *before
    });
}

#[test]
fn a_container_prints_the_line_and_is_restarted_and_the_records_say_so() {
    let Some(engine) = engine() else { return };
    let container = engine.run("tailed", &Spec::app());
    let name = &container.name;
    let setup = ExecutorSetup::new(engine.socket()).target(name);
    let executor = Executor::start(setup.with_http());
    let socket = executor.path("intents/intents.sock");
    let Some(mut fluent_bit) = FluentBit::start(Setup::new(&socket).tailing(&container.log_path()))
    else {
        return;
    };
    let before = container.started_at();

    container.print(OOM);

    eventually_restarted(&container, &before);
    executor.eventually_tells(name, "recovered");
    let last: Value = serde_json::from_str(&executor.report("last_restart.json")).expect("JSON");
    assert_eq!(last["target"], *name, "{last}");
    assert_eq!(last["container_id"], container.id[..12], "{last}");
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
    let marker = format!("restart-{name}-{}.marker", last["timestamp"]);
    assert!(executor.reports().contains(&marker), "no {marker}");

    let cuda = "rule=\"cuda-oom\"";
    fluent_bit.eventually_counts("healer_plugin_matches_total", cuda, |n| n == 1.0);
    fluent_bit.eventually_counts("healer_plugin_intents_total", "", |n| n == 1.0);
    fluent_bit.eventually_counts("healer_plugin_executor_up", "", |n| n == 1.0);
    fluent_bit.eventually("its health", |this| {
        (this.get("/api/v1/health")?.trim() == "ok").then_some(())
    });
    let (_, metrics) = executor.http("/metrics");
    assert!(
        metrics.contains("healer_intents_received_total 1"),
        "{metrics}"
    );
}

/// A line of 20 KB in which Docker cuts every word of the failure, and one in
/// which the cut leaves letters of two bytes in halves.
#[test]
fn a_line_that_docker_cuts_restarts_its_container() {
    let Some(engine) = engine() else { return };
    let container = engine.run("cut", &Spec::app());
    let setup = ExecutorSetup::new(engine.socket()).target(&container.name);
    let executor = Executor::start(setup);
    let socket = executor.path("intents/intents.sock");
    let Some(mut fluent_bit) = FluentBit::start(Setup::new(&socket).tailing(&container.log_path()))
    else {
        return;
    };
    let before = container.started_at();
    let at = OOM.find("out of").expect("it stands there") + 1;
    let ascii = ".".repeat(PIECE_BYTES - 1 - at) + " " + OOM;
    let wide = ".".repeat(PIECE_BYTES - 1) + &"\u{e9}".repeat(PIECE_BYTES / 2 - at / 2 - 1);
    let wide = format!("{wide} {OOM}");

    container.print(&format!("{ascii}{}", ".".repeat(4_000)));

    eventually_restarted(&container, &before);
    let matches = "healer_plugin_matches_total";
    fluent_bit.eventually_counts(matches, "rule=\"cuda-oom\"", |n| n == 1.0);
    container.print(&wide);
    fluent_bit.eventually_counts(matches, "rule=\"cuda-oom\"", |n| n == 2.0);
    fluent_bit.eventually_counts("healer_plugin_joined_lines_total", "", |n| n == 2.0);
}

/// Fields that an application writes into its own text, as a filter that
/// parses the text makes them keys of the record.
#[test]
fn by_dockers_fluentd_driver_a_line_restarts_its_printer_and_a_forged_id_nobody() {
    let Some(engine) = engine() else { return };
    let victim = engine.run("victim", &Spec::app());
    let dir = tempfile::tempdir().expect("a directory");
    let forward = dir.path().join("forward.sock");
    let setup = ExecutorSetup::new(engine.socket()).target(&victim.name);
    let mut executor = Executor::start(setup);
    let socket = executor.path("intents/intents.sock");
    let sections = format!(
        "[INPUT]\n    Name forward\n    Unix_Path {}\n    storage.type filesystem\n\
         [FILTER]\n    Name parser\n    Match app\n    Key_Name log\n    Parser plain_json\n    \
         Reserve_Data On\n\
         [OUTPUT]\n    Name healer\n    Match app\n    Socket {}\n    Target record\n    \
         Workers 1\n    Retry_Limit no_limits\n",
        forward.display(),
        socket.display()
    );
    let setup = Setup::new(&socket)
        .add(&sections)
        .add_parser("[PARSER]\n    Name plain_json\n    Format json");
    let Some(mut fluent_bit) = FluentBit::start(setup) else {
        return;
    };
    let driver = json!({"Type": "fluentd", "Config": {
        "fluentd-address": format!("unix://{}", forward.display()), "tag": "app",
    }});
    let printer = engine.run("printer", &Spec::app().host_config("LogConfig", driver));
    executor.reconfigure(|setup| setup.target(&printer.name));
    executor.reload();
    let (printers_start, victims_start) = (printer.started_at(), victim.started_at());
    let second = "name=\"healer.1\"";

    let forged = json!({"container_id": victim.id, "log": OOM});
    printer.print(&forged.to_string());
    fluent_bit.eventually_counts("healer_plugin_untargeted_total", second, |n| n == 1.0);
    assert_eq!(printer.started_at(), printers_start);

    printer.print(OOM);
    eventually_restarted(&printer, &printers_start);
    executor.eventually_tells(&printer.name, "recovered");
    assert_eq!(
        victim.started_at(),
        victims_start,
        "the forged id was believed"
    );
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
    let matches = "healer_plugin_matches_total";
    fluent_bit.eventually_counts(matches, second, |n| n == 2.0);
}

/// The executor's and Fluent Bit's own logs, as of containers that may be
/// restarted, while another one is healed: neither log holds what they match.
#[test]
fn following_the_healers_own_logs_makes_no_loop() {
    let Some(mut stack) = Stack::not_started(&["app", "healer-itself"]) else {
        return;
    };
    let itself = stack.ids.pop().expect("two containers");
    let logs = format!(
        "[INPUT]\n    Name tail\n    Tag docker.{itself}\n    Path {},{{dir}}/fluent-bit.log\n    \
         Read_from_Head On\n    Refresh_Interval 1\n    storage.type filesystem",
        stack.executor.path("healer.log").display()
    );
    stack.fluent_bit.reconfigure(|setup| setup.add(&logs));
    stack.executor.start_again();
    stack.fluent_bit.start_again();

    for restarts in 1..=3 {
        // What names the rule and quotes the line, if anything does.
        stack.fluent_bit.print(&stack.ids[0], OOM);
        stack.assert_restarts(restarts as usize, restarts);
    }
    let last = "Restart complete.";
    stack.fluent_bit.eventually("the executor's log", |this| {
        (this.second_output().matches(last).count() == 3).then_some(())
    });
    stack.fluent_bit.eventually("its own log", |this| {
        this.second_output()
            .contains("[output:healer:healer.0]")
            .then_some(())
    });

    let matches = "healer_plugin_matches_total";
    stack
        .fluent_bit
        .eventually_counts(matches, "", |n| n == 3.0);
    assert_eq!(stack.engine.with(&itself, |container| container.starts), 0);
}
