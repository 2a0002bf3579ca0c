//! The files themselves: what Fluent Bit refuses, includes and groups.

use super::*;

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
