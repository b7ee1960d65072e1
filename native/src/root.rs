//! The folder of a local store, and how paths below it are opened.
//!
//! * Nothing outside the root is opened unless the user has links followed. The kernel enforces this
//!   where it can (`openat2`); elsewhere each folder is opened in turn, and none may be a link. A
//!   link that needs judgement is the error `ELOOP`, and the Python twin takes over.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, CWD};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::sys::{failed, kind, loops, retry, FETCH, FOLDER, STORE};

/// How many times a write recreates its folder while concurrent deletes remove it.
///
/// Each retry means that one delete has finished; only a broken file system reaches the limit.
pub const ATTEMPTS: usize = 1000;

/// How a path below the root is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Links are followed wherever they lead.
    Follow,
    /// The kernel refuses paths that leave the root.
    Beneath,
    /// Folder by folder, none of which may be a link.
    Walk,
}

/// The folders whose entries a call has changed, to be synced at its end.
#[derive(Debug, Default)]
pub struct Touched(Mutex<BTreeSet<String>>);

impl Touched {
    /// Add a folder.
    pub fn add(&self, folder: &str) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !folders.contains(folder) {
            folders.insert(folder.to_owned());
        }
    }

    /// Remove and return all folders.
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How many folders of chunks a call keeps open.
const KEPT: usize = 4;

/// The folders that a call has used last. They stay open for the chunks that follow.
#[derive(Debug, Default)]
struct Folders(Mutex<Vec<(String, Arc<OwnedFd>)>>);

impl Folders {
    fn lock(&self) -> MutexGuard<'_, Vec<(String, Arc<OwnedFd>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &str) -> Option<Arc<OwnedFd>> {
        let mut kept = self.lock();
        let at = kept.iter().position(|(name, _)| name == path)?;
        if at > 0 {
            kept[..=at].rotate_right(1);
        }
        Some(kept[0].1.clone())
    }

    fn keep(&self, path: &str, folder: Arc<OwnedFd>) {
        let mut kept = self.lock();
        kept.retain(|(name, _)| name != path);
        kept.truncate(KEPT - 1);
        kept.insert(0, (path.to_owned(), folder));
    }

    fn forget(&self, path: &str) {
        self.lock().retain(|(name, _)| name != path);
    }
}

/// A folder in which values are written.
#[derive(Debug)]
pub struct At {
    /// The open folder.
    pub folder: Arc<OwnedFd>,
    /// Whether it was open before. Another writer may have removed it since; a value is then missing
    /// in it, and cannot be created.
    pub kept: bool,
}

/// The folder of a store, held open for one call.
#[derive(Debug)]
pub struct Root {
    /// Its path.
    pub path: PathBuf,
    /// The open folder.
    pub folder: Arc<OwnedFd>,
    /// How paths below it are opened.
    pub way: Way,
    /// The folders that this call has changed.
    pub touched: Touched,
    folders: Folders,
    /// Whether the last value that this call has stored whole replaced another.
    pub replaces: AtomicBool,
}

impl Root {
    /// Open the folder of a store. Return `None` if it does not exist: the store is then empty.
    pub fn open(path: &Path, follow_symlinks: bool) -> Result<Option<Root>> {
        match retry(|| rustix::fs::openat(CWD, path, FOLDER, Mode::empty())) {
            Ok(folder) => Ok(Some(Root {
                path: path.to_owned(),
                folder: Arc::new(folder),
                touched: Touched::default(),
                folders: Folders::default(),
                replaces: AtomicBool::new(false),
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

    /// Open the folder of a store, and create it if it does not exist.
    pub fn create(path: &Path, follow_symlinks: bool) -> Result<Root> {
        for _ in 0..ATTEMPTS {
            if let Some(root) = Root::open(path, follow_symlinks)? {
                return Ok(root);
            }
            match std::fs::create_dir_all(path) {
                Ok(()) => {}
                // It was removed again while it was being created.
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

    /// Return a folder below the root, or the root itself.
    pub fn folder(&self, path: &str) -> std::result::Result<At, Errno> {
        let found = if path.is_empty() {
            Some(self.folder.clone())
        } else {
            self.folders.find(path)
        };
        if let Some(folder) = found {
            let kept = !path.is_empty();
            return Ok(At { folder, kept });
        }
        let folder = Arc::new(self.open_at(path, FOLDER)?);
        self.folders.keep(path, folder.clone());
        Ok(At {
            folder,
            kept: false,
        })
    }

    /// Look a folder up anew when it is used next.
    pub fn forget(&self, path: &str) {
        self.folders.forget(path);
    }

    /// Close all folders that are kept open.
    pub fn forget_all(&self) {
        self.folders.lock().clear();
    }

    /// Open a path below the root, which is not empty.
    pub fn open_at(&self, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        let plain = || retry(|| rustix::fs::openat(&*self.folder, path, flags, Mode::empty()));
        match self.way {
            Way::Follow => plain(),
            // A file of the root has no folders on the way. (This does not hold for folders: `O_PATH`
            // opens links, too.)
            _ if !path.contains('/') && flags.contains(OFlags::NOFOLLOW) => plain().map_err(loops),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Way::Beneath => {
                use rustix::fs::ResolveFlags;
                for _ in 0..ATTEMPTS {
                    let beneath = ResolveFlags::BENEATH;
                    match rustix::fs::openat2(&*self.folder, path, flags, Mode::empty(), beneath) {
                        // A concurrent rename made the result uncertain; the kernel wants a retry.
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        // An old kernel, or a sandbox that does not know the call.
                        Err(Errno::NOSYS | Errno::PERM) => return self.walk(path, flags),
                        result => return result.map_err(loops),
                    }
                }
                Err(Errno::LOOP)
            }
            _ => self.walk(path, flags),
        }
    }

    /// Open one folder after the other, so that no link is followed.
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

/// Return the folder and the name of a key. Python checks keys in full; this check keeps the rule of
/// this file.
pub fn split(key: &str) -> Result<(&str, &str)> {
    if key.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Err(Error {
            kind: Kind::Io(Errno::INVAL.raw_os_error()),
            stage: FETCH,
            message: "a segment of the key is empty, `.` or `..`".into(),
        });
    }
    Ok(key.rsplit_once('/').unwrap_or(("", key)))
}

fn is_symlink(at: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| kind(&stat) == FileType::Symlink)
}
