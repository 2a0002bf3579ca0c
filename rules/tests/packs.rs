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

/// Tracebacks print source lines, tools print documents; the failure's own words stand in both.
#[test]
fn source_code_and_documents_are_no_messages() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let mut scratch = Scratch::default();
    for line in [
        r#"    raise RuntimeError("CUDA error: device-side assert triggered")"#,
        r#"        "CUDA out of memory. Tried to allocate 1 GiB","#,
        r#"  printf("CUDA out of memory at %s:%d\n", file, line);"#,
        r#"    log.error("worker lost: CUDA error: misaligned address")"#,
        "    if 'NCCL error: unhandled cuda error' in str(err):",
        "    CUBLAS_STATUS_ALLOC_FAILED,",
        "    status = HSA_STATUS_ERROR_MEMORY_FAULT;",
        "  case CUDA_ERROR_ILLEGAL_ADDRESS:",
        "  RETURN_IF_FAILED(CUDA_ERROR_LAUNCH_FAILED);",
        "  EXPECT_EQ(status, cudaErrorIllegalAddress);",
        "  // cudaErrorIllegalAddress: the stream is of no use any more",
        "  std::cerr << \"GPU ran out of memory\" << std::endl;",
        "# the server used to print CUDA error: out of memory here",
        "### RuntimeError: CUDA error: out of memory",
        "> RuntimeError: CUDA error: out of memory",
        "**Error text:** CUDA out of memory. Tried to allocate 4 GiB",
        "| CUDA out of memory | the batch is too large | make it smaller |",
        "run it until `RuntimeError: CUDA out of memory` comes",
        "$ grep -c 'CUDA out of memory' server.log",
        "journalctl -k | grep 'NVRM: Xid (PCI:0000:3b:00): 79'",
        r#"  entry := "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.","#,
        "Xid 79 stands for a GPU that has fallen off the bus",
        "Server bug: CUDA error: misaligned address after an update",
        "CUDA error: out of memory as the cache grows",
    ] {
        let judged = set.judge(line.as_bytes(), Origin::Any, &mut scratch);
        let name = judged.map(|index| &set.rules()[index].name);
        assert_eq!(name, None, "{line}");
    }
}

/// What logs look like that resembles code or a document.
#[test]
fn messages_with_marks_of_code_are_still_messages() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let mut scratch = Scratch::default();
    for line in [
        "worker 3 failed: RuntimeError('CUDA out of memory. Tried to allocate 1 GiB')",
        r#"{"level":"error","msg":"CUDA out of memory. Tried to allocate 1 GiB"}"#,
        r#"time="2025-01-01T00:00:00Z" level=error msg="CUDA error: out of memory""#,
        r#"level=error err="CUDA error: misaligned address""#,
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "thread 'main' panicked: called `Result::unwrap()` on an `Err` value: CUDA error: out of memory",
        "CUDA failure 2: out of memory ; GPU=0 ; file=a.cc ; line=9 ; expr=cudaMalloc((void**)&p, size);",
        "server-1  | RuntimeError: CUDA error: out of memory",
        "# RuntimeError: CUDA error: out of memory",
        "[rank0]: RuntimeError: CUDA error: out of memory",
        "step 12: 40%|####      | 4/10 CUDA out of memory",
        "2025-01-01 00:00:00 ERROR [main.py:12] - CUDA error: out of memory",
        "kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=12, GPU has fallen off the bus.",
    ] {
        let judged = set.judge(line.as_bytes(), Origin::Any, &mut scratch);
        assert!(judged.is_some(), "{line}");
    }
}
