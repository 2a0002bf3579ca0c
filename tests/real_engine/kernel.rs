//! Kernel lines: a process id that outlives its process, a cgroup's path, and
//! what leads nowhere.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_answer, eventually_restarted, healing, plain};
use crate::support::engine::{Container, Spec, eventually};
use crate::support::healer::{Executor, Setup, at, now};

/// A rule of the kernel's lines whose remedy is a restart.
const RULE: &str = "xid-process";

fn remembering(setup: Setup) -> Setup {
    setup.set("kernel_records", true).with_http()
}

/// The one process in the container beside its main one; its id on the host.
fn worker(container: &Container) -> u32 {
    let main = container.pid();
    eventually("a child of the main process", || {
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"));
        children.expect("the kernel lists them").trim().parse().ok()
    })
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    eventually("its end", || {
        rustix::process::test_kill_process(pid)
            .is_err()
            .then_some(())
    });
}

fn by_pid(pid: u32) -> Value {
    json!({ "pid": pid })
}

#[track_caller]
fn assert_counted(executor: &Executor, found: &str, times: u32) {
    let line = format!("healer_kernel_lookups_total{{found=\"{found}\"}} {times}");
    let (_, page) = executor.http("/metrics");
    assert!(page.lines().any(|l| l == line), "no {line} in\n{page}");
}

/// Waits for a look that has begun from now on.
fn eventually_remembers(executor: &Executor) {
    let count = || {
        let (_, page) = executor.http("/metrics");
        let mut lines = page.lines();
        let line = lines.find_map(|l| l.strip_prefix("healer_process_looks_total "));
        line.and_then(|n| n.parse::<u64>().ok()).expect("counted")
    };
    let before = count();
    // One may be under way already.
    executor.eventually("two looks", |_| (count() >= before + 2).then_some(()));
}

#[test]
fn a_worker_that_died_of_an_xid_leads_to_its_container() {
    let Some((_, executor, container)) = healing("xid", &Spec::app(), remembering) else {
        return;
    };
    let (pid, started) = (worker(&container), container.started_at());
    eventually_remembers(&executor);
    let line = now();
    kill(pid);
    assert_eq!(container.status(), "running", "its main process lives on");

    let older = at(line - Duration::from_secs(3_600), RULE, by_pid(pid));
    assert_answer(&executor.decide(&older), "refused", "unknown-target", "");
    let answer = executor.decide(&at(line, RULE, by_pid(pid)));

    assert_answer(&answer, "restart", "", "");
    eventually_restarted(&container, &started);
    assert_counted(&executor, "memory", 1);
    assert_counted(&executor, "nothing", 1);
    // The one that took its place runs, and needs no memory.
    eventually("the engine's answer", || {
        (executor.state(&container.name) != "in-progress").then_some(())
    });
    executor.send(&at(now(), RULE, by_pid(worker(&container))));
    assert_counted(&executor, "process", 1);
}

#[test]
fn a_process_that_nobody_saw_is_counted_and_told_and_remembering_begins() {
    let Some((_, executor, container)) =
        healing("xid-first", &Spec::app(), |setup| plain(setup).with_http())
    else {
        return;
    };
    let pid = worker(&container);
    let line = now();
    kill(pid);

    let answer = executor.decide(&at(line, RULE, by_pid(pid)));

    assert_answer(&answer, "refused", "unknown-target", "");
    assert_counted(&executor, "nothing", 1);
    executor.eventually_logs(&format!(
        "a kernel line leads to no container: there is no process {pid}"
    ));
    executor.eventually_logs("processes are remembered from now on");
    let (pid, started) = (worker(&container), container.started_at());
    eventually_remembers(&executor);
    kill(pid);
    let answer = executor.decide(&at(now(), RULE, by_pid(pid)));
    assert_answer(&answer, "restart", "", "");
    eventually_restarted(&container, &started);
}

#[test]
fn a_cgroup_that_lost_its_process_leads_to_its_container() {
    let Some((_, executor, container)) =
        healing("oom-kill", &Spec::app(), |setup| plain(setup).with_http())
    else {
        return;
    };
    let started = container.started_at();
    let path = json!({ "cgroup": format!("/docker/{}", container.id) });
    let answer = executor.decide(&at(now(), RULE, path));
    assert_answer(&answer, "restart", "", "");
    eventually_restarted(&container, &started);
    assert_counted(&executor, "cgroup", 1);

    let of_the_host = json!({ "cgroup": "/system.slice/sshd.service" });
    let answer = executor.decide(&at(now(), RULE, of_the_host));
    assert_answer(&answer, "refused", "unknown-target", "");
    assert_counted(&executor, "nothing", 1);
    executor.eventually_logs("its path names no container");
}
