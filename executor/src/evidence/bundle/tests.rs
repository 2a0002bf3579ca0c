//! What a bundle says, and how large it gets at most.

use serde_json::json;

use super::*;

fn subject() -> Subject {
    Subject {
        attempt: 7,
        target: "app".into(),
        container_id: "a5e0".repeat(16),
        charged_wall_ms: 1_760_978_852_500,
        rule: Some("cuda-oom".into()),
        line: Some(WallTime {
            secs: 1_760_978_851,
            nanos: Some(912_345_678),
        }),
        said: None,
        has_commands: false,
    }
}

fn before(inspect: Result<&str, &str>, memory: Result<&str, &str>) -> (Bundle, Mask) {
    let read = |read: Result<&str, &str>| read.map(Into::into).map_err(str::to_owned);
    let before = Before {
        inspect: read(inspect),
        memory: read(memory),
        took: Duration::from_micros(3_900),
    };
    Bundle::before(&subject(), before)
}

fn after(logs: Result<Vec<u8>, String>) -> After {
    After {
        logs,
        lines_max: 3,
        took: Duration::from_millis(12),
    }
}

fn shown(bundle: &mut Bundle) -> Value {
    serde_json::from_slice(&bundle.written()).expect("JSON")
}

fn log(lines: usize, text: &str) -> Vec<u8> {
    let line = |n| format!("2025-10-20T16:47:30.{n:09}Z {n} {text}\n");
    (0..lines).map(line).collect::<String>().into_bytes()
}

#[test]
fn a_whole_bundle_names_its_attempt_and_misses_nothing() {
    let memory = r#"{"memory_stats": {"usage": 1}}"#;
    let (mut bundle, mask) = before(
        Ok(r#"{"Config": {"Env": ["X_TOKEN=known-secret"]}}"#),
        Ok(memory),
    );
    assert!(!bundle.is_whole());
    let half = shown(&mut bundle);
    assert_eq!(half["missing"][0]["what"], "logs");
    assert_eq!(half["logs"], Value::Null);

    bundle.complete(after(Ok(log(5, "known-secret x"))), &mask);

    assert!(bundle.is_whole());
    let mut whole = shown(&mut bundle);
    assert_eq!(
        whole["logs"]["lines"][0]["text"], "2 [masked] x",
        "the newest 3"
    );
    assert_eq!(whole["logs"]["lines"].as_array().map(Vec::len), Some(3));
    for key in ["container", "logs", "memory"] {
        whole.as_object_mut().expect("an object").remove(key);
    }
    let expected = json!({
        "version": 1, "attempt": 7, "target": "app", "container_id": "a5e0".repeat(16),
        "charged_ms": 1_760_978_852_500_u64, "charged_iso": "2025-10-20T16:47:32.500Z",
        "cause": "match", "rule": "cuda-oom", "line": "2025-10-20T16:47:31.912Z",
        "read_ms": {"before_the_call": 3, "after_the_call": 12}, "missing": [],
    });
    assert_eq!(whole, expected);
}

#[test]
fn a_container_that_has_ended_uses_no_memory_and_lacks_nothing() {
    for (running, is_whole) in [("false", true), ("true", false), ("null", false)] {
        let inspect = format!(r#"{{"State": {{"Running": {running}}}}}"#);
        let (mut bundle, mask) = before(Ok(&inspect), Ok(r#"{"memory_stats": {}}"#));
        bundle.complete(after(Ok(log(1, "x"))), &mask);
        assert_eq!(bundle.is_whole(), is_whole, "{running}");
    }
}

#[test]
fn what_is_missing_is_named_with_the_reason() {
    let (mut bundle, mask) = before(Err("timed out, password=x"), Ok("{"));
    bundle.complete(after(Err("y ".repeat(WHY_BYTES_MAX))), &mask);
    let shown = shown(&mut bundle);
    let missing = shown["missing"].as_array().expect("a list");
    let what: Vec<&str> = missing.iter().filter_map(|m| m["what"].as_str()).collect();
    assert_eq!(what, ["container", "memory", "logs"]);
    assert_eq!(missing[0]["why"], "timed out, password=[masked]");
    let why = missing[1]["why"].as_str().expect("words");
    assert!(why.starts_with("the reply cannot be understood"), "{why}");
    assert_eq!(
        missing[2]["why"].as_str().map(str::len),
        Some(WHY_BYTES_MAX)
    );
    let (mut bundle, _) = before(Ok("{}"), Ok("{}"));
    assert_eq!(self::shown(&mut bundle)["missing"][0]["what"], "memory");
}

#[test]
fn a_persons_restart_has_neither_rule_nor_line() {
    let by_hand = Subject {
        rule: None,
        line: None,
        ..subject()
    };
    let nothing = Before {
        inspect: Err(String::new()),
        memory: Err(String::new()),
        took: Duration::ZERO,
    };
    let (mut bundle, _) = Bundle::before(&by_hand, nothing);
    let shown = shown(&mut bundle);
    assert_eq!(shown["cause"], "person");
    assert_eq!(shown.get("rule"), None);
}

#[test]
fn the_newest_lines_are_kept_where_a_bundle_would_be_too_large() {
    for (lines, text) in [
        (1_000, "x".repeat(3_000)),
        (1_000, "\"\\".repeat(40)),
        (1_000, String::new()),
    ] {
        let (mut bundle, mask) = before(Ok("{}"), Err("no"));
        let mut after = after(Ok(log(lines, &text.replace('x', "x "))));
        after.lines_max = lines;
        bundle.complete(after, &mask);
        let json = bundle.written();
        assert!(json.len() <= BUNDLE_BYTES_MAX, "{}", json.len());
        assert!(json.len() > BUNDLE_BYTES_MAX - 8 * 1024, "{}", json.len());
        let shown = shown(&mut bundle);
        let kept = shown["logs"]["lines"].as_array().expect("a list");
        let left_out = shown["logs"]["left_out"].as_u64().expect("a number");
        assert_eq!(kept.len() + left_out as usize, lines);
        let newest = kept.last().expect("one")["text"].as_str().expect("text");
        assert!(newest.starts_with("999 "), "{newest}");
    }
}

#[test]
fn an_inspect_made_of_the_worst_still_fits() {
    let bad = "\"".repeat(4_000);
    let many: Vec<String> = (0..3_000).map(|n| format!("\"{n}")).collect();
    let checks: Vec<Value> = (0..9)
        .map(|_| json!({"Start": bad, "End": bad, "Output": "\n\"".repeat(4_000)}))
        .collect();
    let inspect = json!({
        "Created": bad, "Path": bad, "Args": many,
        "State": {"Status": bad, "StartedAt": bad, "Health": {"Status": bad, "Log": checks}},
        "Config": {"Image": bad, "Env": many},
        "HostConfig": {
            "RestartPolicy": {"Name": bad},
            "Devices": many.iter().map(|m| json!({"PathInContainer": m})).collect::<Vec<_>>(),
            "DeviceRequests": many.iter().map(|m| json!({"Driver": m})).collect::<Vec<_>>(),
        },
        "Mounts": many.iter().map(|m| json!({"Destination": m})).collect::<Vec<_>>(),
    });
    let (mut bundle, mask) = before(Ok(&inspect.to_string()), Err(&bad));
    assert!(bundle.written().len() <= BUNDLE_BYTES_MAX);
    for _ in 0..=COMMANDS_MAX {
        bundle.add(&command(&bad, &"\"\n".repeat(4_000)), &mask);
    }
    assert!(bundle.written().len() <= BUNDLE_BYTES_MAX);
    bundle.complete(after(Ok(log(3, &"\\ ".repeat(2_000)))), &mask);
    let json = bundle.written();
    assert!(json.len() <= BUNDLE_BYTES_MAX, "{}", json.len());
}

fn command(words: &str, output: &str) -> Measured {
    Measured {
        measure: words.into(),
        ended: words.into(),
        exit_code: Some(1),
        took: Duration::from_millis(7),
        output: output.into(),
        is_cut: false,
    }
}

#[test]
fn commands_and_the_trigger_stand_in_it_with_what_they_said_masked() {
    let by_trigger = Subject {
        said: Some(Said {
            why: "unhealthy for 3 checks".into(),
            output: "exit 1: known-secret\n".into(),
        }),
        ..subject()
    };
    let before = Before {
        inspect: Ok(r#"{"Config": {"Env": ["X_TOKEN=known-secret"]}}"#.into()),
        memory: Err("no".into()),
        took: Duration::ZERO,
    };
    let (mut bundle, mask) = Bundle::before(&by_trigger, before);
    bundle.add(&command("exec 'reload'", "one known-secret\ntwo"), &mask);
    let shown = shown(&mut bundle);
    let trigger = json!({"why": "unhealthy for 3 checks", "output": "exit 1: [masked]"});
    assert_eq!(shown["trigger"], trigger);
    let commands = json!([{
        "measure": "exec 'reload'", "ended": "exec 'reload'", "exit_code": 1, "took_ms": 7,
        "output": "one [masked]\ntwo",
    }]);
    assert_eq!(shown["commands"], commands);
}

#[test]
fn all_outputs_of_a_bundle_share_their_room() {
    let (mut bundle, mask) = before(Ok("{}"), Ok("{}"));
    for _ in 0..=COMMANDS_MAX {
        bundle.add(&command("exec 'x'", &"a ".repeat(4_000)), &mask);
    }
    let shown = shown(&mut bundle);
    let commands = shown["commands"].as_array().expect("a list");
    let length = |command: &Value| command["output"].as_str().map(str::len);
    let lengths: Vec<usize> = commands.iter().filter_map(length).collect();
    assert_eq!(lengths.len(), COMMANDS_MAX);
    assert_eq!(lengths[..2], [OUTPUTS_BYTES_MAX / 2; 2]);
    assert!(
        lengths[2..].iter().all(|bytes| *bytes <= "…".len()),
        "{lengths:?}"
    );
}

#[test]
fn a_bundle_is_read_back_as_it_was_written() {
    let inspect = json!({
        "State": {"Status": "running", "Health": {"Status": "healthy", "Log": [{"Output": "x"}]}},
        "Config": {"Env": ["A=b"]},
    });
    let memory = r#"{"memory_stats": {"usage": 1}}"#;
    for inspect in [Ok(&*inspect.to_string()), Err("it hangs")] {
        let (mut bundle, mask) = before(inspect, Ok(memory));
        bundle.complete(after(Ok(log(3, "x"))), &mask);
        bundle.add(&command("exec 'x'", "output"), &mask);
        let json = bundle.written();
        let text = std::str::from_utf8(&json).expect("UTF-8");
        let mut again = Bundle::read_back(text).expect("ours");
        assert_eq!(again.written(), json);
    }
    let (mut other, _) = before(Ok("{}"), Ok("{}"));
    other.version = VERSION + 1;
    let other = String::from_utf8(other.written()).expect("UTF-8");
    for (text, why) in [("{}", "missing field"), (&*other, "it is of version 2")] {
        let error = Bundle::read_back(text).expect_err("none of ours");
        assert!(error.contains(why), "{error}");
    }
}
