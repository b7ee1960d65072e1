//! Values that are members of a zip archive, read in place: the twin of `stores/zip/reading.py` for
//! members that are stored without compression.
//!
//! * The local header before a value must be that of its record in the directory. Where the value
//!   starts, only the header says.
//! * A value must have the checksum of its record, and is therefore read as a whole, once. Only of
//!   shards, whose index and inner chunks have their own, parts are read alone.

use std::io::IoSliceMut;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use crate::codecs::checksums::crc32;
use crate::error::{Error, Result};
use crate::files::read_at;
use crate::memory::grown;
use crate::objects::Parts;
use crate::sys::{failed, retry, FETCH};

/// The sizes of a local header and of a record of the directory, without their names.
const LOCAL: usize = 30;
const RECORD: usize = 46;
/// A size that is in another field.
const LARGE: u32 = u32::MAX;

/// A file in which there are members.
#[derive(Debug, Clone)]
pub struct Archive(Arc<OwnedFd>);

impl Archive {
    /// Keep a file open, whatever its owner does.
    pub fn of(file: BorrowedFd<'_>) -> Result<Archive> {
        let own = rustix::io::fcntl_dupfd_cloexec(file, 0);
        Ok(Archive(Arc::new(
            own.map_err(|errno| failed(FETCH, errno))?,
        )))
    }
}

/// A member of an archive, stored without compression.
#[derive(Debug)]
pub struct Span {
    archive: Archive,
    /// The record of the directory.
    record: Vec<u8>,
    /// The offset of the local header, and the size of the value.
    offset: u64,
    size: u64,
    /// Whether parts are read alone.
    in_parts: bool,
    start: OnceLock<u64>,
    /// The value, if a part of it was wanted.
    value: OnceLock<Result<Vec<u8>>>,
}

impl Span {
    /// Make the member whose local header is at `offset`.
    pub fn new(
        archive: &Archive,
        record: Vec<u8>,
        (offset, size): (u64, u64),
        in_parts: bool,
    ) -> Span {
        Span {
            archive: archive.clone(),
            record,
            offset,
            size,
            in_parts,
            start: OnceLock::new(),
            value: OnceLock::new(),
        }
    }

    /// Return the offset of the value.
    fn start(&self) -> Result<u64> {
        if let Some(start) = self.start.get() {
            return Ok(*start);
        }
        self.with_header(|header| {
            read_at(&*self.archive.0, self.offset, header)?;
            self.start_behind(header)
        })
    }

    /// Call a function with room for the local header, without its extra field.
    fn with_header<T>(&self, f: impl FnOnce(&mut [u8]) -> Result<T>) -> Result<T> {
        let size = LOCAL + usize::from(short(&self.record, 28)?);
        let mut space = [0; LOCAL + 256];
        let mut longer = Vec::new();
        match space.get_mut(..size) {
            Some(header) => f(header),
            None => f(grown(&mut longer, size, FETCH)?),
        }
    }

    /// Return the offset of the value, which the local header tells if it is that of the record.
    fn start_behind(&self, header: &[u8]) -> Result<u64> {
        let name = header.len() - LOCAL;
        let wanted = self.record.get(RECORD..RECORD + name);
        let same = header.starts_with(b"PK\x03\x04")
            && short(header, 26)? as usize == name
            && header.get(LOCAL..) == wanted
            && short(header, 8)? == short(&self.record, 10)?
            && self.has_sizes(header)?;
        if !same {
            let message = "the local header of the member differs from the directory of the zip \
                           archive: it is damaged";
            return Err(Error::codec(FETCH, message));
        }
        let length = header.len() as u64 + u64::from(short(header, 28)?);
        let start = self.offset.saturating_add(length);
        Ok(*self.start.get_or_init(|| start))
    }

    /// Whether a header has the checksum and the sizes of the record, unless they are elsewhere.
    fn has_sizes(&self, header: &[u8]) -> Result<bool> {
        let behind = short(header, 6)? & 8 != 0;
        let wide = long(header, 18)? == LARGE || long(&self.record, 20)? == LARGE;
        Ok(behind
            || (long(header, 14)? == long(&self.record, 16)?
                && (wide || long(header, 18)? == long(&self.record, 20)?)))
    }

    /// Fill `dst` with the bytes from `offset` on.
    fn fill(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let whole = dst.len() as u64 == self.size;
        let read = whole && self.start.get().is_none() && self.read_with_header(dst)?;
        if !read {
            let start = self.start()?.saturating_add(offset);
            read_at(&*self.archive.0, start, dst)?;
        }
        if whole {
            self.check(dst)?;
        }
        Ok(())
    }

    /// Read the local header and what follows it at once. Return whether that is all of the value, as
    /// it usually is.
    fn read_with_header(&self, dst: &mut [u8]) -> Result<bool> {
        self.with_header(|header| {
            let size = header.len() + dst.len();
            let read = || {
                let mut parts = [IoSliceMut::new(header), IoSliceMut::new(dst)];
                rustix::io::preadv(&*self.archive.0, &mut parts, self.offset)
            };
            if retry(read) != Ok(size) {
                // It is read again, by which it is found out why.
                return Ok(false);
            }
            let start = self.start_behind(header)?;
            Ok(start == self.offset + header.len() as u64)
        })
    }

    fn whole(&self) -> Result<Vec<u8>> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let mut value = Vec::new();
        self.fill(0, grown(&mut value, size, FETCH)?)?;
        value.truncate(size);
        Ok(value)
    }

    fn check(&self, value: &[u8]) -> Result<()> {
        if crc32(value) == long(&self.record, 16)? {
            return Ok(());
        }
        let message =
            "the checksum (CRC-32) of the member differs from that in the zip archive: it \
                       is damaged";
        Err(Error::codec(FETCH, message))
    }
}

impl Parts for Span {
    fn size(&self) -> u64 {
        self.size
    }

    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let part = grown(buffer, size, FETCH)?;
        self.read_into(offset, part)?;
        Ok(part)
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(dst.len() as u64);
        if end > self.size {
            let message = format!("the member of {} bytes ends before byte {end}", self.size);
            return Err(Error::codec(FETCH, message));
        }
        if self.in_parts || dst.len() as u64 == self.size {
            return self.fill(offset, dst);
        }
        let value = self.value.get_or_init(|| self.whole());
        let value = value.as_ref().map_err(Clone::clone)?;
        let part = value.get(offset as usize..end as usize);
        dst.copy_from_slice(part.unwrap_or_default());
        Ok(())
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let found = bytes.get(at..at + N).and_then(|part| part.try_into().ok());
    found.ok_or_else(|| Error::codec(FETCH, "a record of the zip archive is too short"))
}

fn short(bytes: &[u8], at: usize) -> Result<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Result<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}
