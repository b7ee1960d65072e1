//! Where encoded chunks come from and go to.
//!
//! * A chunk that is not stored is `None`. Whatever else goes wrong is an error.
//! * Files are one kind of store; `lib.rs` makes another of any store that Python has.

use crate::commit::{Make, Stop};
use crate::error::{Error, Kind, Result};
use std::borrow::Cow;
use std::ops::Deref;

/// The bytes of an encoded chunk: read into the caller's buffer, or held by their owner.
pub enum Bytes<'a> {
    /// In the buffer that was handed in.
    Read(&'a [u8]),
    /// Somewhere else, for as long as this lives.
    Held(Box<dyn Deref<Target = [u8]> + Send + Sync + 'a>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Read(bytes) => bytes,
            Bytes::Held(bytes) => bytes,
        }
    }
}

/// The bytes of an object to be stored, in parts that follow each other: what an old one kept is not
/// copied to get there.
#[derive(Debug)]
pub struct Value<'a>(Vec<Cow<'a, [u8]>>);

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Value(vec![Cow::Owned(bytes)])
    }
}

impl<'a> Value<'a> {
    /// From this length on a part stays what it is. Shorter ones are put together: the system takes
    /// more time for each than a copy does.
    const LONG: usize = 1 << 14;

    /// Put parts behind each other.
    pub fn of(parts: impl IntoIterator<Item = Cow<'a, [u8]>>) -> Self {
        let mut value: Vec<Cow<'a, [u8]>> = Vec::new();
        // Whether the last part is one of short ones, to which another can be added.
        let mut open = false;
        for part in parts {
            match value.last_mut() {
                _ if part.len() >= Self::LONG => {
                    value.push(part);
                    open = false;
                }
                Some(Cow::Owned(last)) if open => last.extend_from_slice(&part),
                _ => {
                    value.push(Cow::Owned(part.into_owned()));
                    open = true;
                }
            }
        }
        Value(value)
    }

    /// Give the parts.
    pub fn parts(&self) -> Vec<&[u8]> {
        self.0.iter().map(AsRef::as_ref).collect()
    }

    /// Give all in one.
    pub fn joined(mut self) -> Vec<u8> {
        match self.0.pop() {
            Some(only) if self.0.is_empty() => only.into_owned(),
            Some(last) => {
                self.0.push(last);
                self.0.concat()
            }
            None => Vec::new(),
        }
    }
}

/// Give `size` bytes of a buffer, which is made as long first; an error if memory does not suffice.
pub fn room(buffer: &mut Vec<u8>, size: usize) -> Result<&mut [u8]> {
    if buffer.len() < size {
        let missing = size - buffer.len();
        buffer.try_reserve_exact(missing).map_err(|_| Error {
            kind: Kind::Io(rustix::io::Errno::NOMEM.raw_os_error()),
            stage: "fetch",
            message: format!("there is no memory for an object of {size} bytes"),
        })?;
        buffer.resize(size, 0);
    }
    Ok(&mut buffer[..size])
}

/// The stored objects of one array.
pub trait Objects: Sync {
    /// Read an object; `buffer` may be used for it.
    fn read<'a>(&'a self, chunk: &[i64], buffer: &'a mut Vec<u8>) -> Result<Option<Bytes<'a>>>;

    /// Open an object to read parts of it.
    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>>;

    /// Read an object of exactly the size of `dst` into it, and give the size found. What is in
    /// `dst` after another size was found is not specified.
    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>> {
        let mut buffer = Vec::new();
        let found = self.read(chunk, &mut buffer)?;
        Ok(found.map(|bytes| {
            if bytes.len() == dst.len() {
                dst.copy_from_slice(&bytes);
            }
            bytes.len() as u64
        }))
    }

    /// Store an object that depends on no other. What must be synced before it takes its place is
    /// given back for that; otherwise it is in place.
    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: Value,
        stop: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>>;

    /// Change an object: `make` gives the new one for the one that is there, and no other writer
    /// comes between. It may be called more than once.
    fn update(&self, chunk: &[i64], stop: Stop, make: Make) -> Result<()>;

    /// Delete an object; one that is not there is fine.
    fn remove(&self, chunk: &[i64], stop: Stop) -> Result<()>;

    /// Do what is left at the end of a call that has written.
    fn settle(&self) -> Result<()>;
}

/// An object that is stored, but not yet in its place; dropped, it leaves nothing.
pub trait Pending: Send {
    /// Have it outlast a power cut.
    fn sync(&self) -> Result<()>;

    /// Put it into its place.
    fn publish(self: Box<Self>, stop: Stop) -> Result<()>;
}

/// An object that is read in parts.
pub trait Parts: Send + Sync {
    /// Give its size in bytes.
    fn size(&self) -> u64;

    /// Read `size` bytes from `offset` on; fewer are an error.
    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<Bytes<'a>>;

    /// Fill `dst` with the bytes from `offset` on.
    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let mut buffer = Vec::new();
        dst.copy_from_slice(&self.read(offset, dst.len(), &mut buffer)?);
        Ok(())
    }

    /// Give all bytes where they are in memory anyway.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_parts_and_only_long_ones_stay_alone() {
        let long = vec![1; Value::LONG];
        let (short, other) = ([2, 3], [4]);
        let parts: [&[u8]; 7] = [&short, &other, &long, &long, &other, &[], &short];
        let value = Value::of(parts.into_iter().map(Cow::Borrowed));
        let lengths: Vec<usize> = value.parts().iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [3, Value::LONG, Value::LONG, 3]);
        assert_eq!(value.parts().concat(), parts.concat());
        assert_eq!(value.joined(), parts.concat());
        assert!(Value::of([]).joined().is_empty());
        assert_eq!(Value::from(vec![7]).joined(), [7]);
    }
}
