use std::path::{Path, PathBuf};

use super::*;
use crate::check::finding::Level;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conf")
        .join(name)
}

fn found(path: &Path) -> Vec<String> {
    let mut findings = Findings::default();
    check(path, &Config::default(), &mut findings);
    let dir = format!("{}/", path.parent().unwrap().display());
    let dir = dir.as_str();
    findings
        .0
        .iter()
        .map(|f| {
            let line = format!("{:?} {}: {} -> {}", f.level, f.about, f.text, f.advice);
            line.replace(dir, "")
        })
        .collect()
}

/// Findings other than ok of a file with this text, `plugins.conf` beside it.
fn judge(name: &str, text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::copy(shipped("plugins.conf"), dir.path().join("plugins.conf")).unwrap();
    let mut found = found(&dir.path().join(name));
    found.retain(|line| !line.starts_with("Ok"));
    found
}

/// The shipped classic file with one line put in the place of another.
fn changed(from: &str, to: &str) -> Vec<String> {
    let text = std::fs::read_to_string(shipped("fluent-bit.conf")).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| match squeezed(line) == from {
            true => to,
            false => line,
        })
        .collect();
    let new = lines.join("\n");
    assert_ne!(new, text.trim_end(), "{from} is not in the shipped file");
    // Its lines move; places are held to in the other tests.
    let unplaced = |line: &String| {
        let (before, after) = line.split_once(".conf:")?;
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        Some(format!("{before}.conf{after}"))
    };
    judge("fluent-bit.conf", &new)
        .iter()
        .map(|line| unplaced(line).unwrap_or_else(|| line.clone()))
        .collect()
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_shipped_files_are_as_they_should_be() {
    for name in [
        "fluent-bit.conf",
        "fluent-bit.yaml",
        "fluent-bit.compose.conf",
    ] {
        let found = found(&shipped(name));
        assert_eq!(found.len(), 2, "{name}: {found:#?}");
        assert!(
            found.iter().all(|line| line.starts_with("Ok ")),
            "{found:#?}"
        );
    }
}

#[test]
fn each_fault_of_the_output_is_found() {
    for (from, to, expected) in [
        (
            "Ack_Timeout 250ms",
            "    Ack_Timout 250ms",
            "Fail fluent-bit.conf: unknown key Ack_Timout, which has no effect -> did you mean ack_timeout?",
        ),
        (
            "Ack_Timeout 250ms",
            "    Colour blue",
            "unknown key Colour, which has no effect -> the plugin's keys are name, socket",
        ),
        (
            "Ack_Timeout 250ms",
            "    Ack_Timeout soon",
            "Fail fluent-bit.conf: Ack_Timeout \"soon\" is not a duration",
        ),
        (
            "Ack_Timeout 250ms",
            "    Ack_Timeout 31s",
            "is not between 1ms and 30s",
        ),
        (
            "Ack_Timeout 250ms",
            "    tls On",
            "tls is on, and Fluent Bit does not start",
        ),
        (
            "Ack_Timeout 250ms",
            "    net.keepalive on",
            "Warn fluent-bit.conf: net.keepalive has no effect",
        ),
        (
            "Ack_Timeout 250ms",
            "    Target record",
            "Target is given twice",
        ),
        (
            "Ack_Timeout 250ms",
            "    Dry_Run on",
            "Warn fluent-bit.conf: Dry_Run is on: nothing is sent",
        ),
        (
            "Ack_Timeout 250ms",
            "    Dry_Run maybe",
            "Fail fluent-bit.conf: Dry_Run \"maybe\" is neither on nor off",
        ),
        (
            "Ack_Timeout 250ms",
            "    Log_Key log,,msg",
            "has an empty name between commas",
        ),
        (
            "Ack_Timeout 250ms",
            "    Log_Key log,*",
            "has * beside names",
        ),
        (
            "Target auto",
            "    Target my container",
            "is neither auto, record or kernel nor a container's name",
        ),
        (
            "Rules ${HEALER_RULES}",
            "    Rules gpuu",
            "Fail fluent-bit.conf: Rules: ",
        ),
        (
            "Rules ${HEALER_RULES}",
            "    Rules ${ELSEWHERE}",
            "Rules depends on ${ELSEWHERE} of Fluent Bit's environment",
        ),
        (
            "Socket ${HEALER_SOCKET}",
            "    Socket intents.sock",
            "is not an absolute path",
        ),
        (
            "Socket ${HEALER_SOCKET}",
            "    Socket /run/other.sock",
            "Warn fluent-bit.conf: Socket /run/other.sock is not the executor's",
        ),
        (
            "Socket ${HEALER_SOCKET}",
            "    Socket /run/healer-admin/admin.sock",
            "is the executor's admin socket",
        ),
        (
            "Match docker.*",
            "    Alias x",
            "Fail fluent-bit.conf: no Match: no record ever gets here",
        ),
        (
            "Match docker.*",
            "    Match other.*",
            "no [INPUT] has a tag that Match other.* takes",
        ),
        (
            "Retry_Limit no_limits",
            "",
            "no Retry_Limit: after one retry a match is lost",
        ),
        (
            "Retry_Limit no_limits",
            "    Retry_Limit 3",
            "after 3 retries a match is lost",
        ),
        (
            "Retry_Limit no_limits",
            "    Retry_Limit many",
            "Fail fluent-bit.conf: Retry_Limit \"many\" is read as 1",
        ),
        (
            "storage.total_limit_size 64M",
            "",
            "no storage.total_limit_size",
        ),
        (
            "Retry_Limit no_limits",
            "    Retry_Limit no_limits\n    Workers 1",
            "Workers 1: Fluent Bit starts each of them twice",
        ),
        (
            "Name healer",
            "    Name stdout",
            "no [OUTPUT] is named healer",
        ),
    ] {
        let found = changed(from, to);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{to}: {expected} is not in {found:#?}"
        );
    }
}

#[test]
fn each_fault_of_input_and_service_is_found() {
    for (from, to, expected) in [
        (
            "storage.type filesystem",
            "",
            "what waits for the executor dies with Fluent Bit",
        ),
        (
            "storage.type filesystem",
            "    Mem_Buf_Limit 5M",
            "when it is reached this input stops for every output",
        ),
        (
            "DB ${HEALER_STATE}/healer-tail.db",
            "",
            "no DB: after a restart of Fluent Bit",
        ),
        ("Skip_Long_Lines On", "", "Skip_Long_Lines is off"),
        (
            "storage.path ${HEALER_STATE}/healer-storage",
            "",
            "Fail fluent-bit.conf: an input has storage.type filesystem, but there is no storage.path",
        ),
        (
            "scheduler.base 1",
            "",
            "scheduler.base is not set, and 5 s by default",
        ),
        (
            "scheduler.cap 5",
            "    scheduler.cap 600",
            "scheduler.cap is 600 s",
        ),
        ("Flush 0.01", "    Flush 5", "flush is 5 s"),
        (
            "Flush 0.01",
            "    Flush often",
            "flush \"often\" is not a number of seconds",
        ),
        ("Health_Check On", "", "health_check is not on"),
        (
            "Plugins_File ${HEALER_CONF}/plugins.conf",
            "",
            "names out_healer.so",
        ),
    ] {
        let found = changed(from, to);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{from}: {expected} is not in {found:#?}"
        );
    }
}

/// A whole configuration around these inputs and this target.
fn with(inputs: &str, target: &str) -> Vec<String> {
    let text = format!(
        "[SERVICE]\n Flush 0.01\n scheduler.base 1\n scheduler.cap 5\n HTTP_Server On\n Health_Check On\n storage.path /x\n Plugins_File plugins.conf\n{inputs}[OUTPUT]\n Name healer\n Match *\n Target {target}\n Retry_Limit no_limits\n storage.total_limit_size 1M\n"
    );
    judge("x.conf", &text)
}

fn input(lines: &[&str]) -> String {
    let keys: String = lines.iter().map(|line| format!(" {line}\n")).collect();
    format!("[INPUT]\n{keys} storage.type filesystem\n DB /x\n Skip_Long_Lines On\n")
}

#[test]
fn only_what_the_host_vouches_for_may_name_a_container() {
    let chooses = "the sender of a record chooses the tag of this";
    for (lines, target, expected) in [
        (&["Name forward"][..], "auto", Some(chooses)),
        (&["Name tcp"], "auto", Some(chooses)),
        (&["Name http"], "auto", Some(chooses)),
        (
            &["Name http", "Tag docker.app"],
            "auto",
            Some("even where Tag is set"),
        ),
        (
            &["Name forward", "Tag docker.app", "Tag_Prefix x"],
            "auto",
            Some("even where Tag is set"),
        ),
        (
            &["Name forward", "Tag docker.app"],
            "auto",
            Some("Warn x.conf:9: with Target auto whoever may send"),
        ),
        (&["Name forward"], "app", None),
        (&["Name forward", "Listen 127.0.0.1"], "record", None),
        (&["Name forward", "Unix_Path /run/fwd.sock"], "record", None),
        (
            &["Name forward"],
            "record",
            Some("whoever may send to this forward input names the container"),
        ),
        (&["Name systemd"], "record", None),
        (
            &["Name systemd"],
            "auto",
            Some("hold no path: Target auto finds no container"),
        ),
        (&["Name kmsg"], "kernel", None),
        (
            &["Name tail", "Tag docker.*"],
            "kernel",
            Some("Fail x.conf:9: Target kernel takes kernel records only, and tail gives others"),
        ),
        (&["Name tail", "Tag docker.*"], "auto", None),
        (&["Name tail", "Path_Key filepath"], "auto", None),
        (
            &["Name tail", "Tag app"],
            "auto",
            Some("neither the tag nor a Path_Key holds the path"),
        ),
        (
            &["Name tail", "Path_Key path"],
            "auto",
            Some("Path_Key is \"path\" here and \"filepath\" in the output"),
        ),
    ] {
        let found = with(&input(lines), target);
        match expected {
            Some(expected) => assert!(
                found.iter().any(|line| line.contains(expected)),
                "{lines:?} {target}: {expected} is not in {found:#?}"
            ),
            None => assert_eq!(found, Vec::<String>::new(), "{lines:?} {target}"),
        }
    }
}

#[test]
fn a_file_that_fluent_bit_refuses_is_refused() {
    for (name, text, expected) in [
        ("x.conf", "[OUTPUT\n", "x.conf:1: [SECTION] without its ]"),
        (
            "x.conf",
            " Name x\n",
            "x.conf:1: a key outside any [SECTION]",
        ),
        ("x.conf", "[OUTPUT]\nName x\n", "x.conf:2: is not indented"),
        (
            "x.conf",
            "[OUTPUT]\n  Name x\n Match *\n",
            "x.conf:3: is not indented as the first key",
        ),
        (
            "x.conf",
            "[OUTPUT]\n  Name x\n     Match *\n",
            "x.conf:3: is indented more",
        ),
        (
            "x.conf",
            "[OUTPUT]\n Name\n",
            "x.conf:2: \"Name\" has no value",
        ),
        (
            "x.conf",
            "[OUTPUT]\n Name\thealer\n",
            "has no value (key and value are parted by a space)",
        ),
        (
            "x.conf",
            "[OUTPUT]\n   Name x\n \n",
            "x.conf:3: is not indented as the first key",
        ),
        ("x.conf", "@INCLUDE none.conf\n", "none.conf: No such file"),
        (
            "x.conf",
            "@INCLUDE none*.conf\n",
            "x.conf:1: includes \"none*.conf\": no such file",
        ),
        ("x.conf", "@INCLUDE x.conf\n", "x.conf: is included twice"),
        ("x.yaml", "a: [b\n", "x.yaml:"),
        (
            "x.yaml",
            "a: &x b\nc: *x\n",
            "x.yaml:2: Fluent Bit knows no YAML aliases",
        ),
        (
            "x.yaml",
            &"[".repeat(100),
            "x.yaml:1: is nested more than 64 deep",
        ),
        ("x.yaml", "", "no [OUTPUT] is named healer"),
        ("x.conf", "\u{0}", "is not indented"),
    ] {
        let found = judge(name, text);
        assert_eq!(found.len(), 1, "{text:?}: {found:#?}");
        assert!(found[0].starts_with("Fail "), "{found:#?}");
        assert!(
            found[0].contains(expected),
            "{text:?}: {expected} is not in {found:#?}"
        );
    }
}

#[test]
fn included_files_and_groups_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "main.conf",
        "@SET T=auto\r\n@INCLUDE out-*.conf\n[INPUT]\n Name tail\n [PROCESSOR]\n  Colour blue\n Tag app.*\n",
    );
    write(
        "out-1.conf",
        "[OUTPUT]\n\tName healer\n\tMatch app.*\n\tTarget ${T}\n\tColour blue\n",
    );
    let found = found(&dir.path().join("main.conf"));
    let unknown: Vec<_> = found.iter().filter(|l| l.contains("unknown key")).collect();
    assert_eq!(unknown.len(), 1, "{found:#?}");
    assert!(unknown[0].starts_with("Fail out-1.conf:5: "), "{found:#?}");
    assert!(
        !found.iter().any(|l| l.contains("no [INPUT]")),
        "{found:#?}"
    );

    write("main.yaml", "includes:\n  - part.yaml\nenv:\n  T: auto\n");
    write(
        "part.yaml",
        "pipeline:\n  outputs:\n    - name: healer\n      match: '*'\n      retryLimit: no_limits\n      logKeys: x\n      target: ${T}\n",
    );
    let found = self::found(&dir.path().join("main.yaml"));
    assert!(
        found.iter().any(|l| l.starts_with(
            "Fail part.yaml:6: unknown key logKeys, which has no effect -> did you mean log_key?"
        )),
        "{found:#?}"
    );
    assert!(
        !found.iter().any(|l| l.contains("Retry_Limit")),
        "{found:#?}"
    );
}

#[test]
fn the_sum_counts_by_level() {
    let mut findings = Findings::default();
    findings.ok("a", "b");
    findings.warn("c", "d", "e");
    assert_eq!(findings.worst(), Level::Warn);
    assert_eq!(
        findings.draw(),
        "ok    a: b\nwarn  c: d\n      -> e\n1 ok, 1 to look at, 0 failed\n"
    );
}

#[test]
fn a_filter_that_leaves_only_the_applications_keys_is_found() {
    let believed = "would be believed by Target record";
    for (filter, target, expected) in [
        ("Name parser", "record", true),
        ("Name parser\n Reserve_Data Off", "record", true),
        ("Name parser\n Reserve_Data On", "record", false),
        ("Name grep", "record", false),
        ("Name parser", "app", false),
    ] {
        let input = input(&["Name systemd"]);
        let found = with(&format!("{input}[FILTER]\n {filter}\n"), target);
        let is_found = found.iter().any(|line| line.contains(believed));
        assert_eq!(is_found, expected, "{filter} {target}: {found:#?}");
    }
}

#[test]
fn what_lets_an_application_choose_the_container_is_found() {
    let by_tag = input(&[
        "Name tail",
        "Tag docker.*",
        "Path /var/lib/docker/containers/*/*-json.log",
        "Parser docker",
        "Path_Key filepath",
    ]);
    let by_key = by_tag.replace("docker.*", "docker");
    let neither = input(&["Name tail", "Tag app.*", "Path /srv/*.log", "Parser json"]);
    let believed = "a filepath in an application's text would be believed by Target auto";
    let from_text = "is made of the record's text";
    for (input, filter, expected) in [
        (&by_tag, "Name parser\n Match *", None),
        (&by_key, "Name parser\n Match *", Some(believed)),
        (&by_key, "Name parser\n Match *\n Reserve_Data On", None),
        (&by_key, "Name parser\n Match kernel", None),
        (&by_key, "Name parser\n Match_Regex ^d", Some(believed)),
        (&by_key, "Name parser\n Match ${M}", Some(believed)),
        (&by_key, "Name grep\n Match *", None),
        (&by_key, "Name modify\n Match *\n Remove filepath", None),
        (
            &by_key,
            "Name modify\n Match *\n Hard_rename mine filepath",
            Some(believed),
        ),
        (
            &by_key,
            "Name modify\n Match *\n Rename mine filepath",
            None,
        ),
        (&by_key, "Name lua\n Match *", Some("cannot be judged")),
        (&by_key, "Name kubernetes\n Match *\n Merge_Log On", None),
        (
            &by_key,
            "Name nest\n Match *\n Operation lift\n[FILTER]\n Name record_modifier\n Match *\n Remove_key filepath",
            Some(believed),
        ),
        (
            &by_key,
            "Name nest\n Match *\n Operation lift\n[FILTER]\n Name nest\n Match *\n Operation nest\n Wildcard file*",
            Some(believed),
        ),
        (
            &neither,
            "Name grep\n Match *",
            Some("this parser makes keys of the text"),
        ),
        (
            &by_tag,
            "Name rewrite_tag\n Match *\n Rule $log ^(.*)$ app.$1 false",
            Some(from_text),
        ),
        (
            &by_tag,
            "Name rewrite_tag\n Match *\n Rule $log ^(.*)$ app.$TAG false",
            None,
        ),
        (
            &by_tag,
            "Name rewrite_tag\n Match *\n Rule $log ^(.*)$ app false\n[FILTER]\n Name parser\n Match *",
            Some(believed),
        ),
    ] {
        let found = with(&format!("{input}[FILTER]\n {filter}\n"), "auto");
        match expected {
            Some(expected) => assert!(
                found.iter().any(|line| line.contains(expected)),
                "{filter}: {expected} is not in {found:#?}"
            ),
            None => assert_eq!(found, Vec::<String>::new(), "{filter}"),
        }
    }
}

#[test]
fn an_input_that_makes_no_keys_is_no_input_for_target_record() {
    let tail = input(&["Name tail", "Tag docker.*"]);
    let found = with(&tail, "record");
    assert!(
        found
            .iter()
            .any(|line| line.contains("has to write the container's keys, and tail does not")),
        "{found:#?}"
    );
    let found = with(
        &format!("{tail}[FILTER]\n Name kubernetes\n Match *\n"),
        "record",
    );
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn processors_of_an_input_are_worth_a_look() {
    let text = "pipeline:\n  inputs:\n    - name: tail\n      tag: docker\n      path_key: filepath\n      processors:\n        logs:\n          - name: lua\n  outputs:\n    - name: healer\n      match: '*'\n";
    let found = judge("x.yaml", text);
    assert!(
        found
            .iter()
            .any(|line| line.contains("these processors cannot be judged")),
        "{found:#?}"
    );
}
