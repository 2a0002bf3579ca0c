//! Patches in the form of `diff -u`, found by their text: a hunk applies where its
//! old lines occur, and they must occur exactly once in the file. Line numbers
//! after `@@` are for people. What stands before the first `---` says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Patch {
    hunks: Vec<Hunk>,
}

#[derive(Debug)]
struct Hunk {
    /// Relative to the crate.
    file: PathBuf,
    old: String,
    new: String,
}

impl Patch {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut hunks: Vec<Hunk> = Vec::new();
        let mut file: Option<PathBuf> = None;
        let mut is_in_hunk = false;
        for line in text.lines() {
            if line.starts_with("--- ") {
                is_in_hunk = false;
            } else if let Some(path) = line.strip_prefix("+++ b/") {
                file = Some(path.into());
            } else if line.starts_with("@@") {
                let file = file.clone().ok_or("a hunk before any +++ line")?;
                let (old, new) = (String::new(), String::new());
                hunks.push(Hunk { file, old, new });
                is_in_hunk = true;
            } else if is_in_hunk && let Some(hunk) = hunks.last_mut() {
                let (kind, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
                let rest = format!("{rest}\n");
                match kind {
                    "-" => hunk.old += &rest,
                    "+" => hunk.new += &rest,
                    " " => {
                        hunk.old += &rest;
                        hunk.new += &rest;
                    }
                    _ => return Err(format!("neither -, + nor blank: {line}")),
                }
            }
        }
        if hunks.is_empty() || hunks.iter().any(|h| h.old == h.new || h.old.is_empty()) {
            return Err("no hunk, or one that changes nothing".into());
        }
        Ok(Self { hunks })
    }

    /// The files that it touches.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.hunks.iter().map(|hunk| hunk.file.as_path())
    }

    /// Those files as they are with it, by path relative to the crate.
    pub(crate) fn applied(&self, root: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
        let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
        for hunk in &self.hunks {
            let shown = hunk.file.display();
            let text = match files.get(&hunk.file) {
                Some(text) => text.clone(),
                None => fs::read_to_string(root.join(&hunk.file))
                    .map_err(|e| format!("{shown}: {e}"))?,
            };
            let lines = text.split_inclusive('\n').scan(0, |at, line| {
                *at += line.len();
                Some(*at - line.len())
            });
            let places: Vec<usize> = lines
                .filter(|at| text[*at..].starts_with(&hunk.old))
                .collect();
            let [place] = places[..] else {
                return Err(format!(
                    "{shown}: its old lines occur {} times, must once:\n{}",
                    places.len(),
                    hunk.old
                ));
            };
            let (before, rest) = text.split_at(place);
            let after = &rest[hunk.old.len()..];
            files.insert(hunk.file.clone(), format!("{before}{}{after}", hunk.new));
        }
        Ok(files)
    }
}

#[test]
fn a_hunk_applies_where_its_lines_stand_once() {
    let dir = env!("CARGO_TARGET_TMPDIR");
    let root = Path::new(dir).join("patch");
    fs::create_dir_all(&root).expect("a folder");
    let patch = |hunk: &str| Patch::parse(&format!("Why.\n\n--- a/f\n+++ b/f\n@@ -1 @@\n{hunk}"));
    let applied = |text: &str, hunk: &str| {
        fs::write(root.join("f"), text).expect("a file");
        let files = patch(hunk).expect("a patch").applied(&root)?;
        Ok::<_, String>(files[Path::new("f")].clone())
    };
    let hunk = " a\n-b\n+c\n";
    assert_eq!(applied("x\na\nb\ny\n", hunk), Ok("x\na\nc\ny\n".into()));
    assert_eq!(applied("a\nb\n", hunk), Ok("a\nc\n".into()));
    assert!(applied("aa\nb\n", hunk).is_err());
    assert!(applied("a\nb\na\nb\n", hunk).is_err());
    assert!(applied("a\nc\n", hunk).is_err());
    for wrong in ["", " a\n", "a\n", "?\n"] {
        assert!(patch(wrong).is_err(), "{wrong:?}");
    }
}
