//! Groups by name, as `/etc/group` lists them.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::Sockets;

/// Most bytes of `/etc/group` that are read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

impl Sockets {
    /// The id of [`Sockets::intents_group`]; none where no group is set.
    ///
    /// # Errors
    /// Where there is no such group here.
    pub fn intents_gid(&self) -> Result<Option<u32>, String> {
        match &self.intents_group {
            Some(group) => group_id(group, Path::new("/etc/group")).map(Some),
            None => Ok(None),
        }
    }
}

/// A number is a group's id itself, known here or not: in a container whose
/// `/etc/group` is another, numbers are what counts.
fn group_id(group: &str, file: &Path) -> Result<u32, String> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let fail = |why: String| format!("intents_group: {group:?}: {why}");
    let opened = std::fs::File::open(file).map_err(|e| {
        fail(format!(
            "{}: {e}; give the group's number instead",
            file.display()
        ))
    })?;
    for line in BufReader::new(opened.take(FILE_BYTES_MAX)).lines() {
        let line = line.map_err(|e| fail(format!("{}: {e}", file.display())))?;
        let mut fields = line.split(':');
        if fields.next() == Some(group)
            && let Some(Ok(gid)) = fields.nth(1).map(str::parse)
        {
            return Ok(gid);
        }
    }
    Err(fail(format!(
        "no such group in {}; make it (groupadd --system {group}), or give a number",
        file.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_and_number() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("group");
        std::fs::write(&file, "root:x:0:\nbad\nhealer:x:990:a,b\n").unwrap();
        assert_eq!(group_id("healer", &file), Ok(990));
        assert_eq!(group_id("991", &file), Ok(991));
        let why = group_id("nobody", &file).unwrap_err();
        assert!(why.contains("groupadd --system nobody"), "{why}");
        let why = group_id("healer", &dir.path().join("none")).unwrap_err();
        assert!(why.contains("give the group's number instead"), "{why}");
    }
}
