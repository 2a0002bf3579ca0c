//! Markers that people set: files whose names say what they want.
//!
//! - `resume-<target>`: let it be restarted again
//! - `resume`: the same for all, and the end of a storm
//! - `<target>.stopped`: it was stopped on purpose, leave it alone
//! - `manual-stop/<target>.stopped`, `manual-stop/<target>`: the same
//!
//! Anybody may be able to create files in the directory, so one counts only if
//! it belongs to root or to the executor's user, in a directory that belongs to
//! one of them and where nobody else can rename it (sticky, or closed to others).

use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::ReportError;
use super::dir::ReportDir;
use super::error::is_target_name;

/// Markers that count, taken in at once; people set a few.
pub(crate) const MARKS_MAX: usize = 1000;
/// Markers that do not count, told of at once: anybody may plant them.
pub(crate) const IGNORED_MAX: usize = 100;

/// The directory in the report directory whose files all mean a stop.
const STOP_DIR: &str = "manual-stop";

/// Write permission for group or others.
const OTHERS_WRITE: u32 = 0o022;
/// Only a file's owner may rename or remove it.
const STICKY: u32 = 0o1000;

/// What a marker asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// `resume-<target>`
    Resume,
    /// `resume`
    ResumeAll,
    /// `<target>.stopped`, `manual-stop/<target>`
    Stopped,
}

/// One that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// See [`MarkKind`].
    pub kind: MarkKind,
    /// As in its name; empty in [`MarkKind::ResumeAll`].
    pub target: String,
    /// When it was set (its modification time), wall clock in milliseconds.
    pub set_wall_ms: u64,
    name: String,
}

/// All that are there.
#[derive(Debug, Default)]
pub struct Marks {
    /// By name.
    pub found: Vec<Mark>,
    /// Those that do not count, and why; to be told.
    pub ignored: Vec<ReportError>,
}

/// Lists the markers. Blocks for a moment.
///
/// # Errors
/// Where the directory is there but cannot be read, or holds so many files that
/// a marker could be hidden among them.
pub fn marks(path: &Path) -> Result<Marks, ReportError> {
    let dir = match ReportDir::open(path) {
        Ok(dir) => dir,
        Err(ReportError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Marks::default());
        }
        Err(error) => return Err(error),
    };
    let untrusted = why_untrusted(&dir)?;
    let mut marks = Marks::default();
    marks.take(&dir, untrusted.as_deref(), parse)?;
    let stops = match ReportDir::open(&path.join(STOP_DIR)) {
        Ok(stops) => stops,
        Err(ReportError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(marks);
        }
        // Somebody planted a file or a link of that name: those beside it count still.
        Err(error) => {
            marks.ignored.push(error);
            return Ok(marks);
        }
    };
    // Where others can rename the directory it may be another by now.
    let untrusted = match untrusted {
        Some(why) => Some(why),
        None => why_untrusted(&stops)?,
    };
    marks.take(&stops, untrusted.as_deref(), parse_stop)?;
    Ok(marks)
}

impl Marks {
    fn take(
        &mut self,
        dir: &ReportDir,
        untrusted: Option<&str>,
        parse: fn(&str) -> Option<(MarkKind, &str)>,
    ) -> Result<(), ReportError> {
        for name in dir.all_names()? {
            let Some((kind, target)) = parse(&name) else {
                continue;
            };
            if self.found.len() >= MARKS_MAX {
                let (path, why) = (dir.path_of(&name), "more than 1000 markers are set");
                let why = format!("{why}: this one and those after it do not count");
                self.ignored.push(ReportError::Content { path, why });
                break;
            }
            match look(dir, &name, untrusted) {
                Ok(Some(set_wall_ms)) => {
                    self.found.push(Mark {
                        kind,
                        target: target.to_owned(),
                        set_wall_ms,
                        name,
                    });
                }
                Ok(None) => {}
                Err(error) if self.ignored.len() < IGNORED_MAX => self.ignored.push(error),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Mark {
    /// Removes it once it was obeyed, unless it was set anew meanwhile.
    ///
    /// # Errors
    /// Where it cannot be removed (somebody else's, in a sticky directory).
    pub fn remove(&self, path: &Path) -> Result<(), ReportError> {
        let dir = ReportDir::open(path)?;
        let untrusted = why_untrusted(&dir)?;
        match look(&dir, &self.name, untrusted.as_deref())? {
            Some(set_wall_ms) if set_wall_ms == self.set_wall_ms => dir.remove(&self.name),
            _ => Ok(()),
        }
    }
}

/// Root, or whoever the executor runs as.
pub(crate) fn is_trusted_uid(uid: u32, own_uid: u32) -> bool {
    uid == 0 || uid == own_uid
}

/// A name that reads both ways means the one that restarts nothing.
fn parse(name: &str) -> Option<(MarkKind, &str)> {
    if name == "resume" {
        return Some((MarkKind::ResumeAll, ""));
    }
    let stopped = name
        .strip_suffix(".stopped")
        .map(|target| (MarkKind::Stopped, target));
    let (kind, target) =
        stopped.or_else(|| Some((MarkKind::Resume, name.strip_prefix("resume-")?)))?;
    is_target_name(target).then_some((kind, target))
}

fn parse_stop(name: &str) -> Option<(MarkKind, &str)> {
    let target = name.strip_suffix(".stopped").unwrap_or(name);
    is_target_name(target).then_some((MarkKind::Stopped, target))
}

/// When it was set; an error where it does not count.
fn look(dir: &ReportDir, name: &str, untrusted: Option<&str>) -> Result<Option<u64>, ReportError> {
    let Some(stat) = dir.stat_of(name)? else {
        return Ok(None);
    };
    let path = dir.path_of(name);
    let not = |why: String, fix: &str| {
        let fix = format!("{fix} {}", path.display());
        Err(ReportError::NotOurs {
            path: path.clone(),
            why,
            fix,
        })
    };
    if let Some(why) = untrusted {
        let why = format!("does not count: {why}");
        return Err(ReportError::Content { path, why });
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        return not(
            "does not count: it is no regular file of one name".into(),
            "rm",
        );
    }
    if !is_trusted_uid(stat.st_uid, dir.own_uid()) {
        let why = format!("does not count: it belongs to user id {}", stat.st_uid);
        return not(why, &format!("chown {}", dir.own_uid()));
    }
    let ms = |secs: i64, nanos: i64| secs.saturating_mul(1000).saturating_add(nanos / 1_000_000);
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Ok(Some(u64::try_from(ms(stat.st_mtime, nanos)).unwrap_or(0)))
}

/// Why nothing in this directory can be trusted; none where it can.
fn why_untrusted(dir: &ReportDir) -> Result<Option<String>, ReportError> {
    let stat = dir.stat()?;
    if !is_trusted_uid(stat.st_uid, dir.own_uid()) {
        return Ok(Some(format!(
            "the directory belongs to user id {}",
            stat.st_uid
        )));
    }
    if stat.st_mode & OTHERS_WRITE != 0 && stat.st_mode & STICKY == 0 {
        let mode = stat.st_mode & 0o7777;
        return Ok(Some(format!(
            "others can rename files in the directory (mode {mode:04o}; chmod +t helps)"
        )));
    }
    Ok(None)
}
