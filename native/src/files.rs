//! Reading the files of a local store: the twin of the local store in Python, for keys that have
//! passed its check. Writing is `commit.rs`.
//!
//! * A missing file is a missing value. A folder in the place of a value or something else in the
//!   place of a folder, a refused permission, a failing disk are errors with the system's number.
//! * Reading a value of known size takes open, read, close; reading parts of one takes open, fstat,
//!   a read for each part, close.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, AtFlags, FileType, OFlags, Stat, CWD};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::memory;
use crate::root::{split, Root, Way};
use crate::sys::{failed, is_folder, kind, retry, FETCH};

// Without NONBLOCK, opening a pipe in the store's folder would block for ever.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// A file of a store that is open for reading.
#[derive(Debug)]
pub struct File {
    file: OwnedFd,
    size: u64,
}

/// Keys, each with its value, or `None` if it is missing.
pub type Found<'a> = Vec<(&'a str, Option<Vec<u8>>)>;

impl Root {
    /// Read a whole value into `dst` if it has exactly that size. Return the size found, which tells
    /// whether `dst` was filled, or `None` if the value is missing.
    pub fn read_exact_into(&self, key: &str, dst: &mut [u8]) -> Result<Option<usize>> {
        let Some(file) = self.open_read(key)? else {
            return Ok(None);
        };
        // One byte more is requested: if it does not come, the file ends here.
        let mut more = [0u8];
        let wanted = dst.len();
        let read = || {
            let mut parts = [IoSliceMut::new(dst), IoSliceMut::new(&mut more)];
            rustix::io::readv(&file, &mut parts)
        };
        let found = retry(read);
        if wanted > 0 && found == Ok(wanted) {
            return Ok(Some(wanted));
        }
        let stat = regular(&file)?;
        let mut done = found.map_err(|errno| failed(FETCH, errno))?;
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size != wanted || done > wanted {
            return Ok(Some(size.max(done)));
        }
        while done < wanted {
            let part = dst.get_mut(done..).unwrap_or_default();
            match retry(|| rustix::io::read(&file, &mut *part)) {
                Ok(0) => return Err(cut(done as u64, wanted as u64)),
                Ok(count) => done += count,
                Err(errno) => return Err(failed(FETCH, errno)),
            }
        }
        Ok(Some(wanted))
    }

    /// Open a value to read parts of it. Return `None` if it is missing.
    pub fn open_file(&self, key: &str) -> Result<Option<File>> {
        let Some(file) = self.open_read(key)? else {
            return Ok(None);
        };
        let size = u64::try_from(regular(&file)?.st_size).unwrap_or(0);
        Ok(Some(File { file, size }))
    }

    fn open_read(&self, key: &str) -> Result<Option<OwnedFd>> {
        split(key)?;
        let flags = match self.way {
            Way::Follow => READ,
            Way::Beneath | Way::Walk => READ | OFlags::NOFOLLOW,
        };
        match self.open_at(key, flags) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed(FETCH, errno)),
        }
    }

    /// Return the values of the first group of keys whose first one has a value, each with its key,
    /// and `None` for the keys that were found missing. The keys of a group are read in their order,
    /// and no others behind it.
    ///
    /// A value of more than `most` bytes is an error.
    pub fn first_values<'a>(&self, groups: &'a [Vec<String>], most: u64) -> Result<Found<'a>> {
        let mut found = Vec::new();
        for group in groups {
            for (at, key) in group.iter().enumerate() {
                let value = self.small(key, most)?;
                let is_missing = value.is_none();
                memory::push(&mut found, (key.as_str(), value), FETCH)?;
                if at == 0 && is_missing {
                    break;
                }
                if at + 1 == group.len() {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn small(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(key)? else {
            return Ok(None);
        };
        if file.size > most {
            return Err(failed(FETCH, Errno::FBIG));
        }
        read_whole(file.file.as_fd(), file.size).map(Some)
    }
}

impl File {
    /// Return the size of the value in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fill `dst` with the bytes from `offset` on. Reading beyond the end is an error.
    pub fn read_at(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        read_at(&self.file, offset, dst)
    }
}

/// Fill `dst` with the bytes of a file from `offset` on. Reading beyond the end is an error.
pub fn read_at(file: impl AsFd + Copy, offset: u64, dst: &mut [u8]) -> Result<()> {
    let end = offset.saturating_add(dst.len() as u64);
    let mut done = 0;
    while done < dst.len() {
        let at = offset.saturating_add(done as u64);
        let part = dst.get_mut(done..).unwrap_or_default();
        match retry(|| rustix::io::pread(file, &mut *part, at)) {
            Ok(0) => return Err(cut(at, end)),
            Ok(count) => done += count,
            Err(errno) => return Err(failed(FETCH, errno)),
        }
    }
    Ok(())
}

/// Return all bytes of a file of so many.
pub fn read_whole(file: BorrowedFd<'_>, size: u64) -> Result<Vec<u8>> {
    let wanted = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = memory::with_room(wanted, FETCH)?;
    while bytes.len() < wanted {
        let read = || rustix::io::read(file, rustix::buffer::spare_capacity(&mut bytes));
        if retry(read).map_err(|errno| failed(FETCH, errno))? == 0 {
            return Err(cut(bytes.len() as u64, size));
        }
    }
    bytes.truncate(wanted);
    Ok(bytes)
}

/// Whether neither a folder nor those above it, as far as they are folders of groups, have an entry
/// named `mark`. A group has an entry of one of the names in `groups`.
///
/// `false` also says that an error has kept it from being known.
pub fn is_unmarked(root: &Path, mark: &str, groups: &[String]) -> bool {
    let is_missing = |folder: &Path, name: &str| {
        let path = folder.join(name);
        let look = || rustix::fs::accessat(CWD, &path, Access::EXISTS, AtFlags::empty());
        retry(look) == Err(Errno::NOENT)
    };
    let mut at = root;
    while is_missing(at, mark) {
        match at.parent() {
            Some(above) if !groups.iter().all(|name| is_missing(above, name)) => at = above,
            _ => return true,
        }
    }
    false
}

/// Whether a path exists, and neither it nor a folder on the way is a link.
pub fn is_real(path: &Path) -> bool {
    path.ancestors().all(|at| {
        let look = || rustix::fs::statat(CWD, at, AtFlags::SYMLINK_NOFOLLOW);
        retry(look).is_ok_and(|stat| kind(&stat) != FileType::Symlink)
    })
}

fn regular(file: &OwnedFd) -> Result<Stat> {
    let stat = rustix::fs::fstat(file).map_err(|errno| failed(FETCH, errno))?;
    match kind(&stat) {
        FileType::RegularFile => Ok(stat),
        FileType::Directory => Err(is_folder(FETCH)),
        _ => Err(Error {
            kind: Kind::Io(Errno::INVAL.raw_os_error()),
            stage: FETCH,
            message: "the value is not a regular file".into(),
        }),
    }
}

fn cut(at: u64, end: u64) -> Error {
    let message = format!(
        "the file ended at byte {at}, before byte {end}: it was truncated while it was read"
    );
    Error {
        kind: Kind::Io(Errno::IO.raw_os_error()),
        stage: FETCH,
        message,
    }
}

#[cfg(test)]
mod tests;
