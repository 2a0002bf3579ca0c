//! Rule files and settings: what is accepted, and what the refusals say.

use rules::{RuleSet, Threshold};

/// Loads a rule file's text and expects a refusal that holds all of `words`.
pub(crate) fn refused(toml: &str, words: &[&str]) {
    let error = RuleSet::parse("mine.toml", toml)
        .expect_err(toml)
        .to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
    assert!(!error.contains('\n'), "one line: {error}");
}

fn with(body: &str) -> String {
    format!("[[rule]]\nname = 'a'\nsummary = 's'\nremedy = 'restart'\n{body}\n")
}

#[test]
fn every_key_is_read() {
    let set = RuleSet::parse(
        "mine.toml",
        r#"
            [[rule]]
            name = "my-rule-1"
            summary = "Something broke"
            remedy = "escalate"
            why = "because"
            links = ["https://example.com/"]
            literals = ["it broke"]
            regexes = ['broke \d+ times']
            kernel = true
            threshold = { count = 3, within = "2m" }
            examples = ["it broke", "it BROKE 7 times"]
            counter_examples = ["it broke, repaired"]
            [rule.unless]
            literals = ["repaired"]
            regexes = ['mended by \w+']
        "#,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let rule = set.find("my-rule-1").expect("it is there");
    assert_eq!(rule.summary, "Something broke");
    assert_eq!(rule.remedy, rules::Remedy::Escalate);
    assert_eq!(rule.why, "because");
    assert_eq!(rule.links, ["https://example.com/"]);
    assert_eq!(
        rule.threshold,
        Some(Threshold {
            count: 3,
            within_ms: 120_000
        })
    );
    assert!(rule.kernel);
    assert_eq!(rule.source, "mine.toml");
    assert_eq!(set.check_examples().len(), 0);
    assert!(set.find("another").is_none());
}

#[test]
fn the_documented_example_holds() {
    let document = include_str!("../../docs/rules.md");
    let (_, rest) = document.split_once("```toml\n").expect("an example");
    let (toml, _) = rest.split_once("```").expect("its end");
    let set = RuleSet::parse("docs/rules.md", toml).unwrap_or_else(|error| panic!("{error}"));
    let failures: Vec<String> = set
        .check_examples()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(failures, [""; 0]);
}

#[test]
fn durations_are_text_or_bare_seconds() {
    for (within, ms) in [
        ("60", 60_000),
        ("'60'", 60_000),
        ("'1500ms'", 1_500),
        ("'24h'", 86_400_000),
    ] {
        let toml = with(&format!(
            "literals = ['abc']\nthreshold = {{ count = 1, within = {within} }}"
        ));
        let set = RuleSet::parse("mine.toml", &toml).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            set.rules()[0].threshold.map(|t| t.within_ms),
            Some(ms),
            "{within}"
        );
    }
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    refused("", &["mine.toml", "no rule"]);
    refused("[[rule]\n", &["line 1"]);
    refused(
        "x = 1",
        &["line 1, column 1", "unknown field `x`", "`rule`"],
    );
    refused(
        &with("literal = ['abc']"),
        &["line 5, column 1", "`literal`", "`literals`"],
    );
    refused(
        &with("literals = 'abc'"),
        &["line 5, column 12", "sequence"],
    );
    refused(
        &with(""),
        &["line 1", "`a`", "neither literals nor regexes"],
    );
    refused(
        "[[rule]]\nname='a'\nremedy='note'\nliterals=['abc']",
        &["line 1", "summary"],
    );
    refused(
        "[[rule]]\nname='a'\nsummary='s'\nremedy='reboot'\nliterals=['abc']",
        &["line 4, column 8", "`reboot`", "`escalate`"],
    );
    refused(
        "[[rule]]\nname='A b'\nsummary='s'\nremedy='note'\nliterals=['abc']",
        &["line 2, column 6", "`A b`"],
    );
    refused(
        "[[rule]]\nname='a'\nsummary=' '\nremedy='note'\nliterals=['abc']",
        &["line 3", "summary"],
    );
    refused(
        &(with("literals=['abc']") + &with("literals=['abc']")),
        &["line 7, column 8", "second", "line 2"],
    );
    refused(
        &with("literals = ['abc']\nthreshold = { count = 0, within = '1s' }"),
        &["line 6, column 13", "count"],
    );
    refused(
        &with("literals = ['abc']\nthreshold = { count = 2, within = '1 week' }"),
        &["line 6", "within"],
    );
    refused(
        &with("literals = ['abc']\nthreshold = { count = 2, within = '25h' }"),
        &["within", "24h"],
    );
    refused(
        &with("literals = ['abc']\nthreshold = { count = 2, within = true }"),
        &["line 6", "60s"],
    );
}

#[test]
fn literals_that_cannot_work_are_refused() {
    refused(
        &with("literals = ['okay', '']"),
        &["line 5, column 21", "empty"],
    );
    refused(&with("literals = [\" \\n\"]"), &["empty"]);
    refused(&with("literals = ['memory ']"), &["white space"]);
    refused(&with("literals = [\"\\u001b[31mred\"]"), &["escape"]);
    refused(&with("literals = ['is no']"), &["`is no`", "3 or more"]);
    refused(
        &with("literals = ['abc']\n[rule.unless]\nliterals = ['']"),
        &["line 7", "empty"],
    );
}

#[test]
fn literals_up_to_the_limit_are_taken() {
    let literal = |len| with(&format!("literals = ['{}']", "x".repeat(len)));
    assert!(RuleSet::parse("mine.toml", &literal(rules::LITERAL_BYTES_MAX)).is_ok());
    refused(
        &literal(rules::LITERAL_BYTES_MAX + 1),
        &["513 bytes", "at most 512"],
    );
    let many = |n| with(&format!("literals = [{}]", "'abc',".repeat(n)));
    assert!(RuleSet::parse("mine.toml", &many(rules::PATTERNS_PER_RULE_MAX)).is_ok());
    refused(
        &many(rules::PATTERNS_PER_RULE_MAX + 1),
        &["257 literals", "at most 256"],
    );
}

#[test]
fn regexes_that_cannot_work_are_refused() {
    let regex = |pattern: &str| with(&format!("regexes = ['{pattern}']"));
    for empty in ["(?:abc)*", "a?", "^$", "^ *$", "", "abc|"] {
        refused(&regex(empty), &["line 5, column 12", "empty line"]);
    }
    refused(&regex("(abc"), &["cannot be read", "character 1"]);
    refused(&regex(r"(abc)\1"), &["cannot be read"]);
    refused(&regex("(?=abc)"), &["cannot be read"]);
    refused(&regex("(?u)abc"), &["ASCII"]);
    refused(&regex("(?-i:abc)"), &["without case"]);
    refused(&regex("[ä]bc"), &["cannot be used"]);
    refused(&regex(r"\d+ \d+"), &["no word"]);
    refused(&regex("[a-z]{1,20}"), &["no word"]);
    refused(
        &regex("abc(?:[a-z]{1,99}[0-9]{1,99}){99}"),
        &["compiles to more than"],
    );
    refused(
        &regex(&("(".repeat(60) + "abc" + &")".repeat(60))),
        &["cannot be read"],
    );
    refused(&regex(&"abc".repeat(1_400)), &["4200 bytes"]);
    assert!(RuleSet::parse("mine.toml", &regex("(?i)abc(?s:.)äö(?x: d )")).is_ok());
}

#[test]
fn settings_name_packs_and_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mine.toml");
    let path = path.to_str().expect("UTF-8");
    std::fs::write(path, with("literals = ['my own trouble']")).expect("written");
    let set = RuleSet::load(&format!(" {path} , gpu")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.rules()[0].name, "a");
    assert_eq!(set.rules()[0].source, path);
    assert_eq!(
        set.rules()[1].source,
        "rocm",
        "`gpu` stands for the other packs"
    );

    let refused = |setting: &str, words: &[&str]| {
        let error = RuleSet::load(setting).expect_err(setting).to_string();
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{words:?}: {error}"
        );
    };
    refused("", &["empty entry", "gpu"]);
    refused("gpu,,gpu", &["empty entry"]);
    refused("gpu,gpu", &["`gpu` stands twice"]);
    refused("gpu,cuda", &["`cuda` stands twice", "`gpu` stands for all"]);
    assert!(RuleSet::load("xid,cuda").is_ok());
    refused("cuda-pack", &["unknown pack `cuda-pack`", "gpu", ".toml"]);
    refused(
        "/nowhere/x.toml",
        &["/nowhere/x.toml", "cannot be read", "No such file"],
    );
    refused(dir.path().to_str().expect("UTF-8"), &["not a regular file"]);
    std::fs::write(path, b"# fine\n# \xff\n").expect("written");
    refused(path, &["not UTF-8 in line 2"]);
    std::fs::write(path, vec![b'#'; rules::FILE_BYTES_MAX + 1]).expect("written");
    refused(path, &["larger than 1048576 bytes"]);
    std::fs::write(path, vec![b'a'; 10_000_000]).expect("written");
    refused(path, &["larger than 1048576 bytes", "split it"]);
    refused(
        &vec!["/x"; rules::SOURCES_MAX + 1].join(","),
        &["65 packs and files", "at most 64"],
    );
}

#[test]
fn as_many_rules_as_allowed_load_and_more_are_refused() {
    let many = |n: usize| -> String {
        (0..n)
            .map(|n| {
                format!(
                    "[[rule]]\nname='r{n}'\nsummary='s'\nremedy='note'\nliterals=['word{n:05}']\n"
                )
            })
            .collect()
    };
    let set =
        RuleSet::parse("mine.toml", &many(rules::RULES_MAX)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(set.rules().len(), rules::RULES_MAX);
    assert!(set.candidate(b"... word01999", 0).is_some());
    assert_eq!(set.candidate(b"... word02000", 0), None);
    refused(&many(10_000), &["line 10001", "more than 2000 rules"]);
}

/// Sizes at the limits load, in a time that no start-up minds; beyond them there is a clear no.
#[test]
fn sets_at_their_limits_load() {
    let rules = |rules: usize, key: &str, patterns: usize| -> String {
        let list = |n: usize| {
            (0..patterns)
                .map(|m| format!("'word{n}x{m}'"))
                .collect::<Vec<_>>()
        };
        (0..rules)
            .map(|n| {
                let list = list(n).join(",");
                format!("[[rule]]\nname='r{n}'\nsummary='s'\nremedy='note'\n{key}=[{list}]\n")
            })
            .collect()
    };
    let per_rule = 200;
    let start = std::time::Instant::now();
    let fits = rules(rules::NEEDS_MAX / per_rule, "literals", per_rule);
    assert!(RuleSet::parse("mine.toml", &fits).is_ok());
    let fits = rules(rules::REGEXES_MAX / per_rule, "regexes", per_rule);
    assert!(RuleSet::parse("mine.toml", &fits).is_ok());
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    refused(
        &rules(rules::NEEDS_MAX / per_rule + 1, "literals", per_rule),
        &["20000 literals"],
    );
    refused(
        &rules(rules::REGEXES_MAX / per_rule + 1, "regexes", per_rule),
        &["2000 regexes"],
    );
}

/// Files made to break a parser are refused or loaded, and quickly.
#[test]
fn hostile_files_are_refused() {
    let start = std::time::Instant::now();
    let size = rules::FILE_BYTES_MAX;
    for toml in [
        "[".repeat(size),
        format!("a = {}", "[".repeat(size)),
        format!("a = {}", "{a=".repeat(size / 3)),
        format!("{}a = 1", "a.".repeat(size / 2)),
        format!("[{}a]", "a.".repeat(size / 2)),
        "[[rule]]\n".repeat(size / 9),
        "\"".repeat(size),
        "a=1\n".repeat(size / 4),
        "\0".repeat(size),
        with(&format!("literals = ['{}']", "x".repeat(size))),
        with(&format!("regexes = ['{}']", "(a+)+".repeat(800))),
    ] {
        let error = RuleSet::parse("mine.toml", &toml)
            .expect_err("refused")
            .to_string();
        assert!(error.len() < 2_000, "{} bytes of error", error.len());
    }
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn examples_that_fail_are_told() {
    let toml = with(
        "literals = ['abc']\nexamples = ['abd', 'xabc']\ncounter_examples = ['ABC!', 'x']",
    ) + "[[rule]]\nname='b'\nsummary='s'\nremedy='note'\nliterals=['abc def']\nexamples=['abc def']\n";
    let set = RuleSet::parse("mine.toml", &toml).unwrap_or_else(|error| panic!("{error}"));
    let told: Vec<String> = set
        .check_examples()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "rule `a` does not match its example `abd`",
            "rule `a` matches its counter-example `ABC!`",
            "the example `abc def` of rule `b` is taken by rule `a`, which comes first",
        ]
    );
}
