//! What can go wrong, as data: Python words it.
//!
//! * `stage` names the codec, or `fetch` and `store` for the file system.
//! * A message gives the sizes expected and found, and never the bytes themselves.

use std::fmt;

/// Tell failing storage from data that does not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Bytes that do not decode, or an array that cannot be encoded.
    Codec,
    /// The operating system's error number.
    Io(i32),
    /// A chunk that is not stored, where that is an error.
    Missing,
    /// The caller's thread was interrupted.
    Interrupted,
    /// An error of the store's own, which is kept by who called it.
    Foreign,
}

/// Say what failed, where and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Which kind of failure it is.
    pub kind: Kind,
    /// The codec's name, `fetch` or `store`.
    pub stage: &'static str,
    /// What happened, in words.
    pub message: String,
}

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Make the error of a codec.
    pub fn codec(stage: &'static str, message: impl Into<String>) -> Error {
        Error {
            kind: Kind::Codec,
            stage,
            message: message.into(),
        }
    }

    /// Make the error of a failing file.
    pub fn io(stage: &'static str, error: &std::io::Error) -> Error {
        Error {
            kind: Kind::Io(error.raw_os_error().unwrap_or(0)),
            stage,
            message: error.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}

impl std::error::Error for Error {}
