//! System calls: repeated after an interruption, and their errors in one wording.

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
