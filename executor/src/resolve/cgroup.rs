//! Container ids in cgroup paths: pure.
//!
//! | driver | path |
//! | --- | --- |
//! | cgroupfs | `/docker/<id>`, or `/<parent>/<id>` with `--cgroup-parent` |
//! | systemd | `/system.slice/docker-<id>.scope` |
//! | systemd, not expanded | `system.slice:docker:<id>` |
//! | seen from another cgroup namespace | `/../<id>`, `/../docker-<id>.scope` |
//! | nested | `/docker/<outer>/docker/<inner>`, `…/docker-<id>.scope/init.scope` |
//!
//! Podman's `libpod-<id>` and Kubernetes' `cri-containerd-<id>` are read too;
//! the engine says whether it knows them.

/// An id's length, hex digits.
const ID_LEN: usize = 64;

/// Nesting deeper than this is cut off; two levels are rare already.
const CONTAINERS_MAX: usize = 4;

/// The container ids in a cgroup path (`task_memcg=` of an oom-kill line), or
/// in a cgroup's last part (`cpuset=`), outermost first; empty where there is none.
pub fn containers_of_cgroup(path: &str) -> Vec<String> {
    path.split('/')
        .filter_map(container_of_segment)
        .take(CONTAINERS_MAX)
        .map(str::to_owned)
        .collect()
}

/// The hierarchies of one process name different outermost containers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disagree;

/// The container ids in `/proc/<pid>/cgroup`: one line a hierarchy,
/// `5:memory:/docker/<id>`, or the single `0::/…` of version 2. Hierarchies
/// may see more or less of the nesting, and some nothing at all; those that
/// name a container have to agree on the outermost.
pub(super) fn containers_of_process(text: &str) -> Result<Vec<String>, Disagree> {
    let mut deepest: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some(path) = line.splitn(3, ':').nth(2) else {
            continue;
        };
        let containers = containers_of_cgroup(path);
        if let (Some(known), Some(found)) = (deepest.first(), containers.first())
            && known != found
        {
            return Err(Disagree);
        }
        if containers.len() > deepest.len() {
            deepest = containers;
        }
    }
    Ok(deepest)
}

fn container_of_segment(segment: &str) -> Option<&str> {
    let unit = segment.strip_suffix(".scope").unwrap_or(segment);
    let (owner, id) = match unit.rfind(['-', ':']) {
        Some(at) => (&unit[..at], &unit[at + 1..]),
        None => ("", unit),
    };
    // Podman's monitor runs beside its container, not in it.
    (is_id(id) && !owner.ends_with("conmon")).then_some(id)
}

/// Whether this is a full container id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_LEN
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";
    const B: &str = "b5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    #[test]
    fn finds_ids_in_the_paths_of_all_drivers() {
        for (path, expected) in [
            (format!("/docker/{A}"), vec![A]),
            (format!("/system.slice/docker-{A}.scope"), vec![A]),
            (
                format!("/my-parent.slice/my-parent-sub.slice/docker-{A}.scope"),
                vec![A],
            ),
            (format!("/my/own/parent/{A}"), vec![A]),
            (format!("system.slice:docker:{A}"), vec![A]),
            (format!("/../{A}"), vec![A]),
            (
                format!("/../../system.slice/docker-{A}.scope/init.scope"),
                vec![A],
            ),
            (format!("/docker/{A}/docker/{B}"), vec![A, B]),
            (
                format!("/docker/{A}/system.slice/docker-{B}.scope"),
                vec![A, B],
            ),
            (
                format!("/machine.slice/libpod-{A}.scope/container"),
                vec![A],
            ),
            (format!("/kubepods/burstable/pod0a1b-22/{A}"), vec![A]),
            (
                format!("/kubepods.slice/x.slice/cri-containerd-{A}.scope"),
                vec![A],
            ),
            (A.to_owned(), vec![A]),
            (format!("docker-{A}.scope"), vec![A]),
            (format!("/{A}/{A}/{A}/{A}/{A}"), vec![A, A, A, A]),
        ] {
            assert_eq!(containers_of_cgroup(&path), expected, "{path}");
        }
    }

    #[test]
    fn finds_none_where_there_is_none() {
        let upper = A.to_uppercase();
        for path in [
            "",
            "/",
            "/user.slice/user-1000.slice/session-2.scope",
            "/docker",
            &format!("/docker/{}", &A[1..]),
            &format!("/docker/{A}0"),
            &format!("/docker/{upper}"),
            &format!("/docker/x{A}"),
            &format!("/docker/{A}.service"),
            &format!("/machine.slice/libpod-conmon-{A}.scope"),
            &format!("/docker/é{}", &A[2..]),
        ] {
            assert_eq!(containers_of_cgroup(path), Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn a_process_is_where_its_hierarchies_agree() {
        let check = |text: &str, expected: Result<&[&str], Disagree>| {
            let expected = expected.map(|ids| ids.iter().map(ToString::to_string).collect());
            assert_eq!(containers_of_process(text), expected, "{text}");
        };
        check(&format!("0::/system.slice/docker-{A}.scope\n"), Ok(&[A]));
        check(
            &format!("9:name=systemd:/docker/{A}\n4:memory:/docker/{A}\n0::/\n"),
            Ok(&[A]),
        );
        check(
            &format!("4:memory:/docker/{A}\n3:cpu:/docker/{A}/docker/{B}\n2:pids:/\n"),
            Ok(&[A, B]),
        );
        check(
            &format!("4:memory:/docker/{A}\n3:cpu:/docker/{B}\n"),
            Err(Disagree),
        );
        check("0::/init.scope\n", Ok(&[]));
        check("", Ok(&[]));
        check("no colons at all\n1:half", Ok(&[]));
    }
}
