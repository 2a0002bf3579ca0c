//! `healer rules` and `healer explain`, word for word where a person acts on the words.

use super::support::{Place, err, healer, out, run};

#[test]
fn the_list_has_every_rule_with_its_remedy_and_pack() {
    let output = run(&mut healer(&["rules", "list", "--rules", "cuda,xid"]), b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shown = out(&output);
    let row = |name: &str| {
        let row = shown
            .lines()
            .find(|row| row.split_whitespace().next() == Some(name));
        row.unwrap_or_else(|| panic!("{name}: {shown}"))
            .split_whitespace()
            .take(4)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("RULE"), ["RULE", "REMEDY", "LINES", "FROM"]);
    assert_eq!(
        row("cuda-oom"),
        ["cuda-oom", "restart", "container", "cuda"]
    );
    assert_eq!(row("xid-card"), ["xid-card", "escalate", "kernel", "xid"]);
}

#[test]
fn one_rule_is_shown_in_full() {
    let output = run(&mut healer(&["rules", "show", "cuda-device-assert"]), b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shown = out(&output);
    for words in [
        "cuda-device-assert\n",
        "  remedy: restart\n",
        "  lines: containers'\n",
        "  from: cuda\n",
        "  sticky: words of recovery do not excuse it\n",
        "  excused by: talk, code\n",
        "  looks for: device-side assert triggered\n",
        "  matches: RuntimeError: CUDA error: device-side assert triggered\n",
    ] {
        assert!(shown.contains(words), "{words:?} is missing in:\n{shown}");
    }
    let output = run(&mut healer(&["rules", "show", "no-such"]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        "healer: no rule `no-such`; `healer rules list` shows those that there are\n"
    );
}

#[test]
fn a_rule_file_is_tested() {
    let place = Place::new();
    let path = place.path("mine.toml");
    let path = path.to_str().unwrap();
    let rule = "[[rule]]\nname = 'mine'\nsummary = 's'\nremedy = 'note'\nliterals = ['melted']\n";
    let test = |more: &str, flags: &[&str]| {
        std::fs::write(path, format!("{rule}{more}")).unwrap();
        let mut args = vec!["rules", "test", path];
        args.extend(flags);
        let output = run(&mut healer(&args), b"");
        (output.status.code(), out(&output), err(&output))
    };
    assert_eq!(
        test(
            "examples = ['it melted']\ncounter_examples = ['it froze']\n",
            &[]
        ),
        (
            Some(0),
            format!("{path}: 1 rules, 2 examples, 0 failed\n"),
            String::new()
        )
    );
    let (code, told, faults) = test("examples = [\"it\\nfroze\"]\n", &[]);
    assert_eq!(code, Some(1));
    assert_eq!(told, format!("{path}: 1 rules, 1 examples, 1 failed\n"));
    assert_eq!(
        faults,
        format!("healer: {path}: rule `mine` does not match its example `it\\nfroze`\n")
    );
    let (code, told, faults) = test("liteals = ['x']\n", &[]);
    assert_eq!((code, &*told), (Some(2), ""));
    assert!(
        faults.contains("mine.toml, line 6, column 1: unknown field `liteals`"),
        "{faults}"
    );
    let confirm = "confirm = { by = ['rule:cuda-oom'], within = '10s' }\n";
    assert_eq!(test(confirm, &[]).0, Some(2));
    assert_eq!(test(confirm, &["--with", "cuda"]).0, Some(0));
}

#[test]
fn an_explanation_says_what_matched_why_and_what_to_do() {
    let line = "RuntimeError: CUDA error: device-side assert triggered";
    let output = run(&mut healer(&["explain", "--rules", "cuda", line]), b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shown = out(&output);
    assert!(
        shown.starts_with("matches cuda-device-assert: restart\n  An assertion failed on the GPU"),
        "{shown}"
    );
    for words in [
        "\n  why: ",
        "\n  see: https://docs.nvidia.com/",
        "\nrules that looked, in order of precedence:\n",
        "\n  cuda-device-assert: found `device-side assert triggered`\n",
        ", but cuda-device-assert comes first\n",
    ] {
        assert!(shown.contains(words), "{words:?} is missing in:\n{shown}");
    }
}

#[test]
fn what_a_rule_wants_confirmed_is_shown_and_explained() {
    let place = Place::new();
    let path = place.path("mine.toml");
    let rule = "[[rule]]\nname = 'mine'\nsummary = 's'\nremedy = 'restart'\n\
                literals = ['melted']\n\
                confirm = { by = ['unhealthy', 'rule:cuda-oom'], within = '90s' }\n";
    std::fs::write(&path, rule).unwrap();
    let rules = format!("cuda,{}", path.display());
    let words = "an unhealthy container, or rule `cuda-oom`, within 90 s\n";
    let shown = run(
        &mut healer(&["rules", "show", "--rules", &rules, "mine"]),
        b"",
    );
    let shown = out(&shown);
    assert!(
        shown.contains(&format!("  confirmed by: {words}")),
        "{shown}"
    );
    let told = run(
        &mut healer(&["explain", "--rules", &rules, "it melted"]),
        b"",
    );
    let told = out(&told);
    assert!(
        told.contains(&format!("  to be confirmed by {words}")),
        "{told}"
    );
}

#[test]
fn an_explanation_says_what_excused_a_line_and_reads_records_from_stdin() {
    let explain = |args: &[&str], input: &[u8]| {
        let args = [&["explain", "--rules", "gpu"], args].concat();
        let output = run(&mut healer(&args), input);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    let record =
        br#"{"log":"CUDA out of memory, retrying with half the batch\n","stream":"stderr"}"#;
    let shown = explain(&["-"], record);
    assert!(shown.starts_with("no rule matches\n"), "{shown}");
    assert!(
        shown.contains("\n  cuda-oom: found `cuda out of memory`, but excused: `")
            && shown.contains("`, by the set `recovery`\n"),
        "{shown}"
    );
    let xid = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.";
    assert!(explain(&["--kernel", xid], b"").starts_with("matches xid-card: escalate\n"));
    let shown = explain(&["--container", xid], b"");
    assert!(
        shown.contains("\n  xid-card: looks at the kernel's lines only\n"),
        "{shown}"
    );
    assert_eq!(
        explain(&["all is well"], b""),
        "no rule matches\nno rule looked: the line holds no word that one of them needs\n"
    );
}
