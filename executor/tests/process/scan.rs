//! `healer scan`: its output word for word, its pipes, and what it sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use super::support::{Place, err, healer, out, run, serve};

const ID: &str = "a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e0";

#[test]
fn json_gives_one_object_for_each_line_in_order() {
    let input = br#"RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB
hello

{"log":"RuntimeError: CUDA out of memory\n","stream":"stderr","time":"2025-10-20T21:07:32.5Z"}
{"message":"fine","log":"fine","log":"CUDA out of memory"}
{"log":"fine","other":"CUDA out of memory"}
{"log":7}
{broken CUDA out of memory
last line without newline: CUDA out of memory"#;
    let output = run(&mut healer(&["scan", "--json", "--rules", "gpu"]), input);
    assert_eq!(err(&output), "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        out(&output),
        "\
{\"line\":1,\"rule\":\"cuda-oom\",\"remedy\":\"restart\"}
{\"line\":2,\"rule\":null}
{\"line\":3,\"rule\":null}
{\"line\":4,\"rule\":\"cuda-oom\",\"remedy\":\"restart\"}
{\"line\":5,\"rule\":\"cuda-oom\",\"remedy\":\"restart\"}
{\"line\":6,\"rule\":null}
{\"line\":7,\"rule\":null}
{\"line\":8,\"rule\":\"cuda-oom\",\"remedy\":\"restart\"}
{\"line\":9,\"rule\":\"cuda-oom\",\"remedy\":\"restart\"}
"
    );
}

#[test]
fn for_people_only_matches_are_shown_and_do_nothing_to_the_terminal() {
    let input = b"fine\n\x1b[31mCUDA out of memory\x1b[0m \xff\x07 here\n";
    let output = run(&mut healer(&["scan"]), input);
    let shown = out(&output);
    assert!(shown.starts_with("line 2: cuda-oom (restart): "), "{shown}");
    assert!(shown.ends_with(" here\n1 of 2 lines match\n"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}

#[test]
fn a_file_is_read_and_a_missing_one_said() {
    let place = Place::new();
    let file = place.path("app.log");
    std::fs::write(&file, "CUDA out of memory\n").unwrap();
    let output = run(
        &mut healer(&["scan", "--json", file.to_str().unwrap()]),
        b"",
    );
    assert!(out(&output).contains("cuda-oom"));
    for (path, said) in [
        ("/none.log", "/none.log: No such file"),
        ("/", "/: is a directory"),
    ] {
        let output = run(&mut healer(&["scan", path]), b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn lines_are_shown_as_they_come() {
    let mut child = healer(&["scan", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for number in 1..=2 {
        stdin.write_all(b"hello\n").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{{\"line\":{number},\"rule\":null}}\n"));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = healer(&["scan", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    // Far more than the pipes hold: ends only because the program does.
    let block = b"hello\n".repeat(10_000);
    while stdin.write_all(&block).is_ok() {}
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(said, "");
}

#[test]
fn an_overlong_line_is_cut_and_said() {
    let mut input = vec![b'x'; 16 * 1024 * 1024];
    input.extend(b"CUDA out of memory\nCUDA out of memory\n");
    let output = run(&mut healer(&["scan", "--json"]), &input);
    assert_eq!(
        out(&output),
        "{\"line\":1,\"rule\":null}\n{\"line\":2,\"rule\":\"cuda-oom\",\"remedy\":\"restart\"}\n"
    );
    assert!(
        err(&output).contains("line 1 has more than 16777216 bytes"),
        "{}",
        err(&output)
    );
}

/// A Docker record of this second, with the file that it stands in.
fn record(second: u32, text: &str) -> String {
    let path = format!("/var/lib/docker/containers/{ID}/{ID}-json.log");
    let record = json!({
        "log": format!("{text}\n"),
        "time": format!("2025-10-20T16:47:{second:02}.500000000Z"),
        "filepath": path,
    });
    format!("{record}\n")
}

/// Sends records to an executor that answers with `decision`; its code, what
/// it said, and what was sent.
fn send(target: &str, input: &str, decision: Option<&'static str>) -> (i32, String, Vec<Value>) {
    let place = Place::new();
    let sent = serve(&place.path("intents.sock"), move |intent| {
        decision.map(|decision| {
            json!({"v":1,"id":intent["id"],"decision":decision,"gate":"cooldown",
                   "detail":"Cooldown active (45s < 300s)"})
        })
    });
    let output = run(
        &mut place.healer(&["scan", "--send", "--target", target]),
        input.as_bytes(),
    );
    let sent = sent.lock().unwrap().clone();
    let said = format!("{}{}", out(&output), err(&output));
    (output.status.code().unwrap(), said, sent)
}

#[test]
fn matches_become_one_intent_for_each_rule_with_their_own_times() {
    let input = [
        record(31, "RuntimeError: CUDA out of memory"),
        record(32, "RuntimeError: CUDA out of memory"),
        record(32, "hello"),
        record(32, "CUDA error: device-side assert triggered"),
        record(32, "RuntimeError: CUDA out of memory, again"),
    ]
    .concat();
    let (code, said, sent) = send("app", &input, Some("restart"));
    assert_eq!(code, 0, "{said}");
    assert_eq!(sent.len(), 2);
    let oom = sent.iter().find(|i| i["rule"] == "cuda-oom").unwrap();
    assert_eq!(oom["v"], 1);
    assert_eq!(oom["type"], "intent");
    assert_eq!(oom["target"], json!({"name": "app"}));
    assert_eq!(oom["remedy"], "restart");
    assert_eq!(
        oom["times"],
        json!([[1_760_978_851, 1], [1_760_978_852, 2]])
    );
    assert_eq!(oom["last"], json!([1_760_978_852, 500_000_000]));
    assert_eq!(oom["source"], "scan");
    assert_eq!(oom["sample"], "RuntimeError: CUDA out of memory ");
    assert!(
        said.contains("cuda-oom: restart: Cooldown active (45s < 300s)\n"),
        "{said}"
    );
}

#[test]
fn the_same_input_has_the_same_id_and_another_time_another() {
    let id = |target, input: &str| send(target, input, Some("restart")).2[0]["id"].clone();
    let first = record(31, "CUDA out of memory");
    assert_eq!(id("app", &first), id("app", &first));
    assert_ne!(
        id("app", &first),
        id("app", &record(32, "CUDA out of memory"))
    );
    assert_ne!(
        id("app", &first),
        id("app", &record(31, "CUDA out of memory!"))
    );
    assert_ne!(id("app", &first), id("web", &first));
    // Without a time of its own a line is new each time it is seen.
    assert_ne!(
        id("app", "CUDA out of memory\n"),
        id("app", "CUDA out of memory\n")
    );
}

#[test]
fn auto_takes_the_container_from_the_path_that_the_tail_input_adds() {
    let other = ID.replace('a', "b");
    let oom = record(31, "CUDA out of memory");
    let doubled = oom.replace("{\"filepath\"", "{\"filepath\":\"x\",\"filepath\"");
    let two = oom.replacen(ID, &other, 1);
    assert_ne!(oom, doubled);
    assert_ne!(oom, two);
    let (code, said, sent) = send(
        "auto",
        &[&*oom, &doubled, &two, "CUDA out of memory\n"].concat(),
        Some("restart"),
    );
    assert_eq!(code, 0, "nothing that a second try could mend: {said}");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["target"], json!({"id": ID}));
    assert!(
        said.contains("3 matches name no container and were not sent"),
        "{said}"
    );
}

#[test]
fn what_the_executor_answers_decides_the_exit_code() {
    let input = record(31, "CUDA out of memory");
    for (decision, code, words) in [
        (Some("restart"), 0, "cuda-oom: restart"),
        (
            Some("pending"),
            0,
            "cuda-oom: pending: Cooldown active (45s < 300s)",
        ),
        (Some("refused"), 0, "cuda-oom: refused"),
        (Some("noted"), 0, "cuda-oom: noted"),
        (Some("escalated"), 0, "cuda-oom: escalated"),
        (Some("error"), 0, "not decided (error)"),
        (Some("retry"), 1, "not decided (retry)"),
        (Some("nonsense"), 1, "the answer is not understood"),
        (None, 1, "the executor closed the connection"),
    ] {
        let (got, said, _) = send("app", &input, decision);
        assert_eq!(got, code, "{decision:?}: {said}");
        assert!(said.contains(words), "{decision:?}: {said}");
    }
}

#[test]
fn an_executor_that_is_away_is_said_and_asked_again_by_the_caller() {
    let place = Place::new();
    let input = record(31, "CUDA out of memory");
    let mut command = place.healer(&["scan", "--send", "--target", "app"]);
    let output = run(&mut command, input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    assert!(said.contains("intents.sock: No such file"), "{said}");
    assert!(said.contains("is `healer run` running?"), "{said}");
    // No match, nothing to deliver.
    let output = run(&mut command, b"hello\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_closed_stdout_keeps_no_intent_from_being_sent() {
    let place = Place::new();
    let sent = serve(&place.path("intents.sock"), |intent| {
        Some(json!({"v":1,"id":intent["id"],"decision":"restart"}))
    });
    let mut child = place
        .healer(&["scan", "--json", "--send", "--target", "app"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&b"hello\n".repeat(100_000)).unwrap();
    stdin.write_all(b"CUDA out of memory\n").unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[test]
fn a_pause_of_the_input_sends_what_there_is() {
    let place = Place::new();
    let (tell, told) = std::sync::mpsc::sync_channel(8);
    serve(&place.path("intents.sock"), move |intent| {
        tell.send(()).unwrap();
        Some(json!({"v":1,"id":intent["id"],"decision":"restart"}))
    });
    let mut child = place
        .healer(&["scan", "--send", "--target", "app"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..2 {
        stdin.write_all(b"CUDA out of memory\n").unwrap();
        // The input stays open: only the pause can have sent it.
        told.recv_timeout(std::time::Duration::from_secs(20))
            .unwrap();
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn kernel_rules_see_a_containers_lines_only_when_told_so() {
    let place = Place::new();
    let rules = place.path("own.toml");
    std::fs::write(
        &rules,
        "[[rule]]\nname = 'xid'\nsummary = 'A kernel record.'\nremedy = 'restart'\nkernel = true\nliterals = ['NVRM: Xid']\nexamples = ['NVRM: Xid 79']\n",
    )
    .unwrap();
    let sent = serve(&place.path("intents.sock"), |intent| {
        Some(json!({"v":1,"id":intent["id"],"decision":"restart"}))
    });
    for (flags, expected) in [(&[][..], 0), (&["--kernel"], 1)] {
        let rules = rules.to_str().unwrap();
        let args = [
            &["scan", "--rules", rules, "--send", "--target", "app"][..],
            flags,
        ]
        .concat();
        let output = run(&mut place.healer(&args), b"NVRM: Xid 79\n");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert_eq!(sent.lock().unwrap().len(), expected);
    }
}
