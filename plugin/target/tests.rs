use super::*;

use proptest::prelude::*;

fn hex(len: usize) -> String {
    "0123456789abcdef".chars().cycle().take(len).collect()
}

#[test]
fn an_id_is_a_run_of_exactly_64_lower_case_hex_digits() {
    let id = hex(64);
    for text in [
        id.clone(),
        format!("/var/lib/docker/containers/{id}/{id}-json.log"),
        format!("pod_ns_name-{id}.log"),
        format!("{}.{id}", hex(63)),
        format!("{id}.{}", hex(65)),
    ] {
        assert_eq!(only_id(text.as_bytes()), Ok(Some(id.as_str())), "{text}");
    }
    for text in [
        String::new(),
        hex(63),
        hex(65),
        hex(128),
        id.to_ascii_uppercase(),
        format!("{}A", hex(63)),
    ] {
        assert_eq!(only_id(text.as_bytes()), Ok(None), "{text}");
    }
    let other = id.replace('0', "f");
    let two = format!("{id}.{other}");
    assert_eq!(only_id(two.as_bytes()), Err(Untargeted::Conflict));
}

proptest! {
    /// Against cutting the text at everything that is no hex digit.
    #[test]
    fn the_leaping_search_finds_what_the_plain_one_finds(
        parts in proptest::collection::vec((0_usize..4, 60_usize..68), 0..6)
    ) {
        let text: String = parts
            .iter()
            .map(|(kind, len)| match kind {
                0 => hex(*len),
                1 => format!("{}/", hex(*len)),
                2 => "x".repeat(*len - 59),
                _ => format!(".{}", hex(*len).replace('7', "e")),
            })
            .collect();
        let runs: std::collections::BTreeSet<&str> = text
            .split(|c: char| !c.is_ascii_hexdigit())
            .filter(|run| run.len() == 64)
            .collect();
        let plain = match runs.len() {
            0 => Ok(None),
            1 => Ok(runs.first().copied()),
            _ => Err(Untargeted::Conflict),
        };
        prop_assert_eq!(only_id(text.as_bytes()), plain);
    }
}

#[test]
fn ids_and_names_are_checked_to_be_what_they_claim() {
    assert!(container_id(hex(12).as_bytes()).is_some());
    assert!(container_id(hex(64).as_bytes()).is_some());
    for wrong in [
        hex(11),
        hex(65),
        "ABCDEFABCDEF".into(),
        "gggggggggggg".into(),
    ] {
        assert_eq!(container_id(wrong.as_bytes()), None, "{wrong}");
    }
    assert_eq!(container_name(b"/web-1_a.b"), Some("web-1_a.b"));
    assert!(container_name("a".repeat(STRING_BYTES_MAX).as_bytes()).is_some());
    for wrong in ["", "/", "-a", ".a", "a b", "a/b", "//a", "é"] {
        assert_eq!(container_name(wrong.as_bytes()), None, "{wrong}");
    }
    assert!(container_name("a".repeat(STRING_BYTES_MAX + 1).as_bytes()).is_none());
}

#[test]
fn the_longer_of_two_ids_that_agree_is_taken() {
    let (short, long) = (hex(12), hex(64));
    assert_eq!(longer_id(None, &short), Some(short.as_str()));
    assert_eq!(longer_id(Some(&short), &long), Some(long.as_str()));
    assert_eq!(longer_id(Some(&long), &short), Some(long.as_str()));
    assert_eq!(longer_id(Some("ffffffffffff"), &long), None);
}

#[test]
fn kernel_lines_give_what_the_kernel_wrote_and_not_a_process_name() {
    let cases: [(&str, Resolved<'_>); 12] = [
        (
            "NVRM: Xid (PCI:0000:01:00): 31, pid=77, name=x",
            Ok(Target::Pid(77)),
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 31, pid='77', name=x",
            Ok(Target::Pid(77)),
        ),
        (
            "[ 12.5] NVRM: Xid (PCI:0000:01:00): 79, pid=77",
            Ok(Target::Pid(77)),
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 31, pid=0, name=x",
            Err(Untargeted::Missing),
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 31, pid='<unknown>'",
            Err(Untargeted::Missing),
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off",
            Err(Untargeted::Missing),
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 31, Ch 8, name=a, pid=5",
            Err(Untargeted::Missing),
        ),
        (
            "oom-kill:constraint=C,cpuset=abc,task_memcg=/docker/def,task=x,pid=1",
            Ok(Target::Cgroup("/docker/def")),
        ),
        (
            // The cpuset is of whoever allocated when memory ran out.
            "oom-kill:constraint=C,cpuset=abc,task_memcg=/,task=x",
            Err(Untargeted::Missing),
        ),
        (
            "oom-kill:constraint=C,cpuset=/,task=x,task_memcg=/docker/def",
            Err(Untargeted::Missing),
        ),
        (
            "oom-kill:constraint=C,task_memcg=/a b,task=x",
            Err(Untargeted::Malformed),
        ),
        ("Out of memory: Killed process 1", Err(Untargeted::Missing)),
    ];
    for (text, expected) in cases {
        assert_eq!(kernel(text.as_bytes()), expected, "{text}");
    }
}
