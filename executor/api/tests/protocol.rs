//! The wire format, by example and at its limits.

use executor_api::*;

const INTENT: &str = r#"{"v":1,"type":"intent","id":"i-1","target":{"id":"a5e01e0d66b8"},"rule":"cuda-oom","remedy":"restart","times":[[1760978850,3],[1760978851,1]],"last":[1760978851,912345678],"sample":"RuntimeError: CUDA out of memory","tag":"docker.a5e0","source":"fluent-bit"}"#;

fn intent() -> Intent {
    decode_intent(INTENT.as_bytes()).expect("the documented intent is valid")
}

fn changed(from: &str, to: &str) -> Result<Intent, Reject> {
    assert!(INTENT.contains(from), "{from} is not in the example");
    decode_intent(INTENT.replace(from, to).as_bytes())
}

#[test]
fn an_intent_is_written_as_it_is_documented() {
    let line = encode(Some("intent"), &intent());
    assert_eq!(String::from_utf8(line).unwrap(), format!("{INTENT}\n"));
    assert_eq!(intent().matches(), 4);
}

#[test]
fn a_ping_has_an_id_and_nothing_else() {
    let ping = Ping {
        id: "p-1".into(),
        progress: Vec::new(),
    };
    let line = encode(Some("ping"), &ping);
    assert_eq!(line, b"{\"v\":1,\"type\":\"ping\",\"id\":\"p-1\"}\n");
    assert_eq!(decode_message(&line), Ok(Message::Ping(ping)));
    let long = Ping {
        id: "x".repeat(STRING_BYTES_MAX + 1),
        progress: Vec::new(),
    };
    assert!(decode_message(&encode(Some("ping"), &long)).is_err());
    for (wrong, why) in [
        (r#"{"v":1,"type":"ping"}"#, "missing field `id`"),
        (
            r#"{"v":1,"type":"ping","id":"p","to":1}"#,
            "unknown field `to`",
        ),
    ] {
        let reject = decode_message(wrong.as_bytes()).unwrap_err();
        assert!(reject.why.contains(why), "{reject:?}");
    }
}

#[test]
fn every_kind_of_target_is_one_key() {
    for (json, target) in [
        (r#"{"name":"app"}"#, TargetRef::Name("app".into())),
        (r#"{"pid":1234}"#, TargetRef::Pid(1234)),
        (
            r#"{"cgroup":"/docker/a5e0"}"#,
            TargetRef::Cgroup("/docker/a5e0".into()),
        ),
    ] {
        assert_eq!(
            changed(r#"{"id":"a5e01e0d66b8"}"#, json).unwrap().target,
            target
        );
    }
    assert!(
        changed(
            r#"{"id":"a5e01e0d66b8"}"#,
            r#"{"id":"a5e01e0d66b8","name":"x"}"#
        )
        .is_err()
    );
}

#[test]
fn nanoseconds_may_be_null_and_no_more_than_a_second() {
    assert_eq!(
        changed("912345678", "null").unwrap().last,
        LastMatch(1_760_978_851, None)
    );
    assert!(changed("912345678", "999999999").is_ok());
    assert!(changed("912345678", "1000000000").is_err());
}

#[test]
fn what_is_wrong_is_said_with_the_id_where_there_is_one() {
    for (from, to, id, word) in [
        (r#""v":1"#, r#""v":2"#, "i-1", "version 2"),
        (r#""v":1,"#, "", "i-1", "no version"),
        (
            r#""type":"intent""#,
            r#""type":"drum""#,
            "i-1",
            "unknown type",
        ),
        (
            r#""remedy":"restart""#,
            r#""remedy":"reboot""#,
            "i-1",
            "reboot",
        ),
        (r#""source":"#, r#""sauce":"#, "i-1", "sauce"),
        (
            r#""rule":"cuda-oom""#,
            r#""rule":"""#,
            "i-1",
            "rule is empty",
        ),
        (r#""id":"i-1""#, r#""id":"""#, "", "id is empty"),
        (
            r#"[[1760978850,3],[1760978851,1]]"#,
            "[]",
            "i-1",
            "times is empty",
        ),
        (
            r#"{"id":"a5e01e0d66b8"}"#,
            r#"{"id":"a5e0"}"#,
            "i-1",
            "12 to 64 hex",
        ),
        (
            r#"{"id":"a5e01e0d66b8"}"#,
            r#"{"id":"a5e01e0d66bz"}"#,
            "i-1",
            "12 to 64 hex",
        ),
    ] {
        let reject = changed(from, to).expect_err(to);
        assert_eq!(reject.id, id, "{to}");
        assert!(reject.why.contains(word), "{to}: {}", reject.why);
    }
    for broken in ["", "restart app", "[]", "{", "{\"v\":1", "\u{0}"] {
        assert_eq!(decode_intent(broken.as_bytes()).expect_err(broken).id, "");
    }
    assert!(decode_intent(b"{\"v\":1,\"type\":\"intent\",\"id\":\"\xff\"}").is_err());
}

#[test]
fn limits_hold_at_their_edge() {
    for (key, max) in [
        ("sample", SAMPLE_BYTES_MAX),
        ("tag", STRING_BYTES_MAX),
        ("source", STRING_BYTES_MAX),
    ] {
        let with = |bytes: usize| {
            let mut value: serde_json::Value = serde_json::from_str(INTENT).unwrap();
            value[key] = "x".repeat(bytes).into();
            decode_intent(value.to_string().as_bytes())
        };
        assert!(with(max).is_ok(), "{key} of {max}");
        assert!(with(max + 1).expect_err(key).why.contains(key));
    }
    let with_times = |count: u64| {
        let mut intent = intent();
        intent.times = (0..count).map(|second| (second, 1)).collect();
        decode_intent(&encode(Some("intent"), &intent))
    };
    assert!(with_times(TIMES_MAX as u64).is_ok());
    assert!(with_times(TIMES_MAX as u64 + 1).is_err());
}

#[test]
fn a_clamped_intent_fits_a_line_whatever_it_held() {
    for text in ["\u{1}", "\"", "\\", "x", "é", "\u{1F600}", "\n"] {
        let mut intent = intent();
        intent.sample = text.repeat(20_000);
        (intent.id, intent.rule) = (text.repeat(3_000), text.repeat(3_000));
        (intent.tag, intent.source) = (text.repeat(3_000), text.repeat(3_000));
        intent.target = TargetRef::Name(text.repeat(3_000));
        intent.times = (0..5_000)
            .map(|second| (1_760_000_000 + second, u32::MAX))
            .collect();
        intent.clamp();
        let line = encode(Some("intent"), &intent);
        assert!(
            line.len() <= LINE_BYTES_MAX,
            "{text:?}: {} bytes",
            line.len()
        );
        assert_eq!(decode_intent(&line).as_ref(), Ok(&intent), "{text:?}");
    }
}

#[test]
fn times_are_sorted_merged_and_summed_into_the_oldest() {
    let mut times = vec![(5, 1), (3, 2), (5, u32::MAX), (4, 1)];
    merge_times(&mut times);
    assert_eq!(times, [(3, 2), (4, 1), (5, u32::MAX)]);

    let mut many: Vec<_> = (0..130).map(|second| (second, 1)).collect();
    merge_times(&mut many);
    assert_eq!(many.len(), TIMES_MAX);
    assert_eq!(many[0], (2, 3));
    assert_eq!(many[127], (129, 1));
}

#[test]
fn lines_are_cut_wherever_the_stream_breaks() {
    let stream = b"one\n\ntwo\nthr";
    for cut in 0..=stream.len() {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        for part in [&stream[..cut], &stream[cut..]] {
            buffer.push(part);
            while let Some(line) = buffer.pop().unwrap() {
                lines.push(line);
            }
        }
        assert_eq!(lines, [&b"one"[..], b"", b"two"], "cut at {cut}");
        assert!(buffer.is_partial());
    }
}

#[test]
fn a_line_may_have_exactly_the_limit() {
    let mut line = vec![b'x'; LINE_BYTES_MAX - 1];
    line.push(b'\n');
    let mut buffer = LineBuffer::default();
    buffer.push(&line);
    assert_eq!(
        buffer.pop().unwrap().map(|l| l.len()),
        Some(LINE_BYTES_MAX - 1)
    );

    for over in [
        vec![b'x'; LINE_BYTES_MAX],
        [vec![b'x'; LINE_BYTES_MAX], vec![b'\n']].concat(),
    ] {
        let mut buffer = LineBuffer::default();
        buffer.push(&over);
        assert_eq!(buffer.pop(), Err(LineError::TooLong));
    }
}

#[test]
fn answers_and_requests_survive_the_wire() {
    for decision in Decision::ALL {
        let answer = Answer {
            id: "i".into(),
            decision,
            gate: None,
            detail: Some("d".into()),
        };
        let line = encode(None, &answer);
        assert!(
            line.starts_with(b"{\"v\":1,"),
            "{}",
            String::from_utf8_lossy(&line)
        );
        assert_eq!(decode_answer(&line), Ok(answer));
    }
    let restart = AdminRequest::Restart(RestartRequest {
        target: "app".into(),
        cooldown_sec: Some(0),
        window_sec: None,
        max_per_window: None,
    });
    for request in [
        restart,
        AdminRequest::Status {},
        AdminRequest::Pause {
            target: None,
            seconds: Some(60),
            reason: None,
        },
    ] {
        assert_eq!(decode_admin(&encode(None, &request)), Ok(request));
    }
    assert!(decode_admin(br#"{"v":1,"type":"reboot"}"#).is_err());
    assert!(decode_admin(br#"{"v":1,"type":"status","x":1}"#).is_err());
}

#[test]
fn progress_and_beats_are_read_with_their_limits() {
    let read = |line: &str| decode_message(line.as_bytes()).map_err(|reject| reject.why);
    let progress = |target: &str, pattern: &str, nanos: u32| {
        format!(
            r#"{{"v":1,"type":"progress","id":"q","target":{target},"pattern":"{pattern}","last":[7,{nanos}]}}"#
        )
    };
    let by_name = r#"{"name":"web"}"#;
    let expected = Progress {
        id: "q".into(),
        target: TargetRef::Name("web".into()),
        pattern: "batch".into(),
        last: LastMatch(7, Some(999_999_999)),
    };
    let line = progress(by_name, "batch", 999_999_999);
    assert_eq!(read(&line), Ok(Message::Progress(expected.clone())));
    let encoded = encode(Some("progress"), &expected);
    assert_eq!(decode_message(&encoded), Ok(Message::Progress(expected)));
    let long = "x".repeat(STRING_BYTES_MAX + 1);
    for (line, why) in [
        (progress(by_name, "", 0), "pattern is empty"),
        (progress(by_name, &long, 0), "pattern has 513 bytes"),
        (
            progress(by_name, "a", 1_000_000_000),
            "1,000,000,000 nanoseconds",
        ),
        (progress(r#"{"pid":1}"#, "a", 0), "neither an id nor a name"),
        (progress(r#"{"id":"abc"}"#, "a", 0), "12 to 64 hex digits"),
        (progress(r#"{"name":""}"#, "a", 0), "target is empty"),
        (
            r#"{"v":1,"type":"beat","id":"b"}"#.into(),
            "missing field `target`",
        ),
        (
            r#"{"v":1,"type":"beat","id":"b","target":""}"#.into(),
            "target is empty",
        ),
        (
            format!(r#"{{"v":1,"type":"beat","id":"b","target":"{long}"}}"#),
            "target has 513 bytes",
        ),
    ] {
        let got = read(&line).unwrap_err();
        assert!(got.contains(why), "{line}: {got}");
    }
    let beat = Beat {
        id: "b".into(),
        target: "job".into(),
    };
    let line = r#"{"v":1,"type":"beat","id":"b","target":"job"}"#;
    assert_eq!(read(line), Ok(Message::Beat(beat)));
}

#[test]
fn a_ping_says_which_progress_is_looked_for() {
    let ping = |patterns: usize| {
        let progress = (0..patterns).map(|n| format!("p{n}")).collect();
        let ping = Ping {
            id: "p".into(),
            progress,
        };
        decode_message(&encode(Some("ping"), &ping))
    };
    assert!(matches!(ping(PATTERNS_MAX), Ok(Message::Ping(ping)) if ping.progress.len() == 8));
    let why = ping(PATTERNS_MAX + 1).unwrap_err().why;
    assert_eq!(why, "progress has 9 entries, at most 8 are allowed");
}
