//! Hot reloads: under load, with a bad new setting, and with the executor away.

use std::collections::BTreeSet;

use executor_api::{Decision, TargetRef};

use super::{OOM, Stack, is_soak};
use crate::support::executor::{Executor as Scripted, Manner};
use crate::support::shipped::{FluentBit, Held, Load, Setup};

/// Descriptors that come and go, such as of the connection that asks for them.
const BREATH_DESCRIPTORS: usize = 8;
/// Resident memory that comes and goes.
const BREATH_KIB: u64 = 16 * 1_024;

#[test]
fn reloads_under_load_lose_no_match_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("intents.sock");
    let executor = Scripted::start(&socket, Manner::Answer(Decision::Noted));
    let setup = Setup::new(&socket).with_a_second_output();
    let Some(mut fluent_bit) = FluentBit::start(setup) else {
        return;
    };
    let ids = ["a5", "b6"].map(|byte| byte.repeat(32));
    let load = Load::start(&fluent_bit, &ids, OOM);
    let rounds = if is_soak() { 200 } else { 20 };

    let (before, after) = reload_times(&mut fluent_bit, rounds);
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    assert!(
        after.descriptors <= before.descriptors + BREATH_DESCRIPTORS,
        "{before:?} {after:?}"
    );
    assert!(
        after.resident_kib <= before.resident_kib + BREATH_KIB,
        "{before:?} {after:?}"
    );
    assert_eq!(after.mappings, before.mappings);

    let printed = load.stop();
    fluent_bit.eventually("all matches", |_| {
        let lost = printed.difference(&heard(&executor)).count();
        (lost == 0).then_some(())
    });
    assert!(fluent_bit.stop().success());
}

/// Reloads in both ways in turn; what it holds when every part has been through
/// the motions, and at the end.
fn reload_times(fluent_bit: &mut FluentBit, times: usize) -> (Held, Held) {
    let mut held = Vec::new();
    for _ in 0..times / 2 {
        fluent_bit.reload_by_signal();
        fluent_bit.reload_by_http();
        held.push(fluent_bit.held());
    }
    (held[1], held[held.len() - 1])
}

/// Container and second of every line that the executor was told of.
fn heard(executor: &Scripted) -> BTreeSet<(String, u64)> {
    let mut heard = BTreeSet::new();
    for intent in executor.received() {
        let TargetRef::Id(id) = &intent.target else {
            panic!("{intent:?}");
        };
        heard.extend(intent.times.iter().map(|time| (id.clone(), time.0)));
    }
    heard
}

#[test]
fn a_reload_with_a_bad_setting_disables_the_instance_alone_and_a_good_one_heals_again() {
    let Some(mut stack) = Stack::start(&["app-a"]) else {
        return;
    };
    let id = stack.ids[0].clone();
    let bad = |setup: Setup| {
        setup.edit(
            "    Target                    auto",
            "    Target   kernal of",
        )
    };
    stack.fluent_bit.reconfigure(bad);
    stack.fluent_bit.reload_by_signal();

    let disabled = "healer_plugin_disabled";
    stack
        .fluent_bit
        .eventually_counts(disabled, "", |n| n == 1.0);
    for _ in 0..3 {
        stack.fluent_bit.print(&id, OOM);
        stack.fluent_bit.assert_flowing(&id);
    }
    let refused = "healer_plugin_refused_chunks_total";
    stack
        .fluent_bit
        .eventually_counts(refused, "", |n| n >= 3.0);
    let log = stack.fluent_bit.log();
    let reminders = log.matches("disabled by a bad setting").count();
    assert_eq!(reminders, 1, "once a minute: {log}");
    assert!(log.contains("Target"), "it names the key: {log}");
    assert_eq!(stack.restarts(), [0]);

    stack.fluent_bit.reconfigure(Setup::without_last_edit);
    stack.fluent_bit.reload_by_http();
    stack
        .fluent_bit
        .eventually_counts(disabled, "", |n| n == 0.0);
    stack.fluent_bit.print(&id, OOM);
    stack.assert_restarts(1, 1);
}

#[test]
fn a_reload_while_the_executor_is_away_ends_and_loses_no_match() {
    let Some(mut stack) = Stack::not_started(&["app-a", "app-b"]) else {
        return;
    };
    stack.fluent_bit.start_again();
    let ids = stack.ids.clone();
    // The second line of each is folded: it is handed on in the plugin.
    for _ in 0..2 {
        for id in &ids {
            stack.fluent_bit.print(id, OOM);
        }
        stack.fluent_bit.assert_flowing(&ids[0]);
    }
    let folded = "healer_plugin_folded_total";
    stack.fluent_bit.eventually_counts(folded, "", |n| n >= 2.0);

    stack.fluent_bit.reload_by_signal();

    stack.fluent_bit.assert_flowing(&ids[0]);
    let held = "healer_plugin_held_intents";
    stack.fluent_bit.eventually_counts(held, "", |n| n >= 2.0);
    stack.executor.start_again();
    stack.assert_restarts(0, 1);
}

#[test]
fn a_reload_to_another_socket_says_what_waited_for_the_old_one() {
    let Some(mut stack) = Stack::not_started(&["app-a", "app-b"]) else {
        return;
    };
    stack.fluent_bit.start_again();
    let ids = stack.ids.clone();
    for _ in 0..2 {
        for id in &ids {
            stack.fluent_bit.print(id, OOM);
        }
        stack.fluent_bit.assert_flowing(&ids[0]);
    }
    let folded = "healer_plugin_folded_total";
    stack.fluent_bit.eventually_counts(folded, "", |n| n >= 2.0);

    stack.fluent_bit.reconfigure(|setup| {
        setup.edit(
            "    Socket                    ${HEALER_SOCKET}",
            "    Socket                    ${HEALER_SOCKET}.new",
        )
    });
    stack.fluent_bit.reload_by_signal();
    stack.fluent_bit.assert_flowing(&ids[0]);
    let lost = "healer_plugin_lost_matches_total";
    stack.fluent_bit.eventually_counts(lost, "", |n| n >= 2.0);
    let log = stack.fluent_bit.log();
    for words in [
        "wait for the executor and go to the new configuration's section",
        "are lost: they waited for an executor at",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
}
