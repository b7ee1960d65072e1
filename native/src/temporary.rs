//! Temporary files: written beside a value, then renamed to it in one step.
//!
//! * A file that is not renamed is removed, but not by a child that was forked meanwhile.
//! * A name is a random number, which each thread draws once, and a count. A name that is taken
//!   nevertheless, by another host, is followed by another number.
//! * A rename either replaces a file or refuses to; the system guarantees both.

use std::cell::Cell;
use std::io::IoSlice;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::fork::generation;
use crate::sys::{self, retry, PARTS};

/// The end of every temporary file's name, as in Python.
pub const TEMPORARY_SUFFIX: &str = ".fastzarr-tmp";

const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

thread_local! {
    /// The process's generation when the number was drawn, the number, and the count of names.
    static NAMES: Cell<(u32, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// A temporary file, which is removed unless it was renamed.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) at: Arc<OwnedFd>,
    pub(crate) name: String,
    pub(crate) file: Option<OwnedFd>,
    generation: u32,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.name.is_empty() && self.generation == generation() {
            // The error that matters is the one that led here.
            let _ = rustix::fs::unlinkat(&self.at, self.name.as_str(), AtFlags::empty());
        }
    }
}

impl Temporary {
    /// Create a temporary file in a folder, and write it.
    pub(crate) fn write(
        at: &Arc<OwnedFd>,
        parts: &[&[u8]],
    ) -> std::result::Result<Temporary, Errno> {
        let mut tries = 0;
        let (name, file) = loop {
            let name = next_name(tries > 0)?;
            let mode = Mode::from_raw_mode(0o666);
            match retry(|| rustix::fs::openat(at, &name, CREATE, mode)) {
                Ok(file) => break (name, file),
                Err(Errno::EXIST) if tries < 8 => tries += 1,
                Err(errno) => return Err(errno),
            }
        };
        let temporary = Temporary {
            at: at.clone(),
            name,
            file: Some(file),
            generation: generation(),
        };
        if let Some(file) = &temporary.file {
            write_all(file, parts)?;
        }
        Ok(temporary)
    }

    /// Have the disk begin to write while other values are encoded; `sync` waits for it.
    pub(crate) fn begin_sync(&self) {
        if let Some(file) = &self.file {
            sys::begin_sync(file);
        }
    }

    /// Make the content survive a power cut.
    pub(crate) fn sync(&self) -> std::result::Result<(), Errno> {
        match &self.file {
            Some(file) => sys::sync_content(file),
            None => Ok(()),
        }
    }

    /// Open the file again, to sync it.
    pub(crate) fn reopen(&mut self) -> std::result::Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = || rustix::fs::openat(&self.at, self.name.as_str(), flags, Mode::empty());
        self.file = Some(retry(open)?);
        Ok(())
    }

    /// Close the file and return its error: a file system may report only now that it is full.
    pub(crate) fn close(&mut self) -> std::result::Result<(), Errno> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        // SAFETY: the descriptor was owned, and its owner is gone.
        match unsafe { rustix::io::try_close(file.into_raw_fd()) } {
            // The file is closed nevertheless.
            Err(Errno::INTR) => Ok(()),
            result => result,
        }
    }

    /// Rename the file over another.
    pub(crate) fn publish_over(&mut self, name: &str) -> std::result::Result<(), Errno> {
        retry(|| rustix::fs::renameat(&self.at, self.name.as_str(), &self.at, name))?;
        self.name.clear();
        Ok(())
    }

    /// Rename the file to a free name. Return false if the name is taken.
    pub(crate) fn publish_new(&mut self, name: &str) -> std::result::Result<bool, Errno> {
        let (at, own) = (&self.at, self.name.as_str());
        let once = RenameFlags::NOREPLACE;
        match retry(|| rustix::fs::renameat_with(at, own, at, name, once)) {
            Ok(()) => {
                self.name.clear();
                return Ok(true);
            }
            Err(Errno::EXIST) => return Ok(false),
            Err(errno) if errno == Errno::INVAL || sys::unsupported(errno) => {}
            Err(errno) => return Err(errno),
        }
        // A link is never made over an existing name. The first name is removed on drop.
        match retry(|| rustix::fs::linkat(at, own, at, name, AtFlags::empty())) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) if sys::unsupported(errno) => Err(Errno::NOLCK),
            Err(Errno::PERM | Errno::MLINK) => Err(Errno::NOLCK),
            Err(errno) => Err(errno),
        }
    }
}

/// Return a name that nobody has; `anew` if the last one was taken.
fn next_name(anew: bool) -> std::result::Result<String, Errno> {
    let (mut drawn, mut number, mut count) = NAMES.get();
    if anew || drawn != generation() {
        (drawn, number, count) = (generation(), sys::random()?, 0);
    }
    NAMES.set((drawn, number, count + 1));
    Ok(format!(".{number:016x}{count:x}{TEMPORARY_SUFFIX}"))
}

pub(crate) fn write_all(file: &OwnedFd, parts: &[&[u8]]) -> std::result::Result<(), Errno> {
    // The next part, and how much of it is written.
    let (mut next, mut done) = (0, 0);
    while let Some(first) = parts.get(next) {
        let first = first.get(done..).unwrap_or_default();
        let rest = parts.iter().skip(next + 1);
        let batch: Vec<_> = std::iter::once(first)
            .chain(rest.copied())
            .take(PARTS)
            .map(IoSlice::new)
            .collect();
        let wanted = batch.iter().any(|part| !part.is_empty());
        let mut count = match retry(|| rustix::io::writev(file, &batch))? {
            0 if wanted => return Err(Errno::IO),
            count => count,
        };
        for part in &batch {
            if count < part.len() {
                done += count;
                break;
            }
            count -= part.len();
            next += 1;
            done = 0;
        }
    }
    Ok(())
}
