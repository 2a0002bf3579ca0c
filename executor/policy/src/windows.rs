//! Maintenance windows as plain ranges of wall time: which one holds a target
//! at a given moment, and until when.
//!
//! Calendars, time zones and their changes are worked out elsewhere: what comes
//! in here is already in UTC, and reaches some days ahead.

/// One window of the configuration, with the next times at which it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// For people.
    pub name: String,
    /// For people; may be empty.
    pub reason: String,
    /// Patterns of canonical names, `*` for any text and `?` for one character;
    /// none = all targets.
    pub targets: Vec<String>,
    /// Each from (included) until (excluded), ms since the epoch.
    pub open: Vec<(u64, u64)>,
}

/// A window that holds a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding<'a> {
    /// The one that is open now; of several the one that stays open longest.
    pub window: &'a Window,
    /// When no window holds the target any more: where windows overlap or
    /// follow on one another, the end of the last. Ms since the epoch.
    pub until_wall_ms: u64,
}

impl Window {
    /// Whether it is about this target.
    pub fn is_of(&self, target: &str) -> bool {
        let matches = |pattern: &String| matches(pattern.as_bytes(), target.as_bytes());
        self.targets.is_empty() || self.targets.iter().any(matches)
    }

    /// Its end, where it is open at this moment.
    pub fn open_until(&self, wall_ms: u64) -> Option<u64> {
        let open = self.open.iter();
        open.filter(|(from, until)| (*from..*until).contains(&wall_ms))
            .map(|(_, until)| *until)
            .max()
    }

    /// When it opens next, after this moment.
    pub fn opens_at(&self, wall_ms: u64) -> Option<u64> {
        let from = self.open.iter().map(|(from, _)| *from);
        from.filter(|from| *from > wall_ms).min()
    }
}

/// Which window holds a target at this moment of wall time; none = none does.
pub fn holding<'a>(windows: &'a [Window], target: &str, wall_ms: u64) -> Option<Holding<'a>> {
    let longest = |at: u64| {
        let open = windows.iter().filter(|window| window.is_of(target));
        open.filter_map(|window| Some((window.open_until(at)?, window)))
            .max_by_key(|(until, _)| *until)
    };
    let (mut until_wall_ms, window) = longest(wall_ms)?;
    // Each turn goes on to a later end, of which there are finitely many.
    while let Some((later, _)) = longest(until_wall_ms) {
        until_wall_ms = later;
    }
    Some(Holding {
        window,
        until_wall_ms,
    })
}

/// `*` and `?` as shells mean them. Goes back to the last `*` only, so its time
/// is bounded by the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&one) if one == b'?' || one == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(name: &str, targets: &[&str], open: &[(u64, u64)]) -> Window {
        Window {
            name: name.into(),
            reason: String::new(),
            targets: targets.iter().map(|&t| t.to_owned()).collect(),
            open: open.to_vec(),
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, want) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("web", "aweb", false),
            ("web*", "web", true),
            ("web*", "web-1", true),
            ("*web", "my-web", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("*", "anything", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab-ab", true),
            ("*a*b", "ab-ac", false),
            ("", "web", false),
            ("**", "web", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                want,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_window_holds_from_its_first_millisecond_to_its_last() {
        let windows = [window("w", &[], &[(10, 20), (30, 40)])];
        for (at, want) in [
            (9, None),
            (10, Some(20)),
            (19, Some(20)),
            (20, None),
            (30, Some(40)),
            (40, None),
        ] {
            let got = holding(&windows, "web", at).map(|held| held.until_wall_ms);
            assert_eq!(got, want, "{at}");
        }
        assert_eq!(windows[0].opens_at(10), Some(30));
        assert_eq!(windows[0].opens_at(30), None);
    }

    #[test]
    fn windows_that_follow_on_one_another_hold_until_the_last_ends() {
        let windows = [
            window("a", &["web"], &[(0, 10)]),
            window("b", &["w*"], &[(10, 20)]),
            window("c", &[], &[(15, 30), (31, 40)]),
            window("d", &["db"], &[(0, 100)]),
        ];
        let held = holding(&windows, "web", 5).unwrap();
        assert_eq!((&*held.window.name, held.until_wall_ms), ("a", 30));
        let held = holding(&windows, "web", 16).unwrap();
        assert_eq!((&*held.window.name, held.until_wall_ms), ("c", 30));
        let held = holding(&windows, "db", 5).unwrap();
        assert_eq!((&*held.window.name, held.until_wall_ms), ("d", 100));
        assert_eq!(holding(&windows, "web", 30), None);
    }
}
