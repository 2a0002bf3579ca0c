//! Names that people type for `healer pause` and `healer resume`: whether anything is known by
//! them. A container may come by a name later on, so none is refused; a mistyped one would
//! silently hold nothing back.

use executor_api::Named;
use policy::Now;

use super::Engine;
use crate::config::nearest;
use crate::docker::Docker;

/// Longer names are near to none: no container has one, and comparing takes time.
const NAME_BYTES_MAX: usize = 255;

/// What a person asks to do with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Pause,
    Resume,
}

impl<D: Docker + 'static> Engine<D> {
    /// What is known of a name before it is paused or resumed.
    pub(super) fn named(&self, now: Now, target: &str, asked: Asked) -> Named {
        let (watched, off) = (self.site.watched.borrow(), self.site.off.borrow());
        // What its label has off is not mistyped.
        let seen = watched.iter().chain(off.keys()).map(String::as_str);
        let known: Vec<&str> = self.policy.known_names().chain(seen).collect();
        match asked {
            Asked::Pause => look_up(target, &known, &[]),
            Asked::Resume => {
                let first: Vec<&str> = self.policy.resumable_names(now).collect();
                look_up(target, &known, &first)
            }
        }
    }
}

/// `first` are those that are meant most likely.
fn look_up(target: &str, known: &[&str], first: &[&str]) -> Named {
    let is_known = known.contains(&target);
    let is_asked = !is_known && target.len() <= NAME_BYTES_MAX;
    let others = |names: &[&str]| {
        let others = names.iter().copied().filter(|name| *name != target);
        nearest(target, others).map(str::to_owned)
    };
    let near = is_asked.then(|| others(first).or_else(|| others(known)));
    Named {
        target: target.to_owned(),
        known: is_known,
        nearest: near.flatten(),
    }
}

/// What a person is told of a name that nothing is known by; none where something is.
pub(super) fn hint(named: &Named, asked: Asked) -> Option<String> {
    if named.known {
        return None;
    }
    let name = &named.target;
    let unknown = format!("No target or watched container by the name '{name}' is known now");
    let advice = match (asked, &named.nearest) {
        (Asked::Pause, Some(near)) => format!(
            ": the pause holds nothing back until one comes by that name. Did you mean '{near}'? \
             Then `healer resume {name}` and pause that one"
        ),
        (Asked::Pause, None) => format!(
            ": the pause holds nothing back until one comes by that name. `healer status` lists \
             those that are known; `healer resume {name}` takes the pause back"
        ),
        (Asked::Resume, Some(near)) => format!(". Did you mean '{near}'?"),
        (Asked::Resume, None) => ". `healer status` lists those that are".to_owned(),
    };
    let end = if advice.ends_with('?') { "" } else { "." };
    Some(format!("{unknown}{advice}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_knows_is_told_with_the_nearest_and_what_to_do() {
        let named = look_up("gpu-wroker", &["db", "gpu-worker"], &[]);
        assert_eq!(
            (named.known, named.nearest.as_deref()),
            (false, Some("gpu-worker"))
        );
        assert_eq!(
            hint(&named, Asked::Pause).unwrap(),
            "No target or watched container by the name 'gpu-wroker' is known now: the pause holds \
             nothing back until one comes by that name. Did you mean 'gpu-worker'? Then `healer \
             resume gpu-wroker` and pause that one."
        );
        assert_eq!(
            hint(&named, Asked::Resume).unwrap(),
            "No target or watched container by the name 'gpu-wroker' is known now. Did you mean \
             'gpu-worker'?"
        );
        let far = look_up("nosuch", &["db", "gpu-worker"], &[]);
        assert_eq!((far.known, &far.nearest), (false, &None));
        let said = hint(&far, Asked::Pause).unwrap();
        assert!(said.contains("`healer status` lists"), "{said}");
        assert!(said.contains("`healer resume nosuch`"), "{said}");
        let said = hint(&far, Asked::Resume).unwrap();
        assert!(
            said.ends_with("`healer status` lists those that are."),
            "{said}"
        );
    }

    #[test]
    fn a_name_that_is_known_is_told_nothing() {
        let named = look_up("db", &["db", "dc"], &["dd"]);
        assert_eq!((named.known, &named.nearest), (true, &None));
        assert_eq!(hint(&named, Asked::Pause), None);
        assert_eq!(hint(&named, Asked::Resume), None);
    }

    #[test]
    fn what_is_paused_or_held_is_meant_first_and_never_the_name_itself() {
        let named = look_up("app-3", &["app-1", "app-2"], &["app-2", "app-3"]);
        assert_eq!(named.nearest.as_deref(), Some("app-2"));
        // Paused by itself alone: near to nothing else.
        assert_eq!(look_up("app-3", &["db"], &["app-3"]).nearest, None);
    }

    #[test]
    fn a_name_without_end_is_compared_with_none() {
        let long = "x".repeat(NAME_BYTES_MAX);
        let near = format!("{}y", &long[1..]);
        assert!(look_up(&long, &[&near], &[]).nearest.is_some());
        let longer = format!("{long}x");
        assert_eq!(look_up(&longer, &[&near], &[]).nearest, None);
    }
}
