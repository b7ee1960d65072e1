//! System calls: repeated after an interruption, and their errors in one wording.
//!
//! Calls that differ among the Unix systems have one name here, so that no other file asks for the
//! system, except how `root.rs` opens paths. On Windows there are no files in the extension.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Kind};

/// The stage of a failing read.
pub const FETCH: &str = "fetch";
/// The stage of a failing write.
pub const STORE: &str = "store";
/// The most buffers that one `readv` or `writev` takes.
pub const PARTS: usize = 1024;

/// The flags that open a folder to reach what is inside it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Repeat a call for as long as signals interrupt it.
pub fn retry<T>(
    mut call: impl FnMut() -> std::result::Result<T, Errno>,
) -> std::result::Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Return the one number that stands for a link on the way; systems have several.
pub fn loops(errno: Errno) -> Errno {
    match errno {
        Errno::XDEV | Errno::MLINK => Errno::LOOP,
        errno => errno,
    }
}

/// Whether an error says that the file system or the system does not know a call.
pub fn unsupported(errno: Errno) -> bool {
    // Two of them are the same number on some systems.
    [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&errno)
}

/// Return a random number of the system's.
pub fn random() -> std::result::Result<u64, Errno> {
    let mut bytes = [0u8; 8];
    #[cfg(any(target_os = "linux", target_os = "android"))]
    retry(|| rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    // SAFETY: the buffer has that size.
    if unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) } != 0 {
        return Err(Errno::IO);
    }
    Ok(u64::from_ne_bytes(bytes))
}

/// Have the disk begin to write the content of a file. It is only advice: if it is ignored, nothing
/// is lost.
pub fn begin_sync(file: &OwnedFd) {
    // Advising that the content is not needed starts its write-back.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

/// Make the content of a file survive a power cut.
pub fn sync_content(file: &OwnedFd) -> std::result::Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return retry(|| rustix::fs::fdatasync(file));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    sync_names(file)
}

/// Make the names in a folder survive a power cut.
pub fn sync_names(folder: &OwnedFd) -> std::result::Result<(), Errno> {
    // The plain call of these systems leaves data in the cache of the disk. Not every file system
    // knows the other one.
    #[cfg(target_vendor = "apple")]
    match retry(|| rustix::fs::fcntl_fullfsync(folder)) {
        Err(errno) if unsupported(errno) || [Errno::INVAL, Errno::NOTTY].contains(&errno) => {}
        result => return result,
    }
    retry(|| rustix::fs::fsync(folder))
}

/// Make everything written to the file system of an open folder survive a power cut.
pub fn sync_file_system(folder: &OwnedFd) -> std::result::Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return retry(|| rustix::fs::syncfs(folder));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        rustix::fs::sync();
        sync_names(folder)
    }
}

/// Return the type of a file.
pub fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode as _)
}

/// Return the error for a failing call.
pub fn failed(stage: &'static str, errno: Errno) -> Error {
    Error::io(stage, &std::io::Error::from(errno))
}

/// Return the error for a folder in the place of a value.
pub fn is_folder(stage: &'static str) -> Error {
    Error {
        kind: Kind::Io(Errno::ISDIR.raw_os_error()),
        stage,
        message: "the value is a folder".into(),
    }
}
