//! What a text is compared as.

use rules::{Origin, RuleSet, Scratch};

/// The name of the rule that judges a line, by a rule file of one line per key.
fn judged_by(toml: &str, line: impl AsRef<[u8]>) -> Option<String> {
    let set = RuleSet::parse("test.toml", toml).unwrap_or_else(|error| panic!("{error}"));
    let index = set.judge(line.as_ref(), Origin::Container, &mut Scratch::default())?;
    Some(set.rules()[index].name.clone())
}

fn rule(name: &str, body: &str) -> String {
    format!("[[rule]]\nname = '{name}'\nsummary = 's'\nremedy = 'restart'\n{body}\n")
}

#[test]
fn case_white_space_and_escapes_do_not_count() {
    let toml = rule("oom", "literals = ['CUDA out of memory']");
    for line in [
        "cuda OUT oF MeMory",
        "CUDA \t out\r\nof   memory\n",
        "\x1b[31mCUDA\x1b[0m out of mem\x1b[1mory",
        "\x1b]8;;http://host/\x1b\\CUDA out\x1b]8;;\x07 of memory",
        "x CUDA out of memoryx",
    ] {
        assert_eq!(judged_by(&toml, line).as_deref(), Some("oom"), "{line:?}");
    }
    for line in [
        "CUDA outof memory",
        "CUDA out of  memor",
        "",
        "CUDA\u{a0}out of memory",
    ] {
        assert_eq!(judged_by(&toml, line), None, "{line:?}");
    }
}

#[test]
fn no_letter_beyond_ascii_is_folded() {
    let literal = rule("k", "literals = ['kernel']");
    let regex = rule("k", "regexes = ['ker+nel']");
    for toml in [literal, regex] {
        assert!(judged_by(&toml, "KERNEL").is_some());
        assert_eq!(
            judged_by(&toml, "\u{212A}ernel"),
            None,
            "the Kelvin sign is no k"
        );
        assert_eq!(judged_by(&toml, "\u{212A}ERNEL"), None);
    }
    let long_s = rule("s", "regexes = ['status']");
    assert_eq!(
        judged_by(&long_s, "\u{17F}tatus"),
        None,
        "the long s is no s"
    );
}

#[test]
fn texts_need_not_be_utf8() {
    let toml = rule(
        "oom",
        "literals = ['out of memory']\nregexes = ['a.b failed']",
    );
    assert!(judged_by(&toml, b"\xff\xfe\0out of memory\x80").is_some());
    assert!(
        judged_by(&toml, b"a\xffb failed").is_some(),
        "a dot is any one byte"
    );
}

#[test]
fn the_first_rule_in_order_wins() {
    let both =
        rule("first", "literals = ['memory']") + &rule("second", "literals = ['out of memory']");
    assert_eq!(judged_by(&both, "out of memory").as_deref(), Some("first"));
}

#[test]
fn an_excuse_counts_on_the_line_of_the_match() {
    let toml = rule(
        "oom",
        "literals = ['out of memory']\n[rule.unless]\nliterals = ['retrying']",
    );
    assert_eq!(judged_by(&toml, "out of memory, retrying"), None);
    assert_eq!(
        judged_by(&toml, "retrying: out of\nmemory"),
        None,
        "the match lies on both lines"
    );
    assert!(judged_by(&toml, "out of memory\nretrying").is_some());
    assert!(judged_by(&toml, "out of memory, retrying\nout of memory").is_some());
}

#[test]
fn regexes_see_the_text_in_normal_form() {
    let toml = rule("x", r"regexes = ['^error (\d+) end$']");
    assert!(judged_by(&toml, "  ERROR\t42   End \n").is_some());
    assert!(judged_by(&toml, "an ERROR 42 end").is_none());
}

#[test]
fn a_scratch_serves_any_set() {
    let one = RuleSet::parse("one", &rule("a", "literals = ['aaa']")).expect("valid");
    let many: String = (0..100)
        .map(|n| rule(&format!("r{n}"), &format!("literals = ['word{n:03}']")))
        .collect();
    let many = RuleSet::parse("many", &many).expect("valid");
    let mut scratch = Scratch::default();
    assert_eq!(many.judge(b"word099", Origin::Any, &mut scratch), Some(99));
    assert_eq!(one.judge(b"word099", Origin::Any, &mut scratch), None);
    assert_eq!(one.judge(b"aaa", Origin::Any, &mut scratch), Some(0));
    assert_eq!(
        many.judge(b"word064 word063", Origin::Any, &mut scratch),
        Some(63)
    );
}

/// Ten megabytes of each kind of trouble are judged in time linear in their length: the
/// deadline is far above that and far below anything quadratic.
#[test]
fn giant_and_hostile_texts_take_linear_time() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let mut scratch = Scratch::default();
    for piece in [
        &b"a"[..],
        b"\0",
        b" ",
        b"\n",
        b"\xff",
        b"\x1b",
        b"\x1b[",
        b"\x1b]",
        b"\x1b[0m",
        b"\x1b[1;1;1;1;1;1;1;1",
        b"cuda ",
        b"memory ",
        b"failed to allocate ",
        b"cuda out of memory, retrying with ",
    ] {
        let text = piece.repeat(10_000_000 / piece.len());
        let start = std::time::Instant::now();
        set.judge(&text, Origin::Any, &mut scratch);
        let mut from = 0;
        for _ in 0..1_000 {
            match set.candidate(&text, from) {
                Some(at) => from = at + 1,
                None => break,
            }
        }
        let took = start.elapsed();
        assert!(
            took.as_secs() < 30,
            "{:?} took {took:?}",
            String::from_utf8_lossy(piece)
        );
    }
}

/// Words far apart and longer than what the scan looks for.
#[test]
fn long_literals_and_regexes_are_found_in_raw_bytes() {
    let long = format!("{}the word {}", "a b ".repeat(40), "and so on ".repeat(30));
    let literal = long.trim_end();
    let pattern = format!("{literal} {literal}");
    let toml = format!(
        "[[rule]]\nname='one'\nsummary='s'\nremedy='note'\nliterals=['{literal}']\n\
         [[rule]]\nname='two'\nsummary='s'\nremedy='note'\nregexes=['{pattern}']\n"
    );
    let set = RuleSet::parse("mine.toml", &toml).unwrap_or_else(|error| panic!("{error}"));
    for text in [
        literal.to_owned(),
        format!("x {pattern} y").replace(' ', "  "),
    ] {
        assert!(set.candidate(text.as_bytes(), 0).is_some());
        assert!(
            set.judge(text.as_bytes(), Origin::Any, &mut Scratch::default())
                .is_some()
        );
    }
}
