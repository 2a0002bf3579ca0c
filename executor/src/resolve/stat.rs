//! When a process started: pure.

use policy::WallTime;

/// The unit of times in `/proc/<pid>/stat`: a hundredth of a second on every
/// machine that Docker runs on (Linux fixes `USER_HZ` for user space).
pub(super) const MS_PER_TICK: u64 = 10;

/// Field 22 of `/proc/<pid>/stat`: start in ticks since boot. The name in
/// field 2 may hold anything, parentheses and newlines too.
pub(super) fn start_ticks(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The first number of `/proc/uptime`, in milliseconds: seconds since boot
/// with two decimals, time asleep included.
pub(super) fn uptime_ms(uptime: &str) -> Option<u64> {
    let (secs, hundredths) = uptime.split_ascii_whitespace().next()?.split_once('.')?;
    if hundredths.len() != 2 {
        return None;
    }
    let secs: u64 = secs.parse().ok()?;
    let hundredths: u64 = hundredths.parse().ok()?;
    secs.checked_mul(1_000)?.checked_add(hundredths * 10)
}

/// The line `processes` of `/proc/stat`: processes and threads made since boot.
pub(super) fn forks(stat: &str) -> Option<u64> {
    let mut lines = stat.lines();
    let line = lines.find_map(|line| line.strip_prefix("processes "))?;
    line.trim_end().parse().ok()
}

/// When that was by the wall clock, which shows `wall_ms` now.
pub(super) fn started(start_ticks: u64, uptime_ms: u64, wall_ms: u64) -> WallTime {
    let age_ms = uptime_ms.saturating_sub(start_ticks.saturating_mul(MS_PER_TICK));
    let started_ms = wall_ms.saturating_sub(age_ms);
    WallTime {
        secs: started_ms / 1_000,
        nanos: u32::try_from(started_ms % 1_000 * 1_000_000).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let rest = "R 6370 6370 28247 0 -1 4194304 2848 6566 11 1 2 1 3 1 20 0 1 0 201239 16961536";
        for name in ["python3", "a b", "x) R 1 (y", "(", "", "a\nb) S"] {
            let stat = format!("6375 ({name}) {rest} 3325");
            assert_eq!(start_ticks(&stat), Some(201_239), "{name}");
        }
        for stat in ["", "6375 python3 R", "6375 (python3) R 1 2 3", "1 (x"] {
            assert_eq!(start_ticks(stat), None, "{stat}");
        }
        let negative = format!("1 (x) {}", rest.replace("201239", "-1"));
        assert_eq!(start_ticks(&negative), None);
    }

    #[test]
    fn uptime_is_read_to_the_hundredth() {
        for (text, expected) in [
            ("2012.49 3255.62\n", Some(2_012_490)),
            ("0.05 0.00\n", Some(50)),
            ("2012 3255\n", None),
            ("2012.4 1.0\n", None),
            ("x.49 1\n", None),
            ("99999999999999999999.00 1", None),
            ("", None),
        ] {
            assert_eq!(uptime_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn forks_are_found_among_the_counters() {
        let stat = "cpu  1 2 3\nintr 5 6\nctxt 7\nprocesses 24601\nprocs_running 1\n";
        assert_eq!(forks(stat), Some(24_601));
        for stat in ["", "processes", "processes x\n", "procs_running 1\n"] {
            assert_eq!(forks(stat), None, "{stat}");
        }
    }

    #[test]
    fn the_start_by_the_wall_clock() {
        let at = |secs, nanos| WallTime {
            secs,
            nanos: Some(nanos),
        };
        // Up for 100 s at 1000.5 s; started 40.25 s after boot: 59.75 s ago.
        assert_eq!(started(4_025, 100_000, 1_000_500), at(940, 750_000_000));
        // Rounding may put the start after now: then it is now.
        assert_eq!(started(10_001, 100_000, 1_000_500), at(1_000, 500_000_000));
        assert_eq!(
            started(u64::MAX, 100_000, 1_000_500),
            at(1_000, 500_000_000)
        );
        // A wall clock that was never set.
        assert_eq!(started(0, 100_000, 50), at(0, 0));
    }
}
