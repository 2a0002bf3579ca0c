//! Group names to numbers, from `/etc/group` (no NSS: a static binary has none).

use std::fs;

/// The number of a group given by name or number.
///
/// # Errors
/// Says that there is no such group, and what to do.
pub(crate) fn gid(group: &str) -> Result<u32, String> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let text = fs::read_to_string("/etc/group")
        .map_err(|e| format!("cannot read /etc/group to find group {group}: {e}"))?;
    find(&text, group).ok_or_else(|| {
        format!("intents_group {group} is not in /etc/group: create it or give its number")
    })
}

fn find(text: &str, group: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_or_number() {
        let text = "root:x:0:\n# odd\nhealer:x:998:fluent\nbroken:x\n";
        assert_eq!(find(text, "healer"), Some(998));
        assert_eq!(find(text, "heal"), None);
        assert_eq!(find(text, "broken"), None);
        assert_eq!(gid("1234"), Ok(1234));
        assert!(
            gid("no-such-group-here")
                .unwrap_err()
                .contains("no-such-group-here")
        );
    }
}
