//! The executor on an engine whose stream of events ends, lies, floods or is not to be had: no
//! unhealthy container is missed, nothing grows, nobody is asked without a pause.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::engine::eventually;
use crate::support::fake_engine::{FakeEngine, Fault, now};
use crate::support::healer::{Executor, Setup, by_id, is_optimized, oom, tell};

/// Memory that an executor may take in a debug build, KiB.
const RESIDENT_KIB_MAX: u64 = 40 << 10;

/// An engine with a healthy container that may be healed, and an executor that follows it.
fn following() -> (FakeEngine, Executor, String) {
    let fake = FakeEngine::start();
    let id = fake.add("web");
    health(&fake, &id, "healthy", 0);
    let setup = Setup::new(&fake.socket())
        .target("web")
        .set("defaults.unhealthy_checks", 3)
        .with_http();
    let executor = Executor::start(setup);
    eventually("a stream of events", || {
        (fake.streams_open() > 0).then_some(())
    });
    (fake, executor, id)
}

/// Its health check says so from now on, and no event tells of it.
fn health(fake: &FakeEngine, id: &str, status: &str, failing_streak: u64) {
    let exit_code = i32::from(failing_streak > 0);
    fake.with(id, |container| {
        container.health = Some(json!({
            "Status": status, "FailingStreak": failing_streak,
            "Log": [{"Start": now(), "End": now(), "ExitCode": exit_code, "Output": "x"}],
        }));
    });
}

fn eventually_restarted(fake: &FakeEngine, id: &str) {
    eventually("a restart", || {
        fake.with(id, |web| (web.starts == 1).then_some(()))
    });
}

fn assert_counts(executor: &Executor, line: &str) {
    // Its sockets are there a moment before its HTTP endpoint.
    executor.eventually_logs("listening");
    executor.eventually(line, |executor| {
        let (_, metrics) = executor.http("/metrics");
        metrics.lines().any(|found| found == line).then_some(())
    });
}

#[test]
fn what_goes_wrong_while_the_stream_is_cut_is_found_by_the_next_list() {
    for in_good_order in [false, true] {
        let (fake, executor, id) = following();
        fake.emit(br#"{"Type":"container","Action":"die","Actor":{"ID":"#);
        fake.end_streams(in_good_order);
        health(&fake, &id, "unhealthy", 3);

        eventually_restarted(&fake, &id);
        let end = if in_good_order { "closed" } else { "broken" };
        let line = format!("healer_events_streams_total{{end=\"{end}\"}} 1");
        assert_counts(&executor, &line);
        assert_counts(&executor, "healer_events_up 1");
        assert_eq!(fake.streams(), 2);
    }
}

#[test]
fn rubbish_and_endless_lines_end_the_stream_and_miss_nothing() {
    let (fake, executor, id) = following();
    fake.emit(b"rubbish\n");
    eventually("another stream", || (fake.streams() == 2).then_some(()));
    eventually("it is open", || (fake.streams_open() == 1).then_some(()));
    // One line of a gigabyte, or as much of it as anybody reads.
    let piece = vec![b'x'; 1 << 20];
    let written = (0..1_024).take_while(|_| fake.emit(&piece)).count();
    assert!(written < 64, "{written} MiB of one line were read");
    assert_counts(
        &executor,
        r#"healer_events_streams_total{end="unreadable"} 2"#,
    );
    assert!(resident_kib(&executor, "VmRSS:") < RESIDENT_KIB_MAX);

    eventually("it is open again", || {
        (fake.streams_open() == 1).then_some(())
    });
    health(&fake, &id, "unhealthy", 3);
    fake.tell(&id, "health_status: unhealthy");
    eventually_restarted(&fake, &id);
}

#[test]
fn an_engine_without_events_is_asked_with_a_growing_pause_and_lists_go_on() {
    let fake = FakeEngine::start();
    let id = fake.add("web");
    health(&fake, &id, "unhealthy", 3);
    let fault = Fault::Answer {
        status: 403,
        message: "Forbidden".to_owned(),
        acts: false,
    };
    fake.fault("/events", u32::MAX, fault);
    let setup = Setup::new(&fake.socket())
        .target("web")
        .set("defaults.unhealthy_checks", 3);
    let began = Instant::now();
    let executor = Executor::start(setup);

    eventually_restarted(&fake, &id);

    let log = executor.eventually_logs("the engine's events are not followed");
    assert!(log.contains("socket proxy"), "{log}");
    // 250 ms, 500 ms, 1 s, 2 s, ...: so many fit, and one at once.
    let mut most = 2;
    let mut pause = Duration::from_millis(250);
    let mut all = pause;
    while all <= began.elapsed() {
        pause *= 2;
        all += pause;
        most += 1;
    }
    assert!(
        fake.streams() <= most,
        "{} in {:?}",
        fake.streams(),
        began.elapsed()
    );
    assert_eq!(log.matches("are not followed").count(), 1, "{log}");
}

#[test]
fn one_bad_check_or_a_container_that_is_nobodys_business_is_left_alone() {
    let (fake, executor, id) = following();
    let other = fake.add("other");
    health(&fake, &other, "unhealthy", 9);
    fake.tell(&other, "health_status: unhealthy");
    health(&fake, &id, "unhealthy", 1);
    fake.tell(&id, "health_status: unhealthy");
    let looked_at = |id: &str| {
        let path = format!("/containers/{id}/json");
        fake.requests()
            .iter()
            .filter(|line| line.ends_with(&path))
            .count()
    };
    eventually("a look", || (looked_at(&id) > 0).then_some(()));
    health(&fake, &id, "healthy", 0);
    fake.tell(&id, "health_status: healthy");
    // Everything before has been taken in by the time that this is seen.
    let third = fake.add("third");
    fake.with(&third, |it| {
        it.labels
            .insert("healer.enable".to_owned(), "true".to_owned())
    });
    fake.tell(&third, "start");
    assert_counts(&executor, "healer_containers_watched 2");
    assert_eq!(fake.with(&id, |web| web.starts), 0);
    assert_eq!(looked_at(&other), 0);
    assert_counts(&executor, r#"healer_triggers_total{trigger="unhealthy"} 0"#);
}

#[test]
fn what_sighup_switches_on_is_found_at_once() {
    let fake = FakeEngine::start();
    let id = fake.add("web");
    health(&fake, &id, "unhealthy", 3);
    let setup = Setup::new(&fake.socket()).target("web").with_http();
    let mut executor = Executor::start(setup);
    assert_counts(&executor, "healer_containers_watched 1");
    executor.reconfigure(|setup| setup.set_for("web", "unhealthy_checks", 3));
    executor.reload();
    eventually_restarted(&fake, &id);
    executor.reconfigure(|setup| setup.set_for("web", "enabled", false));
    executor.reload();
    assert_counts(&executor, "healer_containers_watched 0");
}

/// Neither its events nor its lists tell of health.
#[test]
fn podmans_unhealthy_containers_are_found_by_looking_at_them() {
    let fake = FakeEngine::start();
    fake.as_podman();
    let id = fake.add("web");
    health(&fake, &id, "healthy", 0);
    let setup = Setup::new(&fake.socket()).target("web").with_http();
    let executor = Executor::start(setup.set("defaults.unhealthy_checks", 3));
    assert_counts(&executor, "healer_containers_watched 1");
    health(&fake, &id, "unhealthy", 3);
    // The next list would be asked for within a minute.
    executor.reload();
    eventually_restarted(&fake, &id);
    executor.eventually("the engine's name", |it| {
        it.status()["engine"]
            .as_str()?
            .starts_with("Podman 29.")
            .then_some(())
    });
}

#[test]
fn a_rule_file_that_bears_a_triggers_name_is_refused() {
    let fake = FakeEngine::start();
    let mut executor = Executor::not_started(Setup::new(&fake.socket()));
    let file = executor.path("mine.toml");
    let rules = "[[rule]]\nname = \"unhealthy\"\nsummary = \"Ours\"\nremedy = \"restart\"\n\
                 literals = [\"is unhealthy now\"]\n";
    std::fs::write(&file, rules).expect("written");
    executor.reconfigure(|setup| setup.set("rules", format!("gpu,{}", file.display())));
    for command in ["run", "check"] {
        let told = executor.cli(&[command]);
        assert_ne!(told.code, Some(0), "{told:?}");
        let words = format!("{}{}", told.stdout, told.stderr);
        assert!(
            words.contains("'unhealthy', which is the name of a trigger"),
            "{words}"
        );
    }
}

/// 2,000 containers on the host, all of them watched.
#[test]
#[ignore = "soak: prints memory"]
fn two_thousand_watched_containers_take_little_memory() {
    let fake = FakeEngine::start();
    for n in 0..2_000 {
        let id = fake.add(&format!("web-{n}"));
        fake.with(&id, |container| {
            container
                .labels
                .insert("healer.enable".to_owned(), "true".to_owned());
            // As compose and image makers label theirs: each needs two others.
            for (key, value) in [
                ("project", "shop"),
                ("service", &format!("service-{n}")),
                ("container-number", "1"),
                ("oneoff", "False"),
                (
                    "depends_on",
                    &format!(
                        "service-{}:service_started:false,service-{}:service_healthy:true",
                        n + 1,
                        n + 2
                    ),
                ),
            ] {
                let key = format!("com.docker.compose.{key}");
                container.labels.insert(key, value.to_owned());
            }
            for label in 0..20 {
                let key = format!("org.example.label.of.some.length.{label}");
                container.labels.insert(key, "x".repeat(60));
            }
        });
        health(&fake, &id, "healthy", 0);
    }
    let executor = Executor::start(Setup::with_the_defaults(&fake.socket()).with_http());
    assert_counts(&executor, "healer_containers_watched 2000");
    let listed = resident_kib(&executor, "RssAnon:");
    // Each turns unhealthy for a moment, and the stream is cut now and then.
    for round in 0..5 {
        let ids: Vec<String> = (0..2_000).map(|n| id_of(&fake, n)).collect();
        for id in &ids {
            fake.tell(id, "health_status: unhealthy");
        }
        fake.end_streams(round % 2 == 0);
        let streams = fake.streams();
        eventually("another stream", || {
            (fake.streams() > streams).then_some(())
        });
        eventually("it is open", || (fake.streams_open() == 1).then_some(()));
    }
    // Who needs whom is asked for, from the whole list, over and over.
    let lists = || {
        let requests = fake.requests();
        let is_list = |line: &&String| line.contains("/containers/json");
        requests.iter().filter(is_list).count()
    };
    let before = lists();
    std::thread::scope(|scope| {
        for part in 0..8 {
            let (fake, executor) = (&fake, &executor);
            scope.spawn(move || {
                for n in 0..25 {
                    executor.decide(&oom(by_id(&id_of(fake, part * 25 + n))));
                }
            });
        }
    });
    eventually("some looks at those that wait", || {
        (lists() >= before + 2).then_some(())
    });
    let after = resident_kib(&executor, "RssAnon:");
    let whole = resident_kib(&executor, "VmRSS:");
    tell(&format!(
        "2,000 containers watched: {listed} KiB of its own once listed, {after} KiB after five \
         rounds of events and 200 that ask for their parents; {whole} KiB with the pages of its program"
    ));
    assert!(after < 7 << 10, "{after} KiB");
    // A debug build has more pages than that by itself: `tests/run` has the released one, too.
    if is_optimized() {
        assert!(whole < 16 << 10, "{whole} KiB");
    }
}

fn id_of(fake: &FakeEngine, n: usize) -> String {
    fake.id_of(&format!("web-{n}"))
}

/// A figure of the executor's `/proc/<pid>/status`, KiB: `VmRSS:`, or of it `RssAnon:`, what it
/// has made itself.
fn resident_kib(executor: &Executor, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", executor.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a number")
}
