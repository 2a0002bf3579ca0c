//! Which container a record belongs to: only the host may say.

use super::*;

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
