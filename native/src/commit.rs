//! How a value gets its name: the writing side of `files.rs`, and the twin of the local store's.
//!
//! * A value is written to a temporary file beside its target, then renamed in one step. A failure
//!   on the way removes the temporary file and leaves the old value.
//! * To change an existing value, a writer locks that file before reading it and keeps the lock until
//!   the new file has been renamed over it. After locking it checks that the name still refers to the
//!   same file. To create a value, a writer renames only if the name is still free. So no two writers,
//!   in whatever threads or processes, ever start from the same old value.
//! * The lock is the kernel's (`flock`), on the value's own file: nothing is left in the store, and
//!   the lock ends with its holder. A forked child has no part in it (`fork.rs`).
//! * The folders used last stay open. One that another writer has removed is looked up anew: in it
//!   every value is missing, and none can be created.
//! * A thread holds one lock at a time, so there are no deadlocks.
//! * `Durability` says how a value survives a power cut: a replacement is synced before the rename,
//!   and with `Full` everything, folders included, is synced before the call returns.
//! * What a file system cannot do (locks, renames that never replace) is the error `ENOLCK`, and the
//!   Python twin takes over.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, CWD};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::files::read_whole;
use crate::fork::Locked;
use crate::objects::{Make, Stop};
use crate::root::{split, At, Root, Way, ATTEMPTS};
use crate::sys::{self, failed, is_folder, kind, loops, retry, FOLDER, STORE};
use crate::temporary::Temporary;

/// The first and the longest sleep between two attempts at a lock that another writer holds.
const NAP: (Duration, Duration) = (Duration::from_micros(20), Duration::from_micros(500));
/// How often a waiting writer asks whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// What is synced, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing.
    None,
    /// A value that replaces another, before it does.
    Replace,
    /// Everything that a call has written, before it returns.
    Full,
}

/// A value that is complete in its temporary file and does not have its name yet.
#[derive(Debug)]
pub struct Staged<'a> {
    root: &'a Root,
    key: String,
    temporary: Temporary,
}

/// The locked file of a value.
struct Held {
    file: Locked,
    size: u64,
}

impl Root {
    /// Store a value that does not depend on the old one. Return the value if it must be synced
    /// before it is published (the caller calls `sync` and `publish`), and `None` if it is
    /// published.
    pub fn stage(
        &self,
        key: &str,
        parts: &[&[u8]],
        durability: Durability,
        stop: Stop,
    ) -> Result<Option<Staged<'_>>> {
        let (folder, name) = split(key)?;
        self.in_folder(folder, |root, at| {
            // A guess first: one look is cheaper than what a value costs that turns out not to be
            // new, and most writes are of one kind.
            let mut new = !root.replaces.load(Ordering::Relaxed);
            if !new && durability == Durability::Replace {
                let look = AtFlags::SYMLINK_NOFOLLOW;
                new = matches!(
                    rustix::fs::statat(&at.folder, name, look),
                    Err(Errno::NOENT)
                );
            }
            let mut temporary = Temporary::write(&at.folder, parts)?;
            if durability == Durability::None {
                temporary.close()?;
                if !new || !root.publish_new(&mut temporary, name)? {
                    root.replace(name, &mut temporary, stop)?;
                }
                return Ok(None);
            }
            if durability == Durability::Replace && new {
                temporary.close()?;
                if root.publish_new(&mut temporary, name)? {
                    return Ok(None);
                }
                temporary.reopen()?;
            }
            temporary.begin_sync();
            Ok(Some(temporary))
        })
        .map(|staged| {
            staged.map(|temporary| Staged {
                root: self,
                key: key.to_owned(),
                temporary,
            })
        })
    }

    /// Replace a value by what `make` returns for the old one, without another writer coming
    /// between. `make` is called again if the value was missing and another writer was first to
    /// create it. Of an old value of more than `most` bytes it gets only one more than these.
    pub fn update(
        &self,
        key: &str,
        most: u64,
        durability: Durability,
        stop: Stop,
        make: Make,
    ) -> Result<()> {
        let (folder, name) = split(key)?;
        let mut raised = None;
        let done = self.in_folder_if(folder, |root, at| loop {
            let held = match at {
                None => None,
                Some(at) => root.hold(&at.folder, name, stop)?,
            };
            let old = held
                .as_ref()
                .map(|held| read_whole(held.file.as_fd(), held.size.min(most.saturating_add(1))))
                .transpose();
            let new = match &old {
                Ok(old) => make(old.as_deref()),
                Err(error) => Err(error.clone()),
            };
            let new = match new {
                Ok(new) => new,
                Err(error) => {
                    raised = Some(error);
                    return Ok(());
                }
            };
            let Some(new) = new else {
                match (at, held) {
                    (Some(at), Some(held)) => {
                        retry(|| rustix::fs::unlinkat(&at.folder, name, AtFlags::empty()))?;
                        root.touched.add(folder);
                        drop(held);
                        root.remove_empty(folder);
                    }
                    (Some(at), None) if at.kept => return Err(Errno::NOENT.into()),
                    _ => {}
                }
                return Ok(());
            };
            let Some(at) = at else {
                // The folder must be created first.
                return Err(Errno::NOENT.into());
            };
            let mut temporary = Temporary::write(&at.folder, &new.parts().map_err(Fault::Error)?)?;
            if durability == Durability::Full || (durability != Durability::None && held.is_some())
            {
                temporary.sync()?;
            }
            temporary.close()?;
            let published = match &held {
                Some(_) => temporary.publish_over(name).map(|()| true),
                None => temporary.publish_new(name),
            };
            if published? {
                root.touched.add(folder);
                return Ok(());
            }
        });
        match raised {
            Some(error) => Err(error),
            None => done,
        }
    }

    /// Remove a value, and the folders that are left empty. Return false if the value was missing.
    pub fn remove(&self, key: &str, stop: Stop) -> Result<bool> {
        let (folder, name) = split(key)?;
        let mut removed = Ok(false);
        // Again if the value is missing in a folder that was open before.
        for _ in 0..2 {
            let at = match self.folder(folder) {
                Ok(at) => at,
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
                Err(errno) => return Err(failed(STORE, errno)),
            };
            removed = self.remove_in(&at.folder, name, stop);
            if !matches!(removed, Ok(false)) || !at.kept {
                break;
            }
            self.forget(folder);
        }
        let removed = removed.map_err(Fault::worded)?;
        if removed {
            self.touched.add(folder);
            self.remove_empty(folder);
        }
        Ok(removed)
    }

    fn remove_in(&self, at: &OwnedFd, name: &str, stop: Stop) -> Outcome<bool> {
        let Some(_held) = self.hold(at, name, stop)? else {
            return Ok(false);
        };
        match retry(|| rustix::fs::unlinkat(at, name, AtFlags::empty())) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            // Some systems return the first, and not the second, for a folder.
            Err(errno @ (Errno::PERM | Errno::ISDIR)) => {
                let folder = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| kind(&stat) == FileType::Directory);
                Err(if folder { Errno::ISDIR } else { errno }.into())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sync a folder whose entries this call has changed.
    pub fn sync_folder(&self, folder: &str) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let synced = (|| {
            let opened = match folder {
                // The folder that the root itself is an entry of.
                ".." => match self.path.parent() {
                    Some(above) => retry(|| rustix::fs::openat(CWD, above, flags, Mode::empty()))?,
                    None => return Ok(()),
                },
                "" => retry(|| rustix::fs::openat(&self.folder, ".", flags, Mode::empty()))?,
                _ => self.open_at(folder, flags)?,
            };
            sys::sync_names(&opened)
        })();
        match synced {
            // The folder was removed meanwhile, with all its entries.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(failed(STORE, errno)),
        }
    }

    /// Rename a temporary file to a value, which may exist.
    fn replace(&self, name: &str, temporary: &mut Temporary, stop: Stop) -> Outcome<()> {
        loop {
            let held = self.hold(&temporary.at, name, stop)?;
            if held.is_some() {
                return Ok(temporary.publish_over(name)?);
            }
            if self.publish_new(temporary, name)? {
                return Ok(());
            }
        }
    }

    /// Rename a temporary file to a new value. Return false if the value exists.
    fn publish_new(
        &self,
        temporary: &mut Temporary,
        name: &str,
    ) -> std::result::Result<bool, Errno> {
        let new = temporary.publish_new(name)?;
        self.replaces.store(!new, Ordering::Relaxed);
        Ok(new)
    }

    /// Lock the file with a name. Return `None` if there is none.
    fn hold(&self, at: &OwnedFd, name: &str, stop: Stop) -> Outcome<Option<Held>> {
        let (flags, look) = match self.way {
            Way::Follow => (OFlags::empty(), AtFlags::empty()),
            Way::Beneath | Way::Walk => (OFlags::NOFOLLOW, AtFlags::SYMLINK_NOFOLLOW),
        };
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = || retry(|| rustix::fs::openat(at, name, flags, Mode::empty()));
        loop {
            let file = match Locked::open(open) {
                Ok(file) => file,
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Err(errno) => return Err(loops(errno).into()),
            };
            lock(&file, stop)?;
            let mine = rustix::fs::fstat(&file)?;
            match rustix::fs::statat(at, name, look) {
                Ok(named) if (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev) => {
                    let size = u64::try_from(mine.st_size).unwrap_or(0);
                    return match kind(&mine) {
                        FileType::RegularFile => Ok(Some(Held { file, size })),
                        FileType::Directory => Err(Errno::ISDIR.into()),
                        _ => Err(Errno::INVAL.into()),
                    };
                }
                // Another file has the name by now, or none does: this lock is useless.
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Run a step in a folder. Create the folder if it does not exist, and again whenever a
    /// concurrent delete removes it.
    fn in_folder<T>(
        &self,
        folder: &str,
        mut step: impl FnMut(&Root, &At) -> Outcome<T>,
    ) -> Result<T> {
        self.in_folder_if(folder, |root, at| match at {
            None => Err(Errno::NOENT.into()),
            Some(at) => step(root, at),
        })
    }

    /// Run a step in a folder or, if it does not exist, first without one; the step then returns
    /// `NOENT` to have the folder created.
    fn in_folder_if<T>(
        &self,
        folder: &str,
        mut step: impl FnMut(&Root, Option<&At>) -> Outcome<T>,
    ) -> Result<T> {
        let mut made: Option<Root> = None;
        for _ in 0..ATTEMPTS {
            let root = made.as_ref().unwrap_or(self);
            let at = match root.folder(folder) {
                Ok(at) => Some(at),
                Err(Errno::NOENT | Errno::NOTDIR) => None,
                Err(errno) => return Err(Fault::Errno(errno).worded()),
            };
            let result = step(root, at.as_ref());
            match result {
                // The folder does not exist yet, or a concurrent delete has just removed it.
                Err(Fault::Errno(Errno::NOENT | Errno::NOTDIR | Errno::STALE)) => {
                    root.forget(folder);
                    if at.is_some_and(|at| at.kept) {
                        continue;
                    }
                }
                Err(Fault::Errno(Errno::ISDIR)) => {
                    return Err(Error {
                        kind: Kind::Io(Errno::ISDIR.raw_os_error()),
                        stage: STORE,
                        message: "a value cannot be stored where a folder is".into(),
                    })
                }
                Err(fault) => return Err(fault.worded()),
                Ok(result) => {
                    if let Some(made) = made {
                        self.touched.add("..");
                        for folder in made.touched.take() {
                            self.touched.add(&folder);
                        }
                    }
                    return Ok(result);
                }
            }
            if folder.is_empty() {
                made = Some(Root::create(&self.path, self.way == Way::Follow)?);
                continue;
            }
            match root.make_folder(folder) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    made = Some(Root::create(&self.path, self.way == Way::Follow)?);
                }
                Err(Errno::NOTDIR | Errno::EXIST) => root.refuse_file_as_folder(folder)?,
                Err(errno) => return Err(failed(STORE, errno)),
            }
        }
        Err(failed(STORE, Errno::NOENT))
    }

    /// Create a folder and its parents, and open it.
    fn make_folder(&self, folder: &str) -> std::result::Result<OwnedFd, Errno> {
        let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
        let opened;
        let at = if above.is_empty() {
            self.folder.as_fd()
        } else {
            opened = match self.open_at(above, FOLDER) {
                Err(Errno::NOENT) => self.make_folder(above)?,
                result => result?,
            };
            opened.as_fd()
        };
        match retry(|| rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o777))) {
            Ok(()) => self.touched.add(above),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        self.open_at(folder, FOLDER)
    }

    /// Fail if something other than a folder is in the way. If nothing is, it was removed
    /// meanwhile.
    fn refuse_file_as_folder(&self, folder: &str) -> Result<()> {
        for (at, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
            match self.open_at(folder.get(..at).unwrap_or_default(), FOLDER) {
                Ok(_) => {}
                Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTDIR) => {
                    return Err(Error {
                        kind: Kind::Io(Errno::NOTDIR.raw_os_error()),
                        stage: STORE,
                        message: "the key cannot be stored, as a folder it is in is a file".into(),
                    })
                }
                Err(errno) => return Err(failed(STORE, errno)),
            }
        }
        Ok(())
    }

    /// Remove a folder that is left empty, and its parents that then are empty. A folder that
    /// cannot be removed is no failure.
    fn remove_empty(&self, mut folder: &str) {
        while !folder.is_empty() {
            let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            let opened;
            let at = if above.is_empty() {
                self.folder.as_fd()
            } else {
                match self.open_at(above, FOLDER) {
                    Ok(folder) => opened = folder,
                    Err(_) => return,
                }
                opened.as_fd()
            };
            if rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR).is_err() {
                return;
            }
            self.forget(folder);
            self.touched.add(above);
            folder = above;
        }
    }
}

impl Staged<'_> {
    /// Make the value survive a power cut. Its descriptor is closed.
    pub fn sync(&mut self) -> Result<()> {
        let synced = self.temporary.sync().and_then(|()| self.temporary.close());
        synced.map_err(|errno| failed(STORE, errno))
    }

    /// Rename the value over the old one.
    pub fn publish(&mut self, stop: Stop) -> Result<()> {
        let (folder, name) = split(&self.key)?;
        let placed = (|| {
            self.temporary.close()?;
            self.root.replace(name, &mut self.temporary, stop)
        })();
        placed.map_err(Fault::worded)?;
        self.root.touched.add(folder);
        Ok(())
    }
}

/// Make the content of a file survive a power cut.
pub fn sync_file(path: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = retry(|| rustix::fs::openat(CWD, path, flags, Mode::empty()));
    let synced = opened.and_then(|file| sys::sync_content(&file));
    synced.map_err(|errno| failed(STORE, errno))
}

/// Make everything written to the file system of a folder survive a power cut.
pub fn sync(root: &Path) -> std::result::Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = retry(|| rustix::fs::openat(CWD, root, flags, Mode::empty()))?;
    sys::sync_file_system(&folder)
}

/// Wait for the lock of a file.
fn lock(file: &Locked, stop: Stop) -> Outcome<()> {
    let mut nap = NAP.0;
    let mut looked: Option<Instant> = None;
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            // A file system without locks; the Python twin takes over.
            Err(_) => return Err(Errno::NOLCK.into()),
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(NAP.1);
        let now = Instant::now();
        if looked.get_or_insert(now).elapsed() > LOOK {
            if stop() {
                return Err(Fault::Error(Error::interrupted()));
            }
            looked = Some(now);
        }
    }
}

/// Why a step stopped: a number of the system's, which may be a reason to retry, or an error.
#[derive(Debug)]
enum Fault {
    Errno(Errno),
    Error(Error),
}

type Outcome<T> = std::result::Result<T, Fault>;

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Errno(errno)
    }
}

impl Fault {
    fn worded(self) -> Error {
        match self {
            Fault::Errno(Errno::ISDIR) => is_folder(STORE),
            Fault::Errno(errno) => failed(STORE, errno),
            Fault::Error(error) => error,
        }
    }
}

#[cfg(test)]
mod tests;
