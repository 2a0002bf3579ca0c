//! The built-in packs keep their own promises.

use rules::{Origin, Remedy, RuleSet, Scratch};

#[test]
fn every_pack_loads_and_its_examples_hold() {
    for name in rules::pack_names() {
        let set = RuleSet::load(name).unwrap_or_else(|error| panic!("{error}"));
        let failures: Vec<String> = set
            .check_examples()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(failures.is_empty(), "pack {name}:\n{}", failures.join("\n"));
    }
}

#[test]
fn every_rule_of_a_pack_is_fully_documented() {
    for name in rules::pack_names() {
        let set = RuleSet::load(name).unwrap_or_else(|error| panic!("{error}"));
        for rule in set.rules() {
            let name = &rule.name;
            assert!(!rule.why.is_empty(), "{name}: why this remedy?");
            assert!(
                !rule.links.is_empty(),
                "{name}: no link to the vendor's word"
            );
            assert!(!rule.examples.is_empty(), "{name}: no example");
            assert!(
                !rule.counter_examples.is_empty(),
                "{name}: no counter-example"
            );
        }
    }
}

/// A counter-example of one rule must not be caught by another one either.
#[test]
fn no_counter_example_leads_to_a_restart() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let mut scratch = Scratch::default();
    for rule in set.rules().iter().filter(|rule| !rule.kernel) {
        for line in &rule.counter_examples {
            let judged = set.judge(line.as_bytes(), Origin::Container, &mut scratch);
            assert_eq!(judged.map(|index| &set.rules()[index].name), None, "{line}");
        }
    }
}

/// What the original sidecar's documentation names.
#[test]
fn the_original_patterns_lead_to_a_restart() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let mut scratch = Scratch::default();
    for line in [
        "CUDA out of memory",
        "cuda out of memory",
        "RuntimeError: CUDA out of memory",
        "cublas alloc failed",
        "CUBLAS_STATUS_ALLOC_FAILED",
        r#"{"log": "RuntimeError: CUDA out of memory", "stream": "stderr"}"#,
        "RuntimeError: CUDA error: device-side assert triggered",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cudaErrorMemoryAllocation",
        "failed to allocate 512 MiB of device memory",
    ] {
        let judged = set.judge(line.as_bytes(), Origin::Container, &mut scratch);
        let remedy = judged.map(|index| set.rules()[index].remedy);
        assert_eq!(remedy, Some(Remedy::Restart), "{line}");
        assert!(set.candidate(line.as_bytes(), 0).is_some(), "{line}");
    }
}

#[test]
fn kernel_rules_look_at_kernel_lines_only() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let mut scratch = Scratch::default();
    let mut judge = |line: &str, origin| set.judge(line.as_bytes(), origin, &mut scratch).is_some();
    let xid = "NVRM: Xid (PCI:0000:3b:00): 31, pid=4121, name=python3, Ch 00000008";
    assert!(judge(xid, Origin::Kernel));
    assert!(judge(xid, Origin::Any));
    assert!(
        !judge(xid, Origin::Container),
        "a container cannot speak for the kernel"
    );
    let oom = "RuntimeError: CUDA out of memory";
    assert!(judge(oom, Origin::Container));
    assert!(judge(oom, Origin::Any));
    assert!(!judge(oom, Origin::Kernel));
}

/// Long messages are wrapped or split on their way; joined again they must match.
#[test]
fn every_pack_has_an_example_of_several_lines() {
    for name in rules::pack_names() {
        let set = RuleSet::load(name).unwrap_or_else(|error| panic!("{error}"));
        let mut examples = set.rules().iter().flat_map(|rule| &rule.examples);
        assert!(examples.any(|example| example.contains('\n')), "{name}");
    }
}
