//! When what Docker says about a container is a trigger: `unhealthy_checks`, `died`,
//! `oom_killed` and the crash loop, for all targets and for each.

use std::collections::BTreeMap;

use super::bounds::{DAY, Fault, MINUTE, SECOND, duration, fault, number};
use super::file::{ConfigFile, DefaultsSection};
use super::unfinished::{self, Unfinished};

/// Most failed checks or starts in a row that can be asked for.
const COUNT_MAX: u32 = 100;

/// All targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Of those that are not listed.
    pub defaults: WatchTarget,
    /// By canonical name.
    pub targets: BTreeMap<String, WatchTarget>,
    /// By canonical name; those without it are not in it.
    pub unfinished: BTreeMap<String, Unfinished>,
}

/// One target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchTarget {
    /// So many checks in a row have to fail; 0 = its health is no trigger.
    pub unhealthy_checks: u32,
    /// See [`Died`].
    pub died: Died,
    /// Whether it is started after the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// So many starts in a row by its own restart policy are a crash loop; 0 = never.
    pub crash_loop_starts: u32,
    /// See `crash_loop_starts`, milliseconds.
    pub crash_loop_within_ms: u64,
}

/// Which ends of its own are a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Died {
    /// None.
    Off,
    /// With an exit code other than 0: what ends with 0 has done its work.
    Failed,
    /// With any.
    Any,
}

impl Watch {
    /// What holds for a target by its canonical name.
    pub fn of(&self, name: &str) -> &WatchTarget {
        self.targets.get(name).unwrap_or(&self.defaults)
    }
}

pub(super) fn watch(file: &ConfigFile) -> Result<Watch, Fault> {
    let defaults = &file.defaults;
    let mut targets = BTreeMap::new();
    for (name, written) in &file.targets {
        let own = written.limits();
        let both = DefaultsSection {
            unhealthy_checks: own.unhealthy_checks.or(defaults.unhealthy_checks),
            died: own.died.or(defaults.died),
            oom_killed: own.oom_killed.or(defaults.oom_killed),
            crash_loop_starts: own.crash_loop_starts.or(defaults.crash_loop_starts),
            crash_loop_within: own.crash_loop_within.or(defaults.crash_loop_within),
            ..DefaultsSection::default()
        };
        targets.insert(name.clone(), target(&format!("targets.{name}"), &both)?);
    }
    Ok(Watch {
        defaults: target("defaults", defaults)?,
        targets,
        unfinished: unfinished::resolve(&file.targets)?,
    })
}

fn target(place: &str, written: &DefaultsSection) -> Result<WatchTarget, Fault> {
    let key = |name: &str| format!("{place}.{name}");
    let starts = key("crash_loop_starts");
    let crash_loop_starts = number(&starts, written.crash_loop_starts, 5, 0..=COUNT_MAX)?;
    if crash_loop_starts == 1 {
        return fault(&starts, "1 is no loop: 0 for never, or 2 and more");
    }
    Ok(WatchTarget {
        unhealthy_checks: number(
            &key("unhealthy_checks"),
            written.unhealthy_checks,
            3,
            0..=COUNT_MAX,
        )?,
        died: written.died.unwrap_or(Died::Failed),
        oom_killed: written.oom_killed.unwrap_or(true),
        crash_loop_starts,
        crash_loop_within_ms: duration(
            &key("crash_loop_within"),
            written.crash_loop_within,
            10 * MINUTE,
            SECOND..=DAY,
        )?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch_of(text: &str) -> Result<Watch, Fault> {
        watch(&toml::from_str(text).unwrap())
    }

    #[test]
    fn a_target_takes_what_it_does_not_state_from_the_defaults() {
        let watch = watch_of(
            "[defaults]\nunhealthy_checks = 0\ndied = \"any\"\n\
             [targets.web]\ndied = \"off\"\ncrash_loop_within = \"1m\"",
        )
        .unwrap();
        let expected = WatchTarget {
            unhealthy_checks: 0,
            died: Died::Off,
            oom_killed: true,
            crash_loop_starts: 5,
            crash_loop_within_ms: MINUTE,
        };
        assert_eq!(watch.of("web"), &expected);
        assert_eq!(watch.of("other").died, Died::Any);
    }

    #[test]
    fn what_cannot_be_is_a_fault_with_its_key() {
        for (text, key) in [
            (
                "[defaults]\ncrash_loop_starts = 1",
                "defaults.crash_loop_starts",
            ),
            (
                "[defaults]\nunhealthy_checks = 101",
                "defaults.unhealthy_checks",
            ),
            (
                "[targets.web]\ncrash_loop_within = \"2d\"",
                "targets.web.crash_loop_within",
            ),
        ] {
            assert_eq!(watch_of(text).unwrap_err().0, key);
        }
    }
}
