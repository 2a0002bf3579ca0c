//! The plugin in a real Fluent Bit: metrics on its own endpoint, its logger,
//! workers, hot reload with a good and a bad setting, and other outputs that
//! keep flowing while the executor is away.

use std::fmt::Write as _;
use std::path::Path;

use executor_api::Decision;

use crate::support::executor::{Executor, Manner};
use crate::support::fluent_bit::{FluentBit, QUICK};

const ID: &str = "a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e0";

/// Lines at a rate, as from a container with this id.
fn dummy(rate: u32) -> String {
    format!(
        "[INPUT]\n    Name dummy\n    Tag docker.{ID}\n    Rate {rate}\n    \
         Dummy {{\"log\":\"RuntimeError: CUDA out of memory\"}}\n"
    )
}

/// A section of ours.
fn healer(settings: &str) -> String {
    format!("[OUTPUT]\n    Name healer\n    Match *\n    Socket {{dir}}/intents.sock\n{settings}")
}

fn lines_of(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[test]
fn intents_metrics_and_log_lines_appear_where_fluent_bits_own_are() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let executor = Executor::start(
        &dir.path().join("intents.sock"),
        Manner::Answer(Decision::Refused),
    );
    let sections = dummy(10) + &healer("") + &healer("    Alias second\n    Target other\n");
    let Some(mut fluent_bit) =
        FluentBit::start("metrics in Fluent Bit", dir.path(), QUICK, &sections)
    else {
        return;
    };
    fluent_bit.wait("refused intents of both sections", |it| {
        ["healer.0", "second"].iter().all(|name| {
            let series =
                format!("healer_plugin_intents_total{{name=\"{name}\",answer=\"refused\"}}");
            it.metric(&series).is_some_and(|count| count >= 3.0)
        })
    });
    for series in [
        "healer_plugin_executor_up{name=\"healer.0\"}",
        "healer_plugin_matches_total{name=\"second\",rule=\"cuda-oom\"}",
        "healer_plugin_bytes_total{name=\"healer.0\"}",
    ] {
        assert!(
            fluent_bit.metric(series).is_some_and(|value| value >= 1.0),
            "{series}"
        );
    }
    for series in [
        "healer_plugin_panics_total{name=\"healer.0\"}",
        "healer_plugin_disabled{name=\"healer.0\"}",
        "healer_plugin_held_intents{name=\"healer.0\"}",
        "healer_plugin_untargeted_total{name=\"healer.0\",reason=\"conflict\"}",
    ] {
        assert_eq!(fluent_bit.metric(series), Some(0.0), "{series}");
    }
    let log = fluent_bit.log();
    assert!(log.contains("[output:healer:healer.0] 1 match of cuda-oom for a5e01e0d66b8: refused"));
    assert!(log.contains("[output:healer:second] 1 match of cuda-oom for other: refused"));
    assert_eq!(fluent_bit.stop().code(), Some(0));
    assert!(executor.received().len() >= 6);
}

#[test]
fn any_number_of_workers_delivers() {
    for workers in [0, 1, 4] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let executor = Executor::start(
            &dir.path().join("intents.sock"),
            Manner::Answer(Decision::Pending),
        );
        let inputs = dummy(50).repeat(3);
        let sections = inputs + &healer(&format!("    Workers {workers}\n"));
        let Some(mut fluent_bit) =
            FluentBit::start("workers in Fluent Bit", dir.path(), QUICK, &sections)
        else {
            return;
        };
        fluent_bit.wait("intents", |_| executor.received().len() >= 30);
        assert_eq!(fluent_bit.stop().code(), Some(0), "workers {workers}");
    }
}

#[test]
fn a_bad_setting_stops_a_cold_start_and_only_disables_in_a_reload() {
    let what = "reloads of Fluent Bit";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let executor = Executor::start(
        &dir.path().join("intents.sock"),
        Manner::Answer(Decision::Pending),
    );
    let other = "[OUTPUT]\n    Name file\n    Match *\n    Path {dir}\n    File other.txt\n";
    let good = dummy(20) + &healer("") + other;
    let bad = dummy(20) + &healer("    Ack_Timeout soon\n") + other;
    let Some(mut fluent_bit) = FluentBit::start(what, dir.path(), QUICK, &good) else {
        return;
    };
    fluent_bit.wait("an intent", |_| !executor.received().is_empty());

    fluent_bit.configure(QUICK, &bad);
    fluent_bit.reload();
    fluent_bit.wait("the gauge", |it| {
        it.metric("healer_plugin_disabled{name=\"healer.0\"}") == Some(1.0)
    });
    assert!(fluent_bit.log().contains("disabled by a bad setting"));
    let written = lines_of(&dir.path().join("other.txt"));
    fluent_bit.wait("the other output to flow on", |it| {
        lines_of(&it.dir().join("other.txt")) > written + 5
    });

    fluent_bit.configure(QUICK, &good);
    for _ in 0..5 {
        fluent_bit.reload();
    }
    let received = executor.received().len();
    fluent_bit.wait("intents after the reloads", |_| {
        executor.received().len() > received
    });
    fluent_bit.wait("the gauge", |it| {
        it.metric("healer_plugin_disabled{name=\"healer.0\"}") == Some(0.0)
    });

    fluent_bit.configure(QUICK, &bad);
    assert_eq!(fluent_bit.stop().code(), Some(0));
    let out = FluentBit::start_expecting_failure(dir.path(), QUICK, &bad);
    assert!(
        out.contains("[output:healer:healer.0] Ack_Timeout \"soon\": "),
        "{out}"
    );
}

#[test]
fn a_storm_without_an_executor_stops_no_other_output() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut sections = String::new();
    for _ in 0..4 {
        sections += &dummy(100);
    }
    write!(
        sections,
        "{}    Retry_Limit no_limits\n[OUTPUT]\n    Name file\n    Match *\n    Path {{dir}}\n    \
         File other.txt\n",
        healer("")
    )
    .expect("a string");
    let service = "Flush 0.02\n    Grace 1\n    Scheduler.Base 1\n    Scheduler.Cap 2";
    let Some(mut fluent_bit) =
        FluentBit::start("a storm in Fluent Bit", dir.path(), service, &sections)
    else {
        return;
    };
    let file = dir.path().join("other.txt");
    fluent_bit.wait("1,500 lines of the other output", |_| {
        lines_of(&file) >= 1_500
    });
    let undelivered = "healer_plugin_undelivered_total{name=\"healer.0\"}";
    let back = fluent_bit.metric(undelivered).expect("the series is there");
    let chunks = fluent_bit.metric("healer_plugin_chunks_total{name=\"healer.0\"}");
    // One pair: one chunk waits, and comes again every second or two.
    assert!(
        (1.0..=60.0).contains(&back),
        "{back} of {chunks:?} chunks went back"
    );

    let executor = Executor::start(
        &dir.path().join("intents.sock"),
        Manner::Answer(Decision::Pending),
    );
    fluent_bit.wait("the executor's being noticed", |it| {
        it.metric("healer_plugin_executor_up{name=\"healer.0\"}") == Some(1.0)
            && it.metric("healer_plugin_held_intents{name=\"healer.0\"}") == Some(0.0)
    });
    let matches: u64 = executor
        .received()
        .iter()
        .map(|intent| intent.matches())
        .sum();
    assert!(matches >= 1_500, "{matches}");
    assert_eq!(fluent_bit.stop().code(), Some(0));
}

#[test]
fn what_filesystem_storage_keeps_is_sent_after_a_kill() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let service = format!("{QUICK}\n    Storage.Path {}/storage", dir.path().display());
    let log = dir.path().join("app.log");
    let sections = "[INPUT]\n    Name tail\n    Path {dir}/app.log\n    Tag app\n    DB {dir}/tail.db\n    \
                    DB.Sync full\n    Refresh_Interval 1\n    Read_From_Head On\n    Storage.Type filesystem\n"
        .to_string()
        + &healer("    Target app\n    Retry_Limit no_limits\n");
    std::fs::write(&log, "one line\nCUDA out of memory\n").expect("written");
    let what = "Fluent Bit killed with filesystem storage";
    let Some(mut fluent_bit) = FluentBit::start(what, dir.path(), &service, &sections) else {
        return;
    };
    fluent_bit.wait("the chunk to go back", |it| {
        it.metric("healer_plugin_undelivered_total{name=\"healer.0\"}")
            .is_some_and(|count| count >= 1.0)
    });
    fluent_bit.kill();

    let executor = Executor::start(
        &dir.path().join("intents.sock"),
        Manner::Answer(Decision::Pending),
    );
    let Some(mut fluent_bit) = FluentBit::start(what, dir.path(), &service, &sections) else {
        return;
    };
    fluent_bit.wait("the intent", |_| !executor.received().is_empty());
    assert_eq!(executor.received()[0].matches(), 1);
    assert_eq!(fluent_bit.stop().code(), Some(0));
}
