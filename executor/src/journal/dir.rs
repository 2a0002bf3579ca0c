//! The private directory that the journal and the lock live in.
//!
//! Opened once and checked; everything inside is then reached through its
//! descriptor, so that a path swapped later leads nowhere else.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::JournalError;

/// The mode of a directory that we create.
const DIR_MODE: u32 = 0o700;
/// The mode of every file in it.
const FILE_MODE: u32 = 0o600;
/// Write permission for group or others.
const OTHERS_WRITE: u32 = 0o022;

/// A directory that nobody else can write.
#[derive(Debug)]
pub struct StateDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl StateDir {
    /// Opens the directory, creating it (0700) where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made or opened, belongs to somebody else, or others
    /// can write to it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.is_dir() {
            create(path)?;
        }
        Self::open_existing(path)
    }

    /// The same, but a missing one stays missing.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, JournalError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| JournalError::io("open the state directory", path, e))?;
        let stat = rustix::fs::fstat(&fd).map_err(|e| JournalError::io("examine", path, e))?;
        check_private(path, &stat, rustix::process::geteuid().as_raw())?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn try_clone(&self) -> Result<Self, JournalError> {
        let fd = self
            .fd
            .try_clone()
            .map_err(|e| JournalError::io("duplicate the descriptor of", &self.path, e))?;
        Ok(Self {
            fd,
            path: self.path.clone(),
        })
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file in it, never through a link; created files are 0600.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(FILE_MODE);
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, mode)?))
    }

    /// A new empty file, in place of any of that name.
    pub(crate) fn create_anew(&self, name: &str) -> Result<File, JournalError> {
        self.remove_if_there(name)?;
        self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
            .map_err(|e| JournalError::io("create", &self.path_of(name), e))
    }

    pub(crate) fn remove_if_there(&self, name: &str) -> Result<(), JournalError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(JournalError::io("remove", &self.path_of(name), e)),
        }
    }

    /// None where there is nothing of that name. Links are not followed.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>, JournalError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(JournalError::io("examine", &self.path_of(name), e)),
        }
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), JournalError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
            .map_err(|e| JournalError::io("rename a file to", &self.path_of(to), e))
    }

    /// Makes names durable: without it a power cut may undo a rename.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        rustix::fs::fsync(&self.fd)
            .map_err(|e| JournalError::io("fsync the directory", &self.path, e))
    }

    /// Whether the path still leads here.
    pub(crate) fn check_in_place(&self) -> Result<(), JournalError> {
        let gone = |why: &str| JournalError::Gone {
            path: self.path.clone(),
            why: why.into(),
        };
        let own =
            rustix::fs::fstat(&self.fd).map_err(|e| JournalError::io("examine", &self.path, e))?;
        match rustix::fs::stat(&self.path) {
            Ok(there) if is_same_file(&own, &there) => Ok(()),
            Ok(_) => Err(gone(
                "the state directory was replaced by another while running; \
                 put the old one back, or start the executor again",
            )),
            Err(Errno::NOENT) => Err(gone(
                "the state directory was moved or removed while running; \
                 put it back, or create it and start the executor again",
            )),
            Err(e) => Err(JournalError::io("examine", &self.path, e)),
        }
    }

    /// That `name` still leads to this open file of ours, and the path here.
    pub(crate) fn check_holds(&self, name: &str, file: &File) -> Result<(), JournalError> {
        self.check_in_place()?;
        let path = self.path_of(name);
        let own = rustix::fs::fstat(file).map_err(|e| JournalError::io("examine", &path, e))?;
        match self.stat(name)? {
            Some(there) if is_same_file(&own, &there) => Ok(()),
            _ => {
                let why = "the file was removed or replaced meanwhile; start again".into();
                Err(JournalError::Gone { path, why })
            }
        }
    }
}

pub(crate) fn is_same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

fn create(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .map_err(|e| JournalError::io("create the state directory", path, e))?;
    // Its own name has to outlive a power cut too.
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| JournalError::io("fsync the directory", parent, e))
}

fn check_private(path: &Path, stat: &Stat, own_uid: u32) -> Result<(), JournalError> {
    let refuse = |why: String, fix: String| {
        Err(JournalError::Unsafe {
            path: path.to_owned(),
            why,
            fix,
        })
    };
    let shown = path.display();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return refuse("is not a directory".into(), format!("rm {shown}"));
    }
    let owner = stat.st_uid;
    if owner != own_uid && own_uid == 0 {
        // Root could, but its files would then shut the executor's user out.
        return refuse(
            format!("belongs to user id {owner}, and only that user may work in it"),
            format!("sudo -u '#{owner}' healer … (or chown -R 0 {shown}, if root is to run it)"),
        );
    }
    if owner != own_uid {
        return refuse(
            format!("belongs to user id {owner}, and this runs as {own_uid}"),
            format!("chown -R {own_uid} {shown}"),
        );
    }
    if stat.st_mode & OTHERS_WRITE != 0 {
        return refuse(
            format!(
                "can be written by others (mode {:04o})",
                stat.st_mode & 0o7777
            ),
            format!("chmod 0700 {shown}"),
        );
    }
    Ok(())
}
