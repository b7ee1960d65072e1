//! Where encoded chunks come from and go to.
//!
//! * A chunk that is not stored is `None`. Whatever else goes wrong is an error.
//! * Files are one kind of store; `lib.rs` makes another of any store that Python has.

use crate::commit::{Make, Stop};
use crate::error::{Error, Kind, Result};
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
        bytes: &[u8],
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
