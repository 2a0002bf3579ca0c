//! The executor away, killed, hung or out of its mind, and Fluent Bit killed:
//! the other output flows on, no intent is lost, none restarts twice.

use std::time::{Duration, Instant};

use executor_api::Decision;

use super::{OOM, Stack, is_soak};
use crate::support::executor::{Executor as Scripted, Manner};
use crate::support::shipped::{FluentBit, Setup};

#[test]
fn matches_while_the_executor_is_away_heal_each_target_once() {
    let Some(mut stack) = Stack::start(&["app-a", "app-b", "app-c", "app-d"]) else {
        return;
    };
    let away = Duration::from_secs(if is_soak() { 30 } else { 5 });
    let ids = stack.ids.clone();
    stack.fluent_bit.assert_flowing(&ids[0]);
    assert!(stack.executor.stop().success());

    let (start, mut lines) = (Instant::now(), 1);
    while start.elapsed() < away {
        for id in &ids {
            stack.fluent_bit.print(id, OOM);
        }
        stack.fluent_bit.assert_flowing(&ids[0]);
        lines += ids.len() + 1;
    }
    assert_eq!(stack.restarts(), [0; 4]);
    let up = "healer_plugin_executor_up";
    stack.fluent_bit.eventually_counts(up, "", |n| n == 0.0);
    let folded = "healer_plugin_folded_total";
    stack.fluent_bit.eventually_counts(folded, "", |n| n > 0.0);

    stack.executor.start_again();
    stack.assert_restarts(lines, 1);
    stack.fluent_bit.eventually_counts(up, "", |n| n == 1.0);
}

#[test]
fn a_kill_of_fluent_bit_while_the_executor_is_away_loses_no_intent() {
    let Some(mut stack) = Stack::not_started(&["app-a", "app-b", "app-c", "app-d"]) else {
        return;
    };
    for round in 1..=if is_soak() { 20 } else { 2 } {
        stack.fluent_bit.start_again();
        let seen = stack.fluent_bit.second_output().matches(OOM).count();
        for id in &stack.ids {
            stack.fluent_bit.print(id, OOM);
        }
        // Each of them has left the input: from here on only the chunk has it.
        stack.fluent_bit.eventually("the second output", |this| {
            (this.second_output().matches(OOM).count() >= seen + 4).then_some(())
        });
        stack.fluent_bit.kill();
        stack.executor.start_again();
        stack.fluent_bit.start_again();
        stack.assert_restarts(0, round);
        stack.fluent_bit.kill();
        stack.executor.kill();
    }
}

#[test]
fn a_stream_of_matches_through_kills_of_the_executor_heals_everyone() {
    let Some(mut stack) = Stack::start(&["app-a", "app-b", "app-c"]) else {
        return;
    };
    let ids = stack.ids.clone();
    for _ in 0..if is_soak() { 30 } else { 3 } {
        let before = stack.restarts();
        for id in &ids {
            stack.fluent_bit.print(id, OOM);
        }
        stack.executor.kill();
        stack.fluent_bit.assert_flowing(&ids[0]);
        stack.executor.start_again();
        stack.executor.eventually("everyone healed", |_| {
            let now = stack.restarts();
            now.iter()
                .zip(&before)
                .all(|(now, then)| now > then)
                .then_some(())
        });
    }
    stack.fluent_bit.assert_flowing(&ids[0]);
}

/// In the executor's place something that hangs, lies, babbles or hangs up.
#[test]
fn whatever_answers_on_the_socket_the_other_output_flows_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("intents.sock");
    let executor = Scripted::start(&socket, Manner::Hang);
    let setup = Setup::new(&socket).with_a_second_output();
    let Some(mut fluent_bit) = FluentBit::start(setup) else {
        return;
    };
    let manners = [
        Manner::Hang,
        Manner::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Manner::Say(b"{\"v\":1,\"id\":\"another\",\"decision\":\"restart\"}\n".to_vec()),
        Manner::Say([b"\xff\x00{[".as_slice(), &[b'x'; 64 * 1_024]].concat()),
        Manner::CloseAfter(0),
        Manner::Slow(Duration::from_secs(1)),
    ];
    let mut ids = Vec::new();
    for (number, manner) in manners.into_iter().enumerate() {
        executor.behave(manner);
        let id = format!("{number:064x}");
        let contacts = executor.received().len();
        fluent_bit.print(&id, OOM);
        // It was tried, and failed.
        fluent_bit.eventually("an attempt", |_| {
            (executor.received().len() > contacts).then_some(())
        });
        fluent_bit.assert_flowing(&id);
        ids.push(id);
    }
    executor.behave(Manner::Answer(Decision::Noted));
    let undelivered = "healer_plugin_undelivered_total";
    let tries = fluent_bit.eventually_counts(undelivered, "", |n| n > 0.0);
    assert!(tries < 1_000.0, "{tries} tries: it does not hold back");

    let answered = "answer=\"noted\"";
    #[allow(clippy::cast_precision_loss)]
    let all = ids.len() as f64;
    fluent_bit.eventually_counts("healer_plugin_intents_total", answered, |n| n >= all);
    let received = executor.received();
    for id in ids {
        let target = executor_api::TargetRef::Id(id);
        assert!(received.iter().any(|intent| intent.target == target));
    }
    assert!(fluent_bit.stop().success());
}
