//! Opening: reading what is there, setting aside what cannot be trusted.
//!
//! Damage costs a waiting time, never a budget: the file is kept under another
//! name and a new journal begins whose first entry makes every target count as
//! spent. The new journal is on disk under [`FAIL_CLOSED`] before the old one
//! loses its name, so a crash in between cannot end in an empty journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use policy::{Entry, Now, Record, Timestamp};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::content::Content;
use super::format::Header;
use super::read::{self, End, Scan};
use super::write::Writer;
use super::{FILE_BYTES_MAX, JOURNAL, JournalError, NEW, StateDir};
use crate::clock::{self, Anchor, Clock, Reading};

/// A journal that is about to take a damaged one's place.
const FAIL_CLOSED: &str = "journal.fail-closed";

/// Damaged journals kept; more mean a disk that somebody has to look at.
const ASIDE_MAX: u32 = 1000;

/// On the same boot no entry can be later than now; this much is rounding.
const FUTURE_MS_MAX: u64 = 1000;

/// What was found wrong at opening. Already dealt with; to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The last write had not been finished: cut. Nothing in it had been promised.
    TornTail {
        /// The journal.
        path: PathBuf,
        /// Bytes cut.
        bytes: u64,
    },
    /// The file could not be trusted: set aside, and every target counts as
    /// spent until `until` or until a person says otherwise.
    SetAside {
        /// The journal.
        path: PathBuf,
        /// Where the damaged file is now.
        aside: PathBuf,
        /// What was wrong.
        why: String,
        /// On the policy's clock.
        until: Timestamp,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TornTail { path, bytes } => write!(
                f,
                "journal {}: cut {bytes} bytes of an unfinished last write",
                path.display()
            ),
            Self::SetAside {
                path, aside, why, ..
            } => write!(
                f,
                "journal {} is damaged ({why}); kept as {}. Every target counts as spent until a \
                 full window has passed; `healer resume` ends that",
                path.display(),
                aside.display()
            ),
        }
    }
}

/// All that opening yields, before the thread starts.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) writer: Writer,
    pub(crate) clock: Clock,
    pub(crate) records: Vec<Record>,
    pub(crate) damage: Option<Damage>,
}

/// What the name `journal` leads to.
enum There {
    Nothing,
    Good { file: std::fs::File, scan: Scan },
    Damaged { why: String },
}

pub(crate) fn open(dir: &StateDir, fail_closed_ms: u64) -> Result<Found, JournalError> {
    let reading = clock::read_system()
        .map_err(|e| JournalError::io("read the clock for", &dir.path_of(JOURNAL), e))?;
    finish_setting_aside(dir)?;
    match look(dir, &reading)? {
        There::Nothing => begin(dir, &reading),
        There::Good { file, scan } => go_on(dir, &reading, file, scan),
        There::Damaged { why } => {
            let damage = set_aside(dir, &reading, why, fail_closed_ms)?;
            match look(dir, &reading)? {
                There::Good { file, scan } => {
                    let mut found = go_on(dir, &reading, file, scan)?;
                    found.damage = Some(damage);
                    Ok(found)
                }
                _ => Err(JournalError::io(
                    "read back what was just written to",
                    &dir.path_of(JOURNAL),
                    io::Error::from(io::ErrorKind::InvalidData),
                )),
            }
        }
    }
}

/// Reads a journal without changing anything, as far as it is good.
pub(crate) fn peek(path: &Path) -> Result<Vec<Record>, JournalError> {
    let dir = StateDir::open_existing(path)?;
    let path = dir.path_of(JOURNAL);
    match dir.open_file(JOURNAL, OFlags::RDONLY) {
        Ok(file) => Ok(read::scan(file)
            .map_err(|e| JournalError::io("read", &path, e))?
            .records),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(JournalError::io("open", &path, e)),
    }
}

fn look(dir: &StateDir, reading: &Reading) -> Result<There, JournalError> {
    let damaged = |why: String| Ok(There::Damaged { why });
    let Some(stat) = dir.stat(JOURNAL)? else {
        return Ok(There::Nothing);
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return damaged("it is no regular file".into());
    }
    if u64::try_from(stat.st_size).is_ok_and(|size| size > 2 * FILE_BYTES_MAX) {
        return damaged(format!(
            "{} bytes are more than any journal of ours",
            stat.st_size
        ));
    }
    let file = match dir.open_file(JOURNAL, OFlags::RDWR) {
        Ok(file) => file,
        // Whoever it belongs to, our own writes would have left it ours.
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::ACCESS | Errno::PERM)) => {
            return damaged(format!("it cannot be opened: {e}"));
        }
        Err(e) => return Err(JournalError::io("open", &dir.path_of(JOURNAL), e)),
    };
    let scan = match read::scan(&file) {
        Ok(scan) => scan,
        Err(e) if Errno::from_io_error(&e) == Some(Errno::IO) => {
            return damaged(format!("it cannot be read: {e}"));
        }
        Err(e) => return Err(JournalError::io("read", &dir.path_of(JOURNAL), e)),
    };
    if let End::Damaged { why } = scan.end {
        return damaged(why);
    }
    match future(&scan, reading) {
        Some(why) => damaged(why),
        None => Ok(There::Good { file, scan }),
    }
}

/// Entries of this very boot that are later than now were not written by us,
/// and would hold the policy's clock still.
fn future(scan: &Scan, reading: &Reading) -> Option<String> {
    let (header, last) = scan.newest.as_ref()?;
    let anchor = &header.anchor;
    if !clock::is_same_boot(anchor, reading) {
        return None;
    }
    let latest = anchor
        .at
        .plus(reading.boot_ms - anchor.boot_ms + FUTURE_MS_MAX);
    (last.at > latest).then(|| {
        let ahead_s = last.at.since(latest) / 1000;
        format!("its newest entry lies {ahead_s} s in the future")
    })
}

fn begin(dir: &StateDir, reading: &Reading) -> Result<Found, JournalError> {
    let clock = Clock::system(None, reading);
    let writer = Writer::begin(dir.try_clone()?, &Header::new(clock.anchor()), &[])?;
    Ok(Found {
        writer,
        clock,
        records: Vec::new(),
        damage: None,
    })
}

fn go_on(
    dir: &StateDir,
    reading: &Reading,
    file: std::fs::File,
    scan: Scan,
) -> Result<Found, JournalError> {
    let newest: Option<(&Anchor, Now)> = scan
        .newest
        .as_ref()
        .map(|(header, last)| (&header.anchor, *last));
    let clock = Clock::system(newest, reading);
    // What a killed compaction left.
    dir.remove_if_there(NEW)?;
    let content = Content {
        file,
        bytes: scan.good_bytes,
        records: scan.records.len(),
    };
    let torn = match scan.end {
        End::Torn { bytes } => Some(bytes),
        _ => None,
    };
    let header = Header::new(clock.anchor());
    let writer = Writer::resume(dir.try_clone()?, content, torn.is_some(), header);
    let path = dir.path_of(JOURNAL);
    let damage = torn.map(|bytes| Damage::TornTail { path, bytes });
    Ok(Found {
        writer,
        clock,
        records: scan.records,
        damage,
    })
}

/// Puts a journal that fails closed in the place of a damaged one.
fn set_aside(
    dir: &StateDir,
    reading: &Reading,
    why: String,
    fail_closed_ms: u64,
) -> Result<Damage, JournalError> {
    let clock = Clock::system(None, reading);
    let now = clock.now();
    let until = now.at.plus(fail_closed_ms);
    let aside = free_name(dir, now.wall_ms / 1000)?;
    let entry = Entry::FailClosed {
        until,
        why: format!("{why}; the file is kept as {aside}"),
    };
    let first = Record {
        at: now.at,
        wall_ms: now.wall_ms,
        entry,
    };
    Content::create(dir, FAIL_CLOSED, &Header::new(clock.anchor()), &[first])?;
    dir.sync()?;
    dir.rename(JOURNAL, &aside)?;
    finish_setting_aside(dir)?;
    Ok(Damage::SetAside {
        path: dir.path_of(JOURNAL),
        aside: dir.path_of(&aside),
        why,
        until,
    })
}

/// The second half of [`set_aside`], also after a crash within it.
fn finish_setting_aside(dir: &StateDir) -> Result<(), JournalError> {
    if dir.stat(JOURNAL)?.is_some() || dir.stat(FAIL_CLOSED)?.is_none() {
        return Ok(());
    }
    dir.rename(FAIL_CLOSED, JOURNAL)?;
    dir.sync()
}

fn free_name(dir: &StateDir, epoch: u64) -> Result<String, JournalError> {
    for n in 1..=ASIDE_MAX {
        let name = format!("journal.damaged-{epoch}-{n}");
        if dir.stat(&name)?.is_none() {
            return Ok(name);
        }
    }
    Err(JournalError::Limit {
        path: dir.path_of(JOURNAL),
        why: format!("{ASIDE_MAX} damaged journals in one second: look at the disk"),
    })
}
