//! Any text as a rule file: loaded or refused in one line, never a panic; and what was loaded
//! matches no empty text and finds candidates for what it matches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::{Origin, RuleSet, Scratch};

fuzz_target!(|toml: &str| {
    match RuleSet::parse("fuzz.toml", toml) {
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.starts_with("rules fuzz.toml") && !error.contains('\n'),
                "{error}"
            );
        }
        Ok(set) => {
            let mut scratch = Scratch::default();
            assert_eq!(set.judge(b"", Origin::Any, &mut scratch), None);
            set.check_examples();
            // The file's own words are the likeliest text to be matched.
            for line in toml.lines() {
                if set
                    .judge(line.as_bytes(), Origin::Any, &mut scratch)
                    .is_some()
                {
                    assert!(set.candidate(line.as_bytes(), 0).is_some(), "{line}");
                }
            }
        }
    }
});
