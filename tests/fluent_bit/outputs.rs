//! Several outputs with different settings and workers, and kernel records.

use executor_api::{Decision, TargetRef};

use super::{OOM, Stack};
use crate::support::executor::{Executor as Scripted, Manner};
use crate::support::shipped::{FluentBit, Setup, append};

/// One more `[OUTPUT]` of the plugin for the same records.
fn output(socket: &std::path::Path, workers: usize, more: &str) -> String {
    format!(
        "[OUTPUT]\n    Name healer\n    Match docker.*\n    Socket {}\n    Workers {workers}\n    \
         Retry_Limit no_limits\n{more}",
        socket.display()
    )
}

#[test]
fn outputs_with_0_1_and_4_workers_side_by_side_each_see_every_match() {
    let dir = tempfile::tempdir().expect("a directory");
    let sockets = ["one", "none", "four"].map(|name| dir.path().join(name));
    let executors = sockets
        .each_ref()
        .map(|socket| Scripted::start(socket, Manner::Answer(Decision::Noted)));
    let setup = Setup::new(&sockets[0])
        .add(&output(&sockets[1], 0, "    Rules gpu\n"))
        .add(&output(&sockets[2], 4, "    Ack_Timeout 1s\n"))
        .add(&output(&sockets[2], 1, "    Dry_Run on\n"));
    let Some(mut fluent_bit) = FluentBit::start(setup) else {
        return;
    };
    let ids: Vec<String> = (0..16).map(|n| format!("{n:064x}")).collect();
    for id in &ids {
        fluent_bit.print(id, OOM);
        fluent_bit.print(id, "all is well");
    }
    for executor in &executors {
        fluent_bit.eventually("every intent", |_| {
            let received = executor.received();
            let is_there = |id: &String| {
                let target = TargetRef::Id(id.clone());
                received.iter().any(|intent| intent.target == target)
            };
            ids.iter().all(is_there).then_some(())
        });
    }
    for instance in 0..4 {
        let labels = format!("name=\"healer.{instance}\"");
        let matches = "healer_plugin_matches_total";
        fluent_bit.eventually_counts(matches, &labels, |n| n == 16.0);
    }
    let dry = "answer=\"dry-run\"";
    fluent_bit.eventually_counts("healer_plugin_intents_total", dry, |n| n == 16.0);
    for executor in &executors {
        assert_eq!(executor.received().len(), 16);
    }
    assert!(fluent_bit.stop().success());
}

/// A file stands in for the kernel's log: what kmsg puts into `msg`.
#[test]
fn a_kernel_record_restarts_the_container_whose_cgroup_it_names() {
    let Some(mut stack) = Stack::not_started(&["killed", "other"]) else {
        return;
    };
    let kernel = format!(
        "[INPUT]\n    Name tail\n    Tag kernel\n    Path {{dir}}/kmsg\n    Key msg\n    \
         Read_from_Head On\n    Refresh_Interval 1\n\
         [FILTER]\n    Name modify\n    Match kernel\n    Add priority 3\n    Add sequence 1\n\
         [OUTPUT]\n    Name healer\n    Match kernel\n    Socket {}\n    Target kernel\n    \
         Workers 1\n    Retry_Limit no_limits\n",
        stack.executor.path("intents/intents.sock").display()
    );
    stack.fluent_bit.reconfigure(|setup| setup.add(&kernel));
    let kmsg = stack.fluent_bit.path("kmsg");
    append(&kmsg, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module");
    stack.executor.start_again();
    stack.fluent_bit.start_again();

    let id = stack.ids[0].clone();
    let record = format!(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=docker-{id}.scope,\
         mems_allowed=0,oom_memcg=/system.slice/docker-{id}.scope,\
         task_memcg=/system.slice/docker-{id}.scope,task=python3,pid=4242,uid=0"
    );
    // Only the kernel's word counts: the same from a container is its text.
    stack.fluent_bit.print(&stack.ids[1], &record);
    stack.fluent_bit.assert_flowing(&stack.ids[1]);
    append(&kmsg, &record);

    stack.executor.eventually_tells("killed", "recovered");
    assert_eq!(stack.restarts(), [1, 0]);
}
