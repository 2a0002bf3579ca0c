//! From real processes to their containers.

use std::time::SystemTime;

use healer::resolve::{Miss, OwnContainer, Procfs, containers_of_cgroup};
use policy::WallTime;

use super::Blocking;
use crate::support::engine::{Spec, engine};

fn now() -> (WallTime, u64) {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let line = WallTime {
        secs: now.as_secs(),
        nanos: Some(now.subsec_nanos()),
    };
    (line, u64::try_from(now.as_millis()).unwrap())
}

#[test]
fn the_process_of_a_container_leads_to_it_unless_the_line_is_older() {
    let Some(engine) = engine() else { return };
    let web = engine.run("process", &Spec::app());
    let procfs = Procfs::new("/proc");
    assert!(procfs.shows_the_host());
    let (line, wall_ms) = now();
    assert_eq!(
        procfs.containers_of_pid(web.pid(), line, wall_ms),
        Ok(vec![web.id.clone()])
    );
    assert_eq!(
        procfs.containers_of_peer(web.pid()),
        Ok(vec![web.id.clone()])
    );

    let started = Blocking::new(engine.socket())
        .found(&web.id)
        .started_at
        .unwrap();
    let before = WallTime {
        secs: started.secs - 2,
        nanos: None,
    };
    let miss = procfs
        .containers_of_pid(web.pid(), before, wall_ms)
        .unwrap_err();
    let Miss::TooYoung { started: seen, .. } = miss else {
        panic!("{miss:?}");
    };
    // Docker notes the start shortly after it.
    assert!(
        started.secs.abs_diff(seen.secs) <= 2,
        "{seen:?} {started:?}"
    );

    let pid = web.pid();
    web.stop();
    let miss = procfs.containers_of_pid(pid, line, wall_ms).unwrap_err();
    assert_eq!(miss, Miss::NoProcess { pid });
}

#[test]
fn the_cgroup_of_a_container_leads_to_it() {
    let Some(engine) = engine() else { return };
    let web = engine.run("cgroup", &Spec::app());
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", web.pid())).unwrap();
    let paths: Vec<&str> = text
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .collect();
    let ids: Vec<String> = paths.into_iter().flat_map(containers_of_cgroup).collect();
    assert!(
        !ids.is_empty() && ids.iter().all(|id| *id == web.id),
        "{text}"
    );
}

#[test]
fn a_container_knows_itself() {
    let Some(engine) = engine() else { return };
    for cgroup_namespace in ["host", "private"] {
        let spec = Spec::app().host_config("CgroupnsMode", cgroup_namespace.into());
        let web = engine.run("own", &spec);
        let inside = |file: &str| web.exec(&["cat", file]);
        let cgroup = inside("/proc/self/cgroup");
        let mountinfo = inside("/proc/self/mountinfo");
        let hostname = inside("/proc/sys/kernel/hostname");
        for own in [
            OwnContainer::from_parts(&cgroup, &mountinfo, hostname.trim_end()),
            OwnContainer::from_parts("", &mountinfo, ""),
            OwnContainer::from_parts("", "", hostname.trim_end()),
        ] {
            assert!(own.is(&web.id), "{own:?} {cgroup} {mountinfo} {hostname}");
        }
    }
}
