//! Files of a local store: the twin of `stores/local.py`, for keys that have passed its check.
//! How they are written stands in `commit.rs`.
//!
//! * A name that is not there is a missing value. A folder where a value should be, a refused
//!   permission, a failing disk: all that is an error, with the system's number.
//! * Nothing outside the root is opened, unless links are followed by the user's wish. The kernel
//!   sees to it where it can (`openat2`), else each folder is opened in turn and none of them may be
//!   a link. Whatever is a link in a way that needs thought is the error `ELOOP`: the Python twin
//!   then looks at it with care.
//! * Reading a whole value takes open, fstat, read, close; one whose size is known, open, read,
//!   close.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;

use crate::commit::Touched;
use crate::error::{Error, Kind, Result};

const FETCH: &str = "fetch";
pub(crate) const STORE: &str = "store";
/// How often a write makes its folder anew when deletes beside it keep removing it.
pub(crate) const ATTEMPTS: usize = 1000;
/// The most parts that the system takes at once.
pub(crate) const PARTS: usize = 1024;
/// From this length on, rows are read straight to where they belong; shorter ones cost the kernel
/// more, each, than a copy does.
const LONG_ROW: usize = 1024;
/// What is read at once of a file of short rows: it is still in the nearest caches when copied.
const PIECE: usize = 1 << 16;

// Without NONBLOCK, opening a pipe that someone left in the folder would wait for ever.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Tell whether an error says that a link is in the way, which the Python twin knows how to judge.
pub fn is_link(error: &Error) -> bool {
    error.kind == Kind::Io(Errno::LOOP.raw_os_error())
}

/// How a path below the root is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Links are followed wherever they lead.
    Follow,
    /// The kernel refuses what leads out of the root.
    Beneath,
    /// Folder by folder, none of which may be a link.
    Walk,
}

/// The folder of a store, held open for one call.
#[derive(Debug)]
pub struct Root {
    pub(crate) path: PathBuf,
    pub(crate) folder: Arc<OwnedFd>,
    pub(crate) way: Way,
    pub(crate) touched: Touched,
}

/// A file of a store that is open for reading.
#[derive(Debug)]
pub struct File {
    file: OwnedFd,
    size: u64,
}

impl Root {
    /// Open the folder of a store; `None` if it is not there, and so no value is.
    pub fn open(path: &Path, follow_symlinks: bool) -> Result<Option<Root>> {
        match retry(|| rustix::fs::openat(CWD, path, FOLDER, Mode::empty())) {
            Ok(folder) => Ok(Some(Root {
                path: path.to_owned(),
                folder: Arc::new(folder),
                touched: Touched::default(),
                way: if follow_symlinks {
                    Way::Follow
                } else if cfg!(any(target_os = "linux", target_os = "android")) {
                    Way::Beneath
                } else {
                    Way::Walk
                },
            })),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(failed(FETCH, errno)),
        }
    }

    /// Open the folder of a store, and make it where it is not there.
    pub fn create(path: &Path, follow_symlinks: bool) -> Result<Root> {
        for _ in 0..ATTEMPTS {
            if let Some(root) = Root::open(path, follow_symlinks)? {
                return Ok(root);
            }
            match std::fs::create_dir_all(path) {
                Ok(()) => {}
                // Removed again while it was being made.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) if path.exists() && !path.is_dir() => {
                    return Err(Error {
                        kind: Kind::Io(Errno::NOTDIR.raw_os_error()),
                        stage: STORE,
                        message: format!("the root of the store is a file: {error}"),
                    })
                }
                Err(error) => return Err(Error::io(STORE, &error)),
            }
        }
        Err(failed(STORE, Errno::NOENT))
    }

    /// Read a whole value into `buf`, in place of what it held. False if there is no such value.
    pub fn read(&self, key: &str, buf: &mut Vec<u8>) -> Result<bool> {
        let Some(file) = self.open_read(key)? else {
            return Ok(false);
        };
        read_whole(&file, buf)?;
        Ok(true)
    }

    /// Read a whole value into `dst` if it has exactly that size. Gives the size found, which says
    /// whether `dst` was filled, or `None` if there is no such value.
    pub fn read_exact_into(&self, key: &str, dst: &mut [u8]) -> Result<Option<usize>> {
        let Some(file) = self.open_read(key)? else {
            return Ok(None);
        };
        // One byte more is asked for: that it does not come tells that the file ends here.
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

    /// Open a value to read parts of it; `None` if there is no such value.
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
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(failed(FETCH, errno)),
        }
    }

    /// Open what is at a path below the root, which is not empty.
    pub(crate) fn open_at(&self, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        let plain = || retry(|| rustix::fs::openat(&*self.folder, path, flags, Mode::empty()));
        match self.way {
            Way::Follow => plain(),
            // The root has no folders on the way. (Not for folders: `O_PATH` opens links, too.)
            _ if !path.contains('/') && flags.contains(OFlags::NOFOLLOW) => plain().map_err(loops),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Way::Beneath => {
                use rustix::fs::ResolveFlags;
                for _ in 0..ATTEMPTS {
                    let beneath = ResolveFlags::BENEATH;
                    match rustix::fs::openat2(&*self.folder, path, flags, Mode::empty(), beneath) {
                        // A rename beside this made the kernel unsure; it asks to be asked again.
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        // An old kernel, or a sandbox that knows no such call.
                        Err(Errno::NOSYS | Errno::PERM) => return self.walk(path, flags),
                        result => return result.map_err(loops),
                    }
                }
                Err(Errno::LOOP)
            }
            _ => self.walk(path, flags),
        }
    }

    /// Open folder after folder, so that no link is followed.
    fn walk(&self, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        let open = |at: BorrowedFd<'_>, name: &str, flags: OFlags| {
            let flags = flags | OFlags::NOFOLLOW;
            match retry(|| rustix::fs::openat(at, name, flags, Mode::empty())) {
                // A link is no folder either, but it may lead to one.
                Err(Errno::NOTDIR) if is_symlink(at, name) => Err(Errno::LOOP),
                result => result.map_err(loops),
            }
        };
        let mut names = path.split('/');
        let last = names.next_back().unwrap_or_default();
        let mut folder: Option<OwnedFd> = None;
        for name in names {
            let at = folder.as_ref().unwrap_or(&self.folder).as_fd();
            let next = open(at, name, FOLDER)?;
            folder = Some(next);
        }
        let at = folder.as_ref().unwrap_or(&self.folder).as_fd();
        open(at, last, flags)
    }
}

impl File {
    /// Give how many bytes the value has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fill `dst` with the bytes from `offset` on. To reach beyond the end is an error.
    pub fn read_at(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(dst.len() as u64);
        let mut done = 0;
        while done < dst.len() {
            let at = offset.saturating_add(done as u64);
            let part = dst.get_mut(done..).unwrap_or_default();
            match retry(|| rustix::io::pread(&self.file, &mut *part, at)) {
                Ok(0) => return Err(cut(at, end)),
                Ok(count) => done += count,
                Err(errno) => return Err(failed(FETCH, errno)),
            }
        }
        Ok(())
    }

    /// Fill rows of `run` bytes each, one after the other, with the bytes from `offset` on.
    /// `scratch` is room that may be used, and is kept by the caller for the next time.
    pub fn read_rows<'a>(
        &self,
        offset: u64,
        run: usize,
        mut rows: impl Iterator<Item = &'a mut [u8]>,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let mut at = offset;
        if run >= LONG_ROW {
            let mut batch: Vec<&mut [u8]> = Vec::with_capacity(rows.size_hint().0.min(PARTS));
            loop {
                batch.extend(rows.by_ref().take(PARTS));
                if batch.is_empty() {
                    return Ok(());
                }
                self.read_batch(&mut at, &mut batch)?;
                batch.clear();
            }
        }
        // As many rows a piece as it has room for.
        let most = PIECE / run.max(1) * run.max(1);
        let (mut left, mut piece): (usize, &[u8]) = (rows.size_hint().0.saturating_mul(run), &[]);
        for row in rows {
            if piece.len() < row.len() {
                // An iterator that does not know its length is served row by row.
                let len = most.min(left).max(row.len());
                if scratch.len() < len {
                    scratch.resize(len, 0);
                }
                let into = scratch.get_mut(..len).unwrap_or_default();
                self.read_at(at, into)?;
                at = at.saturating_add(len as u64);
                left = left.saturating_sub(len);
                piece = into;
            }
            let (first, rest) = piece.split_at(row.len());
            row.copy_from_slice(first);
            piece = rest;
        }
        Ok(())
    }

    fn read_batch(&self, at: &mut u64, rows: &mut [&mut [u8]]) -> Result<()> {
        let read = || {
            let mut parts: Vec<_> = rows.iter_mut().map(|row| IoSliceMut::new(row)).collect();
            rustix::io::preadv(&self.file, &mut parts, *at)
        };
        let mut found = retry(read).map_err(|errno| failed(FETCH, errno))?;
        for row in rows.iter_mut() {
            let done = found.min(row.len());
            found -= done;
            // Short reads are rare: what is missing is read row by row.
            let rest = row.get_mut(done..).unwrap_or_default();
            self.read_at(at.saturating_add(done as u64), rest)?;
            *at = at.saturating_add(row.len() as u64);
        }
        Ok(())
    }
}

/// Read all of a file into `buf`, in place of what it held.
pub(crate) fn read_whole(file: &OwnedFd, buf: &mut Vec<u8>) -> Result<()> {
    let size = u64::try_from(regular(file)?.st_size).unwrap_or(0);
    let wanted = usize::try_from(size).map_err(|_| failed(FETCH, Errno::NOMEM))?;
    buf.clear();
    buf.try_reserve_exact(wanted)
        .map_err(|_| failed(FETCH, Errno::NOMEM))?;
    while buf.len() < wanted {
        let read = || rustix::io::read(file, rustix::buffer::spare_capacity(buf));
        if retry(read).map_err(|errno| failed(FETCH, errno))? == 0 {
            return Err(cut(buf.len() as u64, size));
        }
    }
    buf.truncate(wanted);
    Ok(())
}

/// Give folder and name of a key. The keys' full check is Python's; here is what keeps the rules of
/// this file.
pub(crate) fn split(key: &str) -> Result<(&str, &str)> {
    if key.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Err(Error {
            kind: Kind::Io(Errno::INVAL.raw_os_error()),
            stage: FETCH,
            message: "a key has a segment that is no name".into(),
        });
    }
    Ok(key.rsplit_once('/').unwrap_or(("", key)))
}

pub(crate) fn retry<T>(
    mut call: impl FnMut() -> std::result::Result<T, Errno>,
) -> std::result::Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Say in one way that a link is in the way: systems have several.
pub(crate) fn loops(errno: Errno) -> Errno {
    match errno {
        Errno::XDEV | Errno::MLINK => Errno::LOOP,
        errno => errno,
    }
}

fn is_symlink(at: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| kind(&stat) == FileType::Symlink)
}

pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode as _)
}

fn regular(file: &OwnedFd) -> Result<Stat> {
    let stat = rustix::fs::fstat(file).map_err(|errno| failed(FETCH, errno))?;
    match kind(&stat) {
        FileType::RegularFile => Ok(stat),
        FileType::Directory => Err(is_folder(FETCH)),
        _ => Err(Error {
            kind: Kind::Io(Errno::INVAL.raw_os_error()),
            stage: FETCH,
            message: "what is where a value should be is no regular file".into(),
        }),
    }
}

pub(crate) fn is_folder(stage: &'static str) -> Error {
    Error {
        kind: Kind::Io(Errno::ISDIR.raw_os_error()),
        stage,
        message: "a folder is where a value should be".into(),
    }
}

fn cut(at: u64, end: u64) -> Error {
    Error {
        kind: Kind::Io(Errno::IO.raw_os_error()),
        stage: FETCH,
        message: format!("the file ended at byte {at}, before byte {end}: it was cut while read"),
    }
}

pub(crate) fn failed(stage: &'static str, errno: Errno) -> Error {
    Error::io(stage, &std::io::Error::from(errno))
}

#[cfg(test)]
mod tests;
