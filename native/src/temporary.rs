//! Temporary files: written whole beside a value, then given its name in one step.
//!
//! * What does not get its name is removed.
//! * A name is taken over from what has it, or given only if nothing has it, which the system sees to.

use std::io::IoSlice;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::sys::{retry, PARTS};

/// How the name of every temporary file ends, as in `stores/keys.py`.
pub const TEMPORARY_SUFFIX: &str = ".fastzarr-tmp";

const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// A temporary file that is removed unless it got its name.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) at: Arc<OwnedFd>,
    pub(crate) name: String,
    pub(crate) file: Option<OwnedFd>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // The failure that counts is the one that led here.
            let _ = rustix::fs::unlinkat(&self.at, self.name.as_str(), AtFlags::empty());
        }
    }
}

impl Temporary {
    /// Make a temporary file in a folder, and write it.
    pub(crate) fn write(
        at: &Arc<OwnedFd>,
        parts: &[&[u8]],
    ) -> std::result::Result<Temporary, Errno> {
        let mut result = Err(Errno::EXIST);
        for _ in 0..8 {
            let mut number = [0u8; 8];
            rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())?;
            let number = u64::from_ne_bytes(number);
            let name = format!(".{number:016x}{TEMPORARY_SUFFIX}");
            let mode = Mode::from_raw_mode(0o666);
            result = retry(|| rustix::fs::openat(at, &name, CREATE, mode)).map(|file| (name, file));
            if !matches!(result, Err(Errno::EXIST)) {
                break;
            }
        }
        let (name, file) = result?;
        let temporary = Temporary {
            at: at.clone(),
            name,
            file: Some(file),
        };
        if let Some(file) = &temporary.file {
            write_all(file, parts)?;
        }
        Ok(temporary)
    }

    /// Have the disk begin to write, while others are still encoded; `sync` waits for it.
    pub(crate) fn begin_sync(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(file) = &self.file {
            // The advice that the content is not needed has it written first. It is no promise, so
            // that nothing is lost where it is not taken.
            let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }

    pub(crate) fn sync(&self) -> std::result::Result<(), Errno> {
        match &self.file {
            Some(file) => retry(|| rustix::fs::fdatasync(file)),
            None => Ok(()),
        }
    }

    /// Close the file and hear what the file system has to say, which may tell only now that it had
    /// no room.
    pub(crate) fn close(&mut self) -> std::result::Result<(), Errno> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        // SAFETY: the descriptor was owned, and is given up here.
        match unsafe { rustix::io::try_close(file.into_raw_fd()) } {
            // Closed all the same.
            Err(Errno::INTR) => Ok(()),
            result => result,
        }
    }

    /// Take the name of what is there.
    pub(crate) fn publish_over(&mut self, name: &str) -> std::result::Result<(), Errno> {
        retry(|| rustix::fs::renameat(&self.at, self.name.as_str(), &self.at, name))?;
        self.name.clear();
        Ok(())
    }

    /// Take a name that nothing has; false if something has it.
    pub(crate) fn publish_new(&mut self, name: &str) -> std::result::Result<bool, Errno> {
        let (at, own) = (&self.at, self.name.as_str());
        let once = RenameFlags::NOREPLACE;
        match retry(|| rustix::fs::renameat_with(at, own, at, name, once)) {
            Ok(()) => {
                self.name.clear();
                return Ok(true);
            }
            Err(Errno::EXIST) => return Ok(false),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
        // A second name can be given only to what has none of that name. The first one is then
        // dropped with this.
        match retry(|| rustix::fs::linkat(at, own, at, name, AtFlags::empty())) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => Err(Errno::NOLCK),
            Err(errno) => Err(errno),
        }
    }
}

pub(crate) fn write_all(file: &OwnedFd, parts: &[&[u8]]) -> std::result::Result<(), Errno> {
    // The part that is next, and how much of it is written.
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
