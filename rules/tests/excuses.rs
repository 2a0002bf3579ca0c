//! Excuses, severities, stickiness and confirmations: what they mean, and what is refused.

use rules::{Confirmation, Finding, Origin, RuleSet, Scratch};

use crate::files::refused;

fn set(toml: &str) -> RuleSet {
    RuleSet::parse("mine.toml", toml).unwrap_or_else(|error| panic!("{error}"))
}

fn matches(set: &RuleSet, line: &str) -> bool {
    set.judge(line.as_bytes(), Origin::Any, &mut Scratch::default())
        .is_some()
}

const RULE: &str = "[[rule]]\nname='a'\nsummary='s'\nremedy='restart'\nliterals=['disk melted']\n";

#[test]
fn what_stands_in_front_of_a_match_can_excuse_it() {
    let set = set(&format!("{RULE}unless = {{ before = ['how to fix'] }}"));
    assert!(!matches(&set, "how to fix: disk melted"));
    assert!(matches(&set, "disk melted; how to fix"));
    assert!(matches(&set, "how to fix\ndisk melted"), "another line");
    assert!(
        matches(&set, "disk melted. how to fix disk melted?"),
        "the first match on a line decides"
    );
    assert!(matches(&set, "how to fix disk melted\ndisk melted"));
}

#[test]
fn a_severity_can_be_asked_for_and_can_excuse() {
    let asks = set(&format!("{RULE}severity = ['error', 'E']"));
    assert!(matches(&asks, "ERROR 05-01 10:11:12 disk melted"));
    assert!(matches(
        &asks,
        "E0501 10:11:12.131415 7 disk.cc:1] disk melted"
    ));
    assert!(!matches(&asks, "INFO 05-01 10:11:12 disk melted"));
    assert!(!matches(&asks, "disk melted"), "it shows none");
    let excuses = set(&format!("{RULE}unless = {{ severity = ['I'] }}"));
    assert!(!matches(
        &excuses,
        "2025-05-01 10:11:12.131415: I disk/disk.cc:1] disk melted"
    ));
    assert!(
        matches(&excuses, "INFO 05-01 10:11:12 disk melted"),
        "a word is no letter"
    );
    assert!(matches(&excuses, "disk melted"));
}

#[test]
fn sets_have_names_and_a_sticky_rule_leaves_recovery_out() {
    let file = |rule: &str| {
        set(&format!(
            "excuses = ['recovery', 'drill']\n[excuse.drill]\nliterals = ['this is a drill']\n{RULE}{rule}"
        ))
    };
    let plain = file("");
    assert_eq!(plain.rules()[0].excuses, ["recovery", "drill"]);
    assert!(matches(&plain, "disk melted"));
    assert!(!matches(&plain, "disk melted, retrying with the other one"));
    assert!(!matches(&plain, "disk melted; this is a drill"));
    let sticky = file("sticky = true");
    assert!(sticky.rules()[0].sticky);
    assert_eq!(sticky.rules()[0].excuses, ["drill"]);
    assert!(matches(&sticky, "disk melted, retrying with the other one"));
    assert!(!matches(&sticky, "disk melted; this is a drill"));
    let own = file("excuses = ['talk']");
    assert!(matches(&own, "disk melted; this is a drill"));
    assert!(!matches(&own, "How do I repair a disk melted by the sun?"));
    assert!(matches(
        &file("excuses = []"),
        "disk melted, retrying with the other one"
    ));
}

#[test]
fn confirmations_are_read_and_checked() {
    let other = "[[rule]]\nname='b'\nsummary='s'\nremedy='note'\nliterals=['smoke']\n";
    let both = set(&format!(
        "{RULE}confirm = {{ by = ['rule:b', 'unhealthy', 'exit'], within = '30s' }}\n{other}"
    ));
    let confirm = both.rules()[0].confirm.as_ref().expect("it is there");
    assert_eq!(confirm.within_ms, 30_000);
    assert_eq!(
        confirm.by,
        [
            Confirmation::Rule("b".into()),
            Confirmation::Unhealthy,
            Confirmation::Exit
        ]
    );
    for (confirm, words) in [
        (
            "{ by = [], within = '1s' }",
            &["line 6, column 11", "nothing"][..],
        ),
        (
            "{ by = ['luck'], within = '1s' }",
            &["line 6, column 19", "`luck`", "unhealthy"],
        ),
        (
            "{ by = ['rule:'], within = '1s' }",
            &["column 19", "`rule:`"],
        ),
        (
            "{ by = ['exit'], within = '2h' }",
            &["line 6, column 11", "at most 1h"],
        ),
        ("{ by = ['exit'], within = 0 }", &["out of range"]),
        (
            "{ by = ['rule:a'], within = '1s' }",
            &["line 6", "confirms itself"],
        ),
        (
            "{ by = ['rule:c'], within = '1s' }",
            &["line 6", "`c`, which there is not"],
        ),
        ("{ by = ['exit'] }", &["line 6", "within"]),
    ] {
        refused(&format!("{RULE}confirm = {confirm}"), words);
    }
}

#[test]
fn mistakes_in_excuses_are_named_with_their_place() {
    refused(
        &format!("{RULE}severity = ['loud']"),
        &["line 6, column 13", "`loud`", "`warning`"],
    );
    refused(
        &format!("{RULE}unless = {{ severity = ['i'] }}"),
        &["line 6, column 24", "`i`", "`I`"],
    );
    refused(
        &format!("{RULE}excuses = ['tlak']"),
        &["line 6, column 12", "`tlak`", "recovery, talk"],
    );
    refused(
        &format!("excuses = ['x']\n{RULE}"),
        &["line 1, column 12", "`x`"],
    );
    refused(
        &format!("{RULE}sticky = true\nexcuses = ['recovery']"),
        &["line 7, column 12", "sticky", "opposite"],
    );
    refused(
        &format!("[excuse.talk]\nliterals=['x']\n{RULE}"),
        &["`talk` is built in"],
    );
    refused(&format!("[excuse.mine]\n{RULE}"), &["`mine` is empty"]);
    refused(
        &format!("[excuse.mine]\nregexes=['(']\n{RULE}"),
        &["line 2", "cannot be read"],
    );
    refused("[excuse.mine]\nliterals=['abc']\n", &["no rule"]);
}

/// A set belongs to its file.
#[test]
fn sets_of_one_file_are_not_seen_by_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (one, two) = (path("one.toml"), path("two.toml"));
    std::fs::write(&one, format!("[excuse.mine]\nliterals=['abc']\n{RULE}")).expect("written");
    let other = RULE.replace("'a'", "'b'");
    std::fs::write(&two, format!("{other}excuses = ['mine']\n")).expect("written");
    let error = RuleSet::load(&format!("{one},{two}"))
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("two.toml, line 6") && error.contains("`mine`"),
        "{error}"
    );
}

/// What excuses is looked for once on each line, however often the line matches.
#[test]
fn a_line_that_matches_a_million_times_takes_linear_time() {
    let set = set(&format!(
        "{RULE}unless = {{ literals = ['all is well'], before = ['never mind'] }}"
    ));
    let start = std::time::Instant::now();
    for (head, tail) in [("", " all is well"), ("never mind ", ""), ("", "")] {
        let line = format!("first\n{head}{}{tail}", "disk melted ".repeat(800_000));
        assert_eq!(matches(&set, &line), head.is_empty() && tail.is_empty());
    }
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

/// Patterns on which a backtracking engine takes for ever.
#[test]
fn patterns_that_look_catastrophic_are_linear() {
    let regexes = "'xyz(?:a+)+$', '(?:.*a){20}xyz'";
    let set = set(&RULE.replace("literals=['disk melted']", &format!("regexes=[{regexes}]")));
    let start = std::time::Instant::now();
    assert!(!matches(&set, &format!("xyz{}!", "a".repeat(100_000))));
    assert!(matches(&set, &format!("xyz{}", "a".repeat(100_000))));
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn an_explanation_says_what_was_found_and_what_excused_it() {
    let set = set(&format!(
        "{RULE}unless = {{ literals = ['all is well'] }}\n\
         [[rule]]\nname='b'\nsummary='s'\nremedy='note'\nregexes=['disk \\w+']\n\
         [[rule]]\nname='c'\nsummary='s'\nremedy='note'\nkernel=true\nliterals=['disk']\n\
         [[rule]]\nname='d'\nsummary='s'\nremedy='note'\nliterals=['disk on fire']\n\
         [[rule]]\nname='e'\nsummary='s'\nremedy='note'\nliterals=['smoke']\n"
    ));
    let line = b"Disk  MELTED, all is well";
    let told = set.explain(line, Origin::Container, &mut Scratch::default());
    let told: Vec<(&str, &Finding)> = told.iter().map(|e| (&*e.rule.name, &e.finding)).collect();
    let [("a", Finding::Excused(excused)), rest @ ..] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(excused[0].matched, "disk melted");
    assert_eq!(excused[0].by, "`all is well`, by its own `unless`");
    let found = Finding::Matches {
        pattern: "disk \\w+".into(),
        matched: "disk melted".into(),
    };
    assert_eq!(rest[..2], [("b", &found), ("c", &Finding::OtherOrigin)]);
    assert!(
        rest[2..]
            .iter()
            .all(|(name, finding)| *name == "d" && **finding == Finding::NoMatch),
        "{rest:?}"
    );
    assert!(
        set.explain(b"nothing", Origin::Any, &mut Scratch::default())
            .is_empty()
    );
}
