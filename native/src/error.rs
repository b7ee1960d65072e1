//! Failures, as data that Python words.
//!
//! * `stage` is the name of a codec, or `fetch` and `store` for the file system.
//! * A message gives the sizes expected and found, and never the bytes themselves.

use std::fmt;

/// What failed: the storage, or the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Bytes that do not decode, or an array that cannot be encoded.
    Codec,
    /// A call to the operating system, with its error number.
    Io(i32),
    /// There is no memory for something that is needed.
    Memory,
    /// A chunk is missing where that is an error.
    Missing,
    /// The caller's thread was interrupted.
    Interrupted,
    /// The store itself raised an error, which its caller keeps.
    Foreign,
}

/// A failure: its kind, its stage and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind of failure.
    pub kind: Kind,
    /// The codec's name, `fetch` or `store`.
    pub stage: &'static str,
    /// What happened, in words.
    pub message: String,
}

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Return the error of a codec.
    pub fn codec(stage: &'static str, message: impl Into<String>) -> Error {
        Error {
            kind: Kind::Codec,
            stage,
            message: message.into(),
        }
    }

    /// Return the error of a failing call to the system.
    pub fn io(stage: &'static str, error: &std::io::Error) -> Error {
        Error {
            kind: Kind::Io(error.raw_os_error().unwrap_or(0)),
            stage,
            message: error.to_string(),
        }
    }

    /// Return the error of a lack of memory for `size` bytes.
    pub fn memory(stage: &'static str, size: usize) -> Error {
        Error {
            kind: Kind::Memory,
            stage,
            message: format!("there is no memory for {size} bytes"),
        }
    }

    /// Return the error of an interrupted write.
    pub fn interrupted() -> Error {
        Error {
            kind: Kind::Interrupted,
            stage: "store",
            message: String::new(),
        }
    }

    /// Put the coordinates of an inner chunk before the message, written as a Python tuple.
    pub fn in_inner_chunk(self, chunk: &[i64]) -> Error {
        let numbers: Vec<String> = chunk.iter().map(i64::to_string).collect();
        let tuple = match numbers.as_slice() {
            [one] => format!("({one},)"),
            #[allow(clippy::disallowed_methods)] // One number for each axis.
            many => format!("({})", many.join(", ")),
        };
        Error {
            message: format!("inner chunk {tuple}: {}", self.message),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}

impl std::error::Error for Error {}
