//! The built plugin through its real entry points: registering, settings,
//! finding targets, what it logs and counts, parallel flushes.

use std::path::{Path, PathBuf};

use executor_api::{Decision, Intent, TargetRef};

use crate::support::events::{Chunk, Stamp, Value, map};
use crate::support::executor::{Executor, Manner};
use crate::support::host::{FLB_ERROR, FLB_OK, Plugin, STRUCT_SIZES};

const ID: &str = "a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e0";
const OTHER_ID: &str = "b5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e0";
const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB";

/// A directory with an executor in it that answers `refused`.
struct Scene {
    socket: PathBuf,
    executor: Executor,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("intents.sock");
        Self {
            executor: Executor::start(&socket, Manner::Answer(Decision::Refused)),
            socket,
            _dir: dir,
        }
    }

    fn socket(&self) -> &str {
        self.socket.to_str().expect("UTF-8")
    }
}

fn tail_tag() -> String {
    format!("docker.var.lib.docker.containers.{ID}.{ID}-json.log")
}

fn tail_path(id: &str) -> Value {
    format!("/var/lib/docker/containers/{id}/{id}-json.log")
        .as_str()
        .into()
}

const AT: Stamp = Stamp::EventTime(1_760_978_851, 912_345_678);

/// Flushes one chunk through a fresh instance; gives the code and the intents.
fn flush_once(
    name: &str,
    settings: &[(&str, &str)],
    tag: &str,
    chunk: &Chunk,
) -> (i32, Vec<Intent>) {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let mut properties = vec![("Socket", scene.socket())];
    properties.extend_from_slice(settings);
    let output = plugin.init(name, &properties).expect("valid settings");
    let code = output.flush(&chunk.0, tag);
    (code, scene.executor.received())
}

/// Checks whom a flush names, and how many matches each time.
fn check(
    name: &str,
    settings: &[(&str, &str)],
    tag: &str,
    chunk: Chunk,
    expected: &[(TargetRef, u64)],
) {
    let (code, intents) = flush_once(name, settings, tag, &chunk);
    assert_eq!(code, FLB_OK, "{name}");
    let found: Vec<(TargetRef, u64)> = intents
        .iter()
        .map(|intent| (intent.target.clone(), intent.matches()))
        .collect();
    assert_eq!(found, expected, "{name}");
}

fn id(id: &str) -> TargetRef {
    TargetRef::Id(id.into())
}

fn name(name: &str) -> TargetRef {
    TargetRef::Name(name.into())
}

#[test]
fn register_fills_five_fields_of_every_historic_struct_and_nothing_else() {
    let plugin = Plugin::load();
    for bytes in STRUCT_SIZES {
        let registration = plugin.announce_and_register(false, bytes);
        assert_eq!(registration.code, 0, "{bytes}");
        assert_eq!((registration.kind, registration.proxy), (2, 11), "{bytes}");
        assert_eq!(registration.name, "healer");
        assert!(registration.description.contains("log-healer"));
        assert!(registration.is_clean, "{bytes}");
    }
}

#[test]
fn a_match_reaches_the_executor_and_its_answer_is_logged_and_counted() {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("answered", &[("socket", scene.socket()), ("RULES", "gpu")])
        .expect("valid settings");
    let chunk = Chunk::default()
        .log(1_760_978_850, "all is well")
        .log(1_760_978_851, OOM)
        .log(1_760_978_851, OOM)
        .log(1_760_978_852, OOM);
    assert_eq!(output.flush(&chunk.0, &tail_tag()), FLB_OK);

    let received = scene.executor.received();
    assert_eq!(received.len(), 1, "{received:?}");
    let intent = &received[0];
    assert_eq!(intent.target, id(ID));
    assert_eq!(intent.rule, "cuda-oom");
    assert_eq!(intent.times, [(1_760_978_851, 2), (1_760_978_852, 1)]);
    assert_eq!((intent.last.0, intent.last.1), (1_760_978_852, Some(500)));
    assert_eq!(intent.sample, OOM);
    assert_eq!(intent.tag, tail_tag());
    assert_eq!(intent.source, "fluent-bit");

    let lines = output.lines();
    assert!(
        lines.iter().any(|line| line
            == "3 3 matches of cuda-oom for a5e01e0d66b8: refused by cooldown: \
                Cooldown active (45s < 300s)"),
        "{lines:#?}"
    );
    assert_eq!(output.metric("chunks_total", ""), 1.0);
    assert_eq!(output.metric("bytes_total", ""), chunk.0.len() as f64);
    assert_eq!(output.metric("matches_total", "cuda-oom"), 3.0);
    assert_eq!(output.metric("intents_total", "refused"), 1.0);
    assert_eq!(output.metric("executor_up", ""), 1.0);
    assert_eq!(output.metric("disabled", ""), 0.0);
    assert_eq!(output.late_series(), 0);
}

#[test]
fn log_lines_never_carry_log_text() {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("silent", &[("Socket", scene.socket())])
        .expect("valid settings");
    let secret = format!("{OOM} token=hunter2");
    assert_eq!(
        output.flush(&Chunk::default().log(1, &secret).0, &tail_tag()),
        FLB_OK
    );
    assert_eq!(
        output.flush(&Chunk::default().log(1, &secret).0, "no.id"),
        FLB_OK
    );
    let lines = output.lines().join("\n");
    assert!(
        lines.contains("refused") && lines.contains("name no container"),
        "{lines}"
    );
    assert!(
        !lines.contains("hunter2") && !lines.contains("out of memory"),
        "{lines}"
    );
}

#[test]
fn every_form_of_event_is_read() {
    let body = || map(&[("log", OOM.into())]);
    let chunk = Chunk::default()
        .v1(Stamp::EventTime(101, 5), &body())
        .v1(Stamp::Int(102), &body())
        .v1(Stamp::Float(103.5), &body())
        .v2(Stamp::EventTime(104, 0), &body())
        .v2(Stamp::Int(105), &body())
        .v2(Stamp::Float(106.0), &body())
        .v2_with(Stamp::EventTime(107, 1), &map(&[("otlp", body())]), &body());
    let (code, intents) = flush_once("forms", &[], &tail_tag(), &chunk);
    assert_eq!(code, FLB_OK);
    assert_eq!(intents.len(), 1);
    let seconds: Vec<u64> = intents[0].times.iter().map(|&(second, _)| second).collect();
    assert_eq!(seconds, [101, 102, 103, 104, 105, 106, 107]);
}

#[test]
fn whole_seconds_carry_no_nanoseconds() {
    for (stamp, nanos) in [
        (Stamp::Int(100), None),
        (Stamp::Float(100.0), None),
        (Stamp::EventTime(100, 0), None),
        (Stamp::Float(100.5), Some(500_000_000)),
        (Stamp::EventTime(100, 7), Some(7)),
    ] {
        let chunk = Chunk::default().v2(stamp, &map(&[("log", OOM.into())]));
        let (_, intents) = flush_once("nanos", &[], &tail_tag(), &chunk);
        assert_eq!(
            (intents[0].last.0, intents[0].last.1),
            (100, nanos),
            "{stamp:?}"
        );
    }
}

#[test]
fn group_markers_are_no_records() {
    let body = map(&[("log", OOM.into())]);
    let chunk = Chunk::default()
        .v2(Stamp::EventTime(u32::MAX, 0), &body)
        .log(5, OOM)
        .v2(Stamp::EventTime(u32::MAX - 1, 0), &body)
        .v2(Stamp::Int(-1), &body)
        .v2(Stamp::Int(-2), &body);
    check("groups", &[], &tail_tag(), chunk, &[(id(ID), 1)]);
}

#[test]
fn text_is_found_in_every_configured_field_and_counts_once_a_record() {
    for key in ["log", "message", "MESSAGE", "msg", "body"] {
        let chunk = Chunk::default().v2(AT, &map(&[("a", 1.into()), (key, OOM.into())]));
        check("fields", &[], &tail_tag(), chunk, &[(id(ID), 1)]);
    }
    let both = map(&[
        ("log", OOM.into()),
        ("message", OOM.into()),
        ("log", OOM.into()),
    ]);
    check(
        "doubled",
        &[],
        &tail_tag(),
        Chunk::default().v2(AT, &both),
        &[(id(ID), 1)],
    );
    let second = map(&[("log", "fine".into()), ("log", OOM.into())]);
    check(
        "second",
        &[],
        &tail_tag(),
        Chunk::default().v2(AT, &second),
        &[(id(ID), 1)],
    );
    let own = map(&[("text", OOM.into())]);
    check(
        "other",
        &[],
        &tail_tag(),
        Chunk::default().v2(AT, &own),
        &[],
    );
    check(
        "own",
        &[("Log_Key", "text")],
        &tail_tag(),
        Chunk::default().v2(AT, &own),
        &[(id(ID), 1)],
    );
}

#[test]
fn a_star_searches_every_string_value_at_any_level() {
    let deep = map(&[("a", Value::Array(vec![1.into(), map(&[("b", OOM.into())])]))]);
    let star = &[("Log_Key", "*")];
    check(
        "deep",
        star,
        &tail_tag(),
        Chunk::default().v2(AT, &deep),
        &[(id(ID), 1)],
    );
    let key = map(&[(OOM, "value".into())]);
    check("key", star, &tail_tag(), Chunk::default().v2(AT, &key), &[]);
    let binary = map(&[("x", Value::Bin(OOM.into()))]);
    check(
        "binary",
        star,
        &tail_tag(),
        Chunk::default().v2(AT, &binary),
        &[(id(ID), 1)],
    );
}

#[test]
fn ansi_escapes_white_space_and_case_do_not_hide_a_match() {
    for text in [
        "\u{1b}[31mRuntimeError\u{1b}[0m: CUDA \u{1b}[1mout of\u{1b}[0m memory",
        "runtimeerror:  cuda\tout  of   memory",
        "RUNTIMEERROR: CUDA OUT OF MEMORY",
    ] {
        check(
            "escapes",
            &[],
            &tail_tag(),
            Chunk::default().log(1, text),
            &[(id(ID), 1)],
        );
    }
}

#[test]
fn a_very_long_line_is_searched_to_its_end_and_sent_cut() {
    let text = format!("{} {OOM}", "x".repeat(1_000_000));
    let (code, intents) = flush_once("long", &[], &tail_tag(), &Chunk::default().log(1, &text));
    assert_eq!(code, FLB_OK);
    assert_eq!(intents.len(), 1);
    assert!(intents[0].sample.len() <= executor_api::SAMPLE_BYTES_MAX);
}

#[test]
fn auto_takes_the_id_from_the_tag_or_else_from_the_path() {
    let with_path =
        |path: Value| Chunk::default().v2(AT, &map(&[("log", OOM.into()), ("filepath", path)]));
    check(
        "tag",
        &[],
        &tail_tag(),
        Chunk::default().log(1, OOM),
        &[(id(ID), 1)],
    );
    check(
        "path",
        &[],
        "docker",
        with_path(tail_path(ID)),
        &[(id(ID), 1)],
    );
    check(
        "agree",
        &[],
        &tail_tag(),
        with_path(tail_path(ID)),
        &[(id(ID), 1)],
    );
    check(
        "disagree",
        &[],
        &tail_tag(),
        with_path(tail_path(OTHER_ID)),
        &[],
    );
    check(
        "none",
        &[],
        "docker",
        with_path("/var/log/syslog".into()),
        &[],
    );
    let doubled = map(&[
        ("filepath", tail_path(OTHER_ID)),
        ("log", OOM.into()),
        ("filepath", tail_path(ID)),
    ]);
    check(
        "forged",
        &[],
        "docker",
        Chunk::default().v2(AT, &doubled),
        &[],
    );
    check(
        "two",
        &[],
        &format!("{ID}.{OTHER_ID}"),
        Chunk::default().log(1, OOM),
        &[],
    );
    let own_key = map(&[("log", OOM.into()), ("path", tail_path(ID))]);
    check(
        "key",
        &[("Path_Key", "path")],
        "x",
        Chunk::default().v2(AT, &own_key),
        &[(id(ID), 1)],
    );
}

#[test]
fn an_id_in_the_text_names_nobody() {
    let text = format!("{OOM} in container {ID}");
    check("text", &[], "docker", Chunk::default().log(1, &text), &[]);
    check(
        "text",
        &[("Target", "record")],
        "docker",
        Chunk::default().log(1, &text),
        &[],
    );
}

#[test]
fn record_takes_the_keys_that_the_input_vouches_for() {
    let record = |pairs: &[(&str, Value)]| {
        let mut all = vec![("log", OOM.into())];
        all.extend_from_slice(pairs);
        Chunk::default().v2(AT, &map(&all))
    };
    let settings = &[("Target", "record")];
    let kubernetes = map(&[("pod_name", "p".into()), ("docker_id", ID.into())]);
    type Pairs<'a> = &'a [(&'a str, Value)];
    let cases: [(Pairs<'_>, Option<TargetRef>); 14] = [
        (
            &[
                ("container_id", ID.into()),
                ("container_name", "/app".into()),
            ],
            Some(id(ID)),
        ),
        (&[("container_name", "/app".into())], Some(name("app"))),
        (
            &[
                ("CONTAINER_ID_FULL", ID.into()),
                ("CONTAINER_ID", ID[..12].into()),
            ],
            Some(id(ID)),
        ),
        (&[("CONTAINER_ID", ID[..12].into())], Some(id(&ID[..12]))),
        (&[("CONTAINER_NAME", "app".into())], Some(name("app"))),
        (&[("kubernetes", kubernetes.clone())], Some(id(ID))),
        (
            &[("container_id", ID.into()), ("container_id", ID.into())],
            None,
        ),
        (
            &[
                ("container_id", OTHER_ID.into()),
                ("CONTAINER_ID_FULL", ID.into()),
            ],
            None,
        ),
        (
            &[
                ("container_name", "a".into()),
                ("CONTAINER_NAME", "b".into()),
            ],
            None,
        ),
        (&[("container_id", "not an id".into())], None),
        (&[("container_id", 5.into())], None),
        (&[("container_name", "../etc".into())], None),
        (
            &[
                ("kubernetes", kubernetes.clone()),
                ("kubernetes", kubernetes),
            ],
            None,
        ),
        (&[], None),
    ];
    for (pairs, expected) in cases {
        let expected: Vec<(TargetRef, u64)> = expected.into_iter().map(|t| (t, 1)).collect();
        check("record", settings, "fluentd", record(pairs), &expected);
    }
}

#[test]
fn what_one_source_says_of_another_kind_than_the_other_is_a_conflict() {
    let record = |pairs: &[(&str, Value)]| {
        let mut all = vec![("log", OOM.into())];
        all.extend_from_slice(pairs);
        Chunk::default().v2(AT, &map(&all))
    };
    let kubernetes = map(&[("docker_id", ID.into())]);
    let (app, short) = (|| Value::from("app"), || Value::from(&ID[..12]));
    type Pairs<'a> = &'a [(&'a str, Value)];
    let cases: [(Pairs<'_>, Option<TargetRef>); 7] = [
        (
            &[("container_id", ID.into()), ("CONTAINER_NAME", app())],
            None,
        ),
        (
            &[("container_name", app()), ("CONTAINER_ID", short())],
            None,
        ),
        (
            &[
                ("container_name", app()),
                ("kubernetes", kubernetes.clone()),
            ],
            None,
        ),
        (
            &[
                ("container_id", ID.into()),
                ("CONTAINER_NAME", app()),
                ("kubernetes", kubernetes.clone()),
            ],
            None,
        ),
        (
            &[
                ("CONTAINER_ID", short()),
                ("CONTAINER_NAME", app()),
                ("kubernetes", kubernetes),
            ],
            Some(id(ID)),
        ),
        (
            &[("container_name", app()), ("CONTAINER_NAME", app())],
            Some(name("app")),
        ),
        (
            // The id is one source's alone.
            &[
                ("container_id", OTHER_ID.into()),
                ("container_name", "/app".into()),
                ("CONTAINER_NAME", app()),
            ],
            Some(name("app")),
        ),
    ];
    for (pairs, expected) in cases {
        let expected: Vec<(TargetRef, u64)> = expected.into_iter().map(|t| (t, 1)).collect();
        let settings = &[("Target", "record")];
        check("families", settings, "t", record(pairs), &expected);
    }
}

#[test]
fn kernel_takes_the_process_or_the_cgroup_from_the_kernels_own_words() {
    let settings = &[("Target", "kernel")];
    let xid = "NVRM: Xid (PCI:0000:01:00): 31, pid=4242, name=python, Ch 00000008, MMU Fault";
    let kmsg = |text: &str| {
        map(&[
            ("priority", 4.into()),
            ("sequence", 9.into()),
            ("msg", text.into()),
        ])
    };
    let journal = |transport: &str, text: &str| {
        map(&[("_TRANSPORT", transport.into()), ("MESSAGE", text.into())])
    };
    let one = |body: &Value| Chunk::default().v2(AT, body);
    check(
        "kmsg",
        settings,
        "kernel",
        one(&kmsg(xid)),
        &[(TargetRef::Pid(4_242), 1)],
    );
    let quoted = xid.replace("pid=4242", "pid='4242'");
    check(
        "quoted",
        settings,
        "kernel",
        one(&kmsg(&quoted)),
        &[(TargetRef::Pid(4_242), 1)],
    );
    check(
        "journal",
        settings,
        "kernel",
        one(&journal("kernel", xid)),
        &[(TargetRef::Pid(4_242), 1)],
    );
    check(
        "forged",
        settings,
        "kernel",
        one(&journal("stdout", xid)),
        &[],
    );
    // Neither journald's nor kmsg's: any container could have printed it.
    for body in [
        map(&[("msg", xid.into())]),
        map(&[("TRANSPORT", "kernel".into()), ("MESSAGE", xid.into())]),
        map(&[
            ("priority", 4.into()),
            ("sequence", 9.into()),
            ("msg", "x".into()),
            ("msg", xid.into()),
        ]),
    ] {
        check("unproven", settings, "kernel", one(&body), &[]);
    }
    let unknown = xid.replace("pid=4242", "pid='<unknown>'");
    check("unknown", settings, "kernel", one(&kmsg(&unknown)), &[]);
    let oom = format!(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,\
         oom_memcg=/docker/{ID},task_memcg=/docker/{ID},task=python,pid=99,uid=0"
    );
    let cgroup = TargetRef::Cgroup(format!("/docker/{ID}"));
    check("oom", settings, "kernel", one(&kmsg(&oom)), &[(cgroup, 1)]);
    // The cpuset is of whoever allocated when memory ran out.
    let global = format!(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset={ID},mems_allowed=0,\
         global_oom,task_memcg=/,task=python,pid=99,uid=0"
    );
    check("global", settings, "kernel", one(&kmsg(&global)), &[]);
}

#[test]
fn a_fixed_name_is_the_target_of_every_match() {
    check(
        "fixed",
        &[("Target", "model-server")],
        "x",
        Chunk::default().log(1, OOM),
        &[(name("model-server"), 1)],
    );
}

#[test]
fn matches_without_a_target_are_counted_by_reason_and_logged_once() {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("untargeted", &[("Socket", scene.socket())])
        .expect("valid settings");
    for _ in 0..10 {
        assert_eq!(
            output.flush(&Chunk::default().log(1, OOM).0, "no.id"),
            FLB_OK
        );
    }
    let two = format!("{ID}.{OTHER_ID}");
    assert_eq!(output.flush(&Chunk::default().log(1, OOM).0, &two), FLB_OK);
    assert_eq!(output.metric("untargeted_total", "missing"), 10.0);
    assert_eq!(output.metric("untargeted_total", "conflict"), 1.0);
    let said = output
        .lines()
        .iter()
        .filter(|line| line.contains("name no container"))
        .count();
    assert_eq!(said, 1);
    assert_eq!(scene.executor.received(), []);
}

#[test]
fn dry_run_counts_and_sends_nothing() {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("dry", &[("Socket", scene.socket()), ("Dry_Run", "On")])
        .expect("valid settings");
    assert_eq!(
        output.flush(&Chunk::default().log(1, OOM).0, &tail_tag()),
        FLB_OK
    );
    assert_eq!(output.metric("matches_total", "cuda-oom"), 1.0);
    assert_eq!(output.metric("intents_total", "dry-run"), 1.0);
    assert_eq!(scene.executor.received(), []);
}

#[test]
fn a_bad_setting_fails_a_cold_start_with_key_value_and_place() {
    let plugin = Plugin::load();
    plugin.start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let rules = dir.path().join("own.toml");
    std::fs::write(&rules, "[[rule]]\nname = \"x\"\nregex = [\"(unclosed\"]\n").expect("written");
    let rules = rules.to_str().expect("UTF-8");
    for (key, value, hint) in [
        ("Ack_Timeout", "soon", "250ms"),
        ("Target", "two words", "neither auto"),
        ("Dry_Run", "perhaps", "on or off"),
        ("Rules", "no-such-pack", "no-such-pack"),
        ("Rules", rules, "own.toml"),
    ] {
        let Err(said) = plugin.init("bad", &[(key, value)]) else {
            panic!("{key} {value} was taken");
        };
        assert!(said.contains(&format!("1 {key} {value:?}: ")), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn several_sections_keep_apart() {
    let here = Scene::new();
    let there = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let first = plugin
        .init("first", &[("Socket", here.socket()), ("Target", "one")])
        .expect("valid");
    let second = plugin
        .init("second", &[("Socket", there.socket()), ("Target", "two")])
        .expect("valid");
    let chunk = Chunk::default().log(1, OOM).0;
    assert_eq!(first.flush(&chunk, "t"), FLB_OK);
    assert_eq!(second.flush(&chunk, "t"), FLB_OK);
    assert_eq!(second.flush(&chunk, "t"), FLB_OK);
    let targets = |executor: &Executor| -> Vec<TargetRef> {
        executor
            .received()
            .into_iter()
            .map(|intent| intent.target)
            .collect()
    };
    assert_eq!(targets(&here.executor), [name("one")]);
    assert_eq!(targets(&there.executor), [name("two"), name("two")]);
    assert_eq!(first.metric("chunks_total", ""), 1.0);
    assert_eq!(second.metric("chunks_total", ""), 2.0);
}

#[test]
fn four_workers_flush_one_instance_at_once() {
    const FLUSHES: u32 = 50;
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init(
            "workers",
            &[("Socket", scene.socket()), ("Ack_Timeout", "5s")],
        )
        .expect("valid settings");
    std::thread::scope(|scope| {
        for worker in 0..4_u32 {
            let output = &output;
            scope.spawn(move || {
                for i in 0..FLUSHES {
                    let chunk = Chunk::default().log(1_000 * worker + i, OOM).0;
                    assert_eq!(output.flush(&chunk, &tail_tag()), FLB_OK);
                }
            });
        }
    });
    let mut ids: Vec<String> = scene
        .executor
        .received()
        .into_iter()
        .map(|i| i.id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4 * FLUSHES as usize);
    assert_eq!(
        output.metric("intents_total", "refused"),
        f64::from(4 * FLUSHES)
    );
    assert_eq!(output.late_series(), 0);
}

#[test]
fn a_chunk_that_comes_again_has_the_same_ids() {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("again", &[("Socket", scene.socket())])
        .expect("valid");
    let chunk = Chunk::default().log(1, OOM).log(2, OOM).0;
    output.flush(&chunk, &tail_tag());
    output.flush(&chunk, &tail_tag());
    let other = Chunk::default().log(1, OOM).log(3, OOM).0;
    output.flush(&other, &tail_tag());
    let ids: Vec<String> = scene
        .executor
        .received()
        .into_iter()
        .map(|i| i.id)
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[test]
fn a_flood_of_matching_lines_is_one_intent() {
    // Unoptimised code takes its time; the bench has the full million.
    let lines: u32 = if cfg!(debug_assertions) {
        50_000
    } else {
        1_000_000
    };
    let mut chunk = Chunk::default();
    for i in 0..lines {
        chunk = chunk.log(1_000 + i / (lines / 10), OOM);
    }
    let (code, intents) = flush_once("flood", &[], &tail_tag(), &chunk);
    assert_eq!(code, FLB_OK);
    assert_eq!(intents.len(), 1);
    assert_eq!(intents[0].matches(), u64::from(lines));
    assert_eq!(intents[0].times.len(), 10);
}

#[test]
fn a_damaged_chunk_gives_what_stands_before_the_damage_and_an_error() {
    let whole = Chunk::default().log(1, OOM);
    let cut = Chunk::default().log(2, OOM).0;
    let chunk = whole.raw(&cut[..cut.len() - 3]);
    let (code, intents) = flush_once("damaged", &[], &tail_tag(), &chunk);
    assert_eq!(code, FLB_ERROR);
    assert_eq!(intents.len(), 1);
    assert_eq!(intents[0].matches(), 1);
}

#[test]
fn the_entry_points_bear_nothing_at_all() {
    let scene = Scene::new();
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("empty", &[("Socket", scene.socket())])
        .expect("valid");
    assert_eq!(output.flush(&[], ""), FLB_OK);
    plugin.refuses_null();
    assert!(Path::new(scene.socket()).exists());
}
