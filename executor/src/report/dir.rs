//! File work in a directory where others may plant things.
//!
//! Everything is reached through the directory's descriptor, by single names,
//! never through a link; nothing is opened that could block or is no regular
//! file; nothing is written to that is not ours alone. A content is written to
//! a new file first and takes its name when whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::ReportError;

/// A directory that we create: for everybody's files, each to be removed by
/// its owner only, as the original's set-up makes it.
const DIR_MODE: u32 = 0o1777;
/// Everybody may read reports.
const FILE_MODE: u32 = 0o644;
/// A directory of files that are nobody else's business, and those files.
const PRIVATE_DIR_MODE: u32 = 0o700;
const PRIVATE_FILE_MODE: u32 = 0o600;
/// What a temporary file's name begins with.
pub(crate) const TEMP_START: &str = ".healer-";
/// Names tried for a temporary file before giving up.
const TEMP_TRIES_MAX: u32 = 16;
/// Names looked at in one pass over the directory.
pub(crate) const ENTRIES_MAX: usize = 20_000;

/// The names in a directory, sorted.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) found: Vec<String>,
    /// False where there are more than [`ENTRIES_MAX`].
    pub(crate) are_all: bool,
}

/// The open report directory. Opened anew for each use: what cleans up `/tmp`
/// may take it away.
#[derive(Debug)]
pub(crate) struct ReportDir {
    fd: OwnedFd,
    path: PathBuf,
    own_uid: u32,
    file_mode: u32,
}

impl ReportDir {
    /// Opens it, creating it where it is missing.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, ReportError> {
        match Self::open(path) {
            Err(ReportError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Self::open(path)
            }
            result => result,
        }
    }

    pub(crate) fn open(path: &Path) -> Result<Self, ReportError> {
        let fd = open_dir(path)?;
        Ok(Self {
            fd,
            path: path.to_owned(),
            own_uid: rustix::process::geteuid().as_raw(),
            file_mode: FILE_MODE,
        })
    }

    /// Opens a directory of our own that nobody else may look into; created
    /// where it is missing, but not what it is in.
    pub(crate) fn open_or_create_private(path: &Path) -> Result<Self, ReportError> {
        let mode = Mode::from_raw_mode(PRIVATE_DIR_MODE);
        match rustix::fs::mkdir(path, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(ReportError::io("create the directory", path, e)),
        }
        let dir = Self {
            file_mode: PRIVATE_FILE_MODE,
            ..Self::open(path)?
        };
        let stat = dir.stat()?;
        if stat.st_uid != dir.own_uid {
            return Err(ReportError::NotOurs {
                path: path.to_owned(),
                why: format!("belongs to user id {}", stat.st_uid),
                fix: format!("chown -R {} {}", dir.own_uid, path.display()),
            });
        }
        if stat.st_mode & 0o7777 != PRIVATE_DIR_MODE {
            rustix::fs::fchmod(&dir.fd, mode)
                .map_err(|e| ReportError::io("make private", path, e))?;
        }
        Ok(dir)
    }

    /// Whether a file of this name is, or was, on its way to its own.
    pub(crate) fn is_temp(name: &str) -> bool {
        name.starts_with(TEMP_START) && name.ends_with(".tmp")
    }

    pub(crate) fn own_uid(&self) -> u32 {
        self.own_uid
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory itself.
    pub(crate) fn stat(&self) -> Result<Stat, ReportError> {
        rustix::fs::fstat(&self.fd).map_err(|e| ReportError::io("examine", &self.path, e))
    }

    /// None where there is nothing of that name; links are not followed.
    pub(crate) fn stat_of(&self, name: &str) -> Result<Option<Stat>, ReportError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(ReportError::io("examine", &self.path_of(name), e)),
        }
    }

    /// The names in it, as many as are looked at in one pass.
    pub(crate) fn some_names(&self) -> Result<Names, ReportError> {
        let failed = |e| ReportError::io("list", &self.path, e);
        let mut entries = rustix::fs::Dir::read_from(&self.fd).map_err(failed)?;
        let mut found = Vec::new();
        for entry in entries.by_ref().take(ENTRIES_MAX) {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.map_err(failed)?.file_name().to_str() {
                found.push(name.to_owned());
            }
        }
        found.sort();
        let are_all = entries.next().is_none();
        Ok(Names { found, are_all })
    }

    /// All names in it: where others can hide a name among theirs, an error.
    pub(crate) fn all_names(&self) -> Result<Vec<String>, ReportError> {
        let names = self.some_names()?;
        if names.are_all {
            return Ok(names.found);
        }
        Err(ReportError::Crowded {
            path: self.path.clone(),
            entries_max: ENTRIES_MAX,
        })
    }

    /// Gives `name` this content, whole or not at all.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<(), ReportError> {
        if let Some(stat) = self.stat_of(name)? {
            self.check_ours(name, &stat)?;
        }
        let (temp, file) = self.create_temp(name)?;
        let done = self
            .fill(name, &file, content)
            .and_then(|()| self.rename(&temp, name));
        if done.is_err() {
            // The failure above is what is told; the sweep takes what stays behind.
            let _left_for_the_sweep = self.remove(&temp);
        }
        done
    }

    /// Makes a file that was written, and its name, outlive a power cut.
    pub(crate) fn sync(&self, name: &str) -> Result<(), ReportError> {
        let ours = |stat: &Stat| check_owned(stat, |uid| uid == self.own_uid);
        let failed = |e: io::Error| ReportError::io("make durable", &self.path_of(name), e);
        if let Some(file) = self.open_checked(name, OFlags::RDONLY, ours)? {
            file.sync_all().map_err(failed)?;
        }
        rustix::fs::fsync(&self.fd).map_err(|e| failed(e.into()))
    }

    /// Appends a line to `name`. A failed write is taken back.
    pub(crate) fn append_line(&self, name: &str, line: &str) -> Result<(), ReportError> {
        let (file, size) = self.open_to_append(name)?;
        let failed = |e| ReportError::io("write to", &self.path_of(name), e);
        // Somebody's half line stays theirs.
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1).map_err(failed)?;
        }
        let gap = if last == [b'\n'] { "" } else { "\n" };
        let text = format!("{gap}{line}\n");
        file.write_all_at(text.as_bytes(), size).map_err(|e| {
            // Should this fail too, the next append begins on a new line.
            let _half_a_line_stays = file.set_len(size);
            failed(e)
        })
    }

    /// The size of one of our files, 0 where it is not there.
    pub(crate) fn size_of_ours(&self, name: &str) -> Result<u64, ReportError> {
        match self.stat_of(name)? {
            Some(stat) => {
                self.check_ours(name, &stat)?;
                Ok(u64::try_from(stat.st_size).unwrap_or(0))
            }
            None => Ok(0),
        }
    }

    /// Renames one of our files; what is in the new name's place has to be ours.
    pub(crate) fn rename_ours(&self, from: &str, to: &str) -> Result<(), ReportError> {
        for name in [from, to] {
            if let Some(stat) = self.stat_of(name)? {
                self.check_ours(name, &stat)?;
            }
        }
        self.rename(from, to)
    }

    /// Reads a whole regular file whose owner `may_own` accepts; none where it
    /// is not there.
    pub(crate) fn read_trusted(
        &self,
        name: &str,
        bytes_max: u64,
        may_own: impl Fn(u32) -> bool,
    ) -> Result<Option<String>, ReportError> {
        let check = |stat: &Stat| check_owned(stat, &may_own);
        let Some(file) = self.open_checked(name, OFlags::RDONLY, check)? else {
            return Ok(None);
        };
        let mut text = String::new();
        let read = (&file).take(bytes_max + 1).read_to_string(&mut text);
        let path = self.path_of(name);
        let read = read.map_err(|e| ReportError::io("read", &path, e))?;
        if read as u64 > bytes_max {
            let why = format!("is larger than {bytes_max} bytes");
            return Err(ReportError::NotOurs {
                fix: format!("rm {}", path.display()),
                path,
                why,
            });
        }
        Ok(Some(text))
    }

    /// Bytes that are free on its file system.
    pub(crate) fn free_bytes(&self) -> Result<u64, ReportError> {
        let stat = rustix::fs::fstatvfs(&self.fd)
            .map_err(|e| ReportError::io("ask for the room of", &self.path, e))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), ReportError> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
            .map_err(|e| ReportError::io("remove", &self.path_of(name), e))
    }

    /// Whether it is a regular file of ours, whatever its names.
    pub(crate) fn is_own_file(&self, stat: &Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_uid == self.own_uid
    }

    /// That nobody but us can have written it.
    fn check_ours(&self, name: &str, stat: &Stat) -> Result<(), ReportError> {
        check_owned(stat, |uid| uid == self.own_uid).map_err(|why| self.not_ours(name, why))
    }

    fn not_ours(&self, name: &str, why: Refusal) -> ReportError {
        let path = self.path_of(name);
        let fix = match why.cure {
            Cure::Chown => format!("chown {} {}", self.own_uid, path.display()),
            Cure::Remove => format!("rm {}", path.display()),
        };
        ReportError::NotOurs {
            path,
            why: why.text,
            fix,
        }
    }

    /// Opens what is there if `check` accepts it before and after opening.
    fn open_checked(
        &self,
        name: &str,
        flags: OFlags,
        check: impl Fn(&Stat) -> Result<(), Refusal>,
    ) -> Result<Option<File>, ReportError> {
        let Some(stat) = self.stat_of(name)? else {
            return Ok(None);
        };
        check(&stat).map_err(|why| self.not_ours(name, why))?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|e| ReportError::io("open", &self.path_of(name), e))?;
        // Its name may have been given to something else in between.
        let stat = rustix::fs::fstat(&fd)
            .map_err(|e| ReportError::io("examine", &self.path_of(name), e))?;
        check(&stat).map_err(|why| self.not_ours(name, why))?;
        Ok(Some(File::from(fd)))
    }

    fn open_to_append(&self, name: &str) -> Result<(File, u64), ReportError> {
        let ours = |stat: &Stat| check_owned(stat, |uid| uid == self.own_uid);
        let file = match self.open_checked(name, OFlags::RDWR, ours)? {
            Some(file) => file,
            None => self.create(name, name)?,
        };
        let size = file
            .metadata()
            .map_err(|e| ReportError::io("examine", &self.path_of(name), e))?
            .len();
        Ok((file, size))
    }

    /// A new file; an error where the name is taken. Errors name `shown`.
    fn create(&self, name: &str, shown: &str) -> Result<File, ReportError> {
        let failed = |e| ReportError::io("create", &self.path_of(shown), e);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(self.file_mode);
        let fd =
            rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, mode).map_err(failed)?;
        // Whatever the umask is.
        rustix::fs::fchmod(&fd, mode).map_err(failed)?;
        Ok(File::from(fd))
    }

    fn create_temp(&self, shown: &str) -> Result<(String, File), ReportError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut tries = 0;
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMP_START}{}-{n}.tmp", std::process::id());
            match self.create(&name, shown) {
                Ok(file) => return Ok((name, file)),
                Err(error) if tries == TEMP_TRIES_MAX => return Err(error),
                Err(ReportError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&self, name: &str, file: &File, content: &[u8]) -> Result<(), ReportError> {
        file.write_all_at(content, 0)
            .map_err(|e| ReportError::io("write to", &self.path_of(name), e))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), ReportError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
            .map_err(|e| ReportError::io("rename a file to", &self.path_of(to), e))
    }
}

/// Why a file is not touched, and what would cure it.
struct Refusal {
    text: String,
    cure: Cure,
}

enum Cure {
    Chown,
    Remove,
}

/// A regular file with this one name (a second one could be anybody's file that
/// was linked to here) and an accepted owner.
fn check_owned(stat: &Stat, may_own: impl Fn(u32) -> bool) -> Result<(), Refusal> {
    let refuse = |text: String, cure| Err(Refusal { text, cure });
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_nlink > 1 => {
            refuse("has a second name elsewhere".into(), Cure::Remove)
        }
        FileType::RegularFile if may_own(stat.st_uid) => Ok(()),
        FileType::RegularFile => refuse(format!("belongs to user id {}", stat.st_uid), Cure::Chown),
        FileType::Symlink => refuse("is a symbolic link".into(), Cure::Remove),
        _ => refuse("is no regular file".into(), Cure::Remove),
    }
}

fn open_dir(path: &Path) -> Result<OwnedFd, ReportError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|e| match e {
        Errno::LOOP | Errno::NOTDIR => ReportError::NotOurs {
            path: path.to_owned(),
            why: "is no directory (a link is not followed)".into(),
            fix: format!("rm {}", path.display()),
        },
        e => ReportError::io("open the directory", path, e),
    })
}

fn create(path: &Path) -> Result<(), ReportError> {
    let failed = |e| ReportError::io("create the directory", path, e);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) => {}
        // Somebody else was quicker.
        Err(Errno::EXIST) => return Ok(()),
        Err(e) => return Err(failed(e.into())),
    }
    let fd = open_dir(path)?;
    let stat = rustix::fs::fstat(&fd).map_err(|e| failed(e.into()))?;
    if stat.st_uid == rustix::process::geteuid().as_raw() {
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(DIR_MODE)).map_err(|e| failed(e.into()))?;
    }
    Ok(())
}
