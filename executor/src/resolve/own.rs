//! Which container we are: pure, and best effort. It guards against a healer
//! that restarts itself in the middle of a restart; `healer.protect=true` in
//! our compose file guards where this finds nothing.

use super::cgroup::{containers_of_process, is_id};

/// The engine mounts these from the container's own directory.
const MOUNTED_BY_THE_ENGINE: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// What the engine makes the host name unless told otherwise: the id's beginning.
const SHORT_ID_LEN: usize = 12;

/// The containers that we run in, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnContainer {
    /// Full ids: ours, and those around it.
    ids: Vec<String>,
    /// Our host name, where it looks like the beginning of an id.
    short_id: Option<String>,
}

impl OwnContainer {
    /// From `/proc/self/cgroup`, `/proc/self/mountinfo` and the host name;
    /// empty texts where there are none.
    pub fn from_parts(cgroup: &str, mountinfo: &str, hostname: &str) -> Self {
        // Where the hierarchies disagree the mounts still tell.
        let mut ids = containers_of_process(cgroup).unwrap_or_default();
        ids.extend(mountinfo.lines().filter_map(container_of_mount));
        ids.sort_unstable();
        ids.dedup();
        let is_short_id = hostname.len() == SHORT_ID_LEN
            && hostname
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        Self {
            ids,
            short_id: is_short_id.then(|| hostname.to_owned()),
        }
    }

    /// Whether the container of this full id is ours, or around ours.
    pub fn is(&self, container_id: &str) -> bool {
        self.ids.iter().any(|id| id == container_id)
            || self
                .short_id
                .as_ref()
                .is_some_and(|short| container_id.starts_with(short))
    }

    /// The full ids, ascending; empty outside of containers, or where only the
    /// host name tells.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }
}

/// `36 35 254:0 /var/lib/docker/containers/<id>/hostname /etc/hostname rw …`
///
/// Only by where it is mounted: others' directories may be mounted elsewhere,
/// as a log shipper's are.
fn container_of_mount(line: &str) -> Option<String> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let (root, mounted_at) = (fields.next()?, fields.next()?);
    if !MOUNTED_BY_THE_ENGINE.contains(&mounted_at) {
        return None;
    }
    root.split('/').find(|part| is_id(part)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";
    const B: &str = "b5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    fn mount(root: &str, at: &str) -> String {
        format!("89 72 254:0 {root} {at} rw,relatime - ext4 /dev/vda rw,discard\n")
    }

    #[test]
    fn the_cgroup_the_mounts_and_the_host_name_each_suffice() {
        let docker = mount(
            &format!("/var/lib/docker/containers/{A}/hosts"),
            "/etc/hosts",
        );
        let other_root = mount(&format!("/srv/engine/{A}/resolv.conf"), "/etc/resolv.conf");
        let podman = mount(
            &format!("/run/containers/storage/overlay-containers/{A}/userdata/hostname"),
            "/etc/hostname",
        );
        for (cgroup, mountinfo, hostname) in [
            (format!("0::/system.slice/docker-{A}.scope\n"), "", "web"),
            ("0::/\n".to_owned(), docker.as_str(), "web"),
            ("0::/\n".to_owned(), &other_root, "web"),
            ("0::/\n".to_owned(), &podman, "web"),
            ("0::/\n".to_owned(), "", &A[..12]),
        ] {
            let own = OwnContainer::from_parts(&cgroup, mountinfo, hostname);
            assert!(own.is(A), "{own:?}");
            assert!(!own.is(B), "{own:?}");
        }
    }

    #[test]
    fn other_containers_directories_are_not_ours() {
        let logs = mount(&format!("/var/lib/docker/containers/{B}"), "/logs/b");
        let all = mount("/var/lib/docker/containers", "/var/lib/docker/containers");
        let short = "4 3\n\n36 35 254:0 /\n";
        let own = OwnContainer::from_parts("0::/\n", &format!("{logs}{all}{short}"), "gpu-host");
        assert_eq!(own, OwnContainer::default());
        assert!(!own.is(B));
    }

    #[test]
    fn around_and_inside_are_both_ours() {
        let cgroup = format!("0::/docker/{A}/docker/{B}\n");
        let own = OwnContainer::from_parts(&cgroup, "", "");
        assert_eq!(own.ids(), [A, B]);
    }

    #[test]
    fn a_host_name_counts_only_if_it_could_be_an_id() {
        for hostname in ["", "a5e0", "a5e0cf40f3ab1", "A5E0CF40F3AB", "gpu-host-012"] {
            let own = OwnContainer::from_parts("", "", hostname);
            assert!(!own.is(A), "{hostname}");
        }
    }
}
