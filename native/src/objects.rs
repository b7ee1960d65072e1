//! The contract of stored objects: where encoded chunks come from and go to.
//!
//! * A missing object is `None`. Whatever else goes wrong is an error.
//! * `local.rs` implements the contract for files, `python/objects.rs` for any store of Python's.

use crate::error::Result;
use crate::memory;
use crate::plan::Plan;
use std::borrow::Cow;

const STORE: &str = "store";

/// Whether to stop; asked while waiting for a lock.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// Make the new value of an object from its old one; `None` stands for a missing object.
pub type Make<'a> = &'a mut dyn for<'o> FnMut(Option<&'o [u8]>) -> Result<Option<Value<'o>>>;

/// A step that finishes a call.
pub type Last<'a> = Box<dyn Fn() -> Result<()> + Send + Sync + 'a>;

/// The bytes of an object to be stored, in parts that follow each other, so that what a new object
/// keeps of an old one is not copied.
#[derive(Debug, Default)]
pub struct Value<'a>(Vec<Cow<'a, [u8]>>);

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Value(Vec::from([Cow::Owned(bytes)]))
    }
}

impl<'a> Value<'a> {
    /// Parts of at least this length are kept as they are. Shorter ones are joined: each costs the
    /// system more than a copy does.
    const LONG: usize = 1 << 14;

    /// Make a value of parts in their order.
    pub fn of(parts: impl IntoIterator<Item = Cow<'a, [u8]>>) -> Result<Self> {
        let mut value: Vec<Cow<'a, [u8]>> = Vec::new();
        // Whether the last part is a joined one, to which another short one can be added.
        let mut open = false;
        for part in parts {
            match value.last_mut() {
                _ if part.len() >= Self::LONG => {
                    memory::push(&mut value, part, STORE)?;
                    open = false;
                }
                Some(Cow::Owned(last)) if open => memory::append(last, &part, STORE)?,
                _ => {
                    let part = match part {
                        Cow::Owned(part) => part,
                        Cow::Borrowed(part) => memory::copied(part, STORE)?,
                    };
                    memory::push(&mut value, Cow::Owned(part), STORE)?;
                    open = true;
                }
            }
        }
        Ok(Value(value))
    }

    /// Return the number of bytes.
    pub fn size(&self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }

    /// Return the parts.
    pub fn parts(&self) -> Result<Vec<&[u8]>> {
        memory::collected(self.0.iter().map(AsRef::as_ref), STORE)
    }

    /// Return the memory of the value, if it is in one piece and not that of an old value.
    pub fn memory(mut self) -> Option<Vec<u8>> {
        match self.0.as_mut_slice() {
            [Cow::Owned(only)] => Some(std::mem::take(only)),
            _ => None,
        }
    }

    /// Return all bytes in one piece.
    pub fn joined(mut self) -> Result<Vec<u8>> {
        if let [Cow::Owned(only)] = self.0.as_mut_slice() {
            return Ok(std::mem::take(only));
        }
        let mut joined = memory::with_room(self.size(), STORE)?;
        for part in &self.0 {
            joined.extend_from_slice(part);
        }
        Ok(joined)
    }
}

/// The object of a piece, which has come.
pub struct Arrived<'a> {
    /// The number of the piece.
    pub number: usize,
    /// The object, or why it could not be read.
    pub found: Result<Option<Box<dyn Parts + 'a>>>,
}

/// A function that decodes the object of a piece, or what stands for a missing one. It returns whether
/// the call that has lent it is over.
pub type Decode<'a> = dyn Fn(usize, Option<&dyn Parts>) -> bool + Sync + 'a;

/// A range of an object, which is read in parts itself.
pub struct Window<'a> {
    /// The object.
    pub parts: &'a dyn Parts,
    /// Where the range begins.
    pub offset: u64,
    /// The number of its bytes.
    pub size: u64,
}

// Requests were checked against the window's size, and the window against the whole.
impl Parts for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        self.parts.read(self.offset + offset, size, buffer)
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        self.parts.read_into(self.offset + offset, dst)
    }
}

/// The objects of a plan, or some of them, each once, in an order of their own.
pub trait Arrivals: Sync {
    /// Return the number of objects that come.
    fn count(&self, plan: &Plan) -> usize;

    /// Return the next object, or `None` if none has come for some milliseconds. It is that of piece
    /// `wanted` if there is a choice: a thread wants pieces whose places in the result are close.
    fn next(&self, plan: &Plan, wanted: usize) -> Result<Option<Arrived<'_>>>;

    /// Let the threads that fetch the objects decode them while `wait` runs. Objects for which they
    /// have no time still come. Return false, without running it, if they do nothing else.
    fn lend(&self, _decode: &Decode<'_>, _wait: &mut dyn FnMut()) -> bool {
        false
    }
}

/// The place of an object that is written, of which there are few.
pub trait Admitted {}

/// The stored objects of one array.
pub trait Objects: Sync {
    /// Return what is taken as it comes, instead of being asked for by its coordinates.
    fn arrivals(&self) -> Option<&dyn Arrivals> {
        None
    }

    /// Wait until an object may be encoded, or read to be changed. Its place is held until the result
    /// is dropped, on the same thread; `None` if nobody waits.
    fn admit(&self, _: Stop) -> Result<Option<Box<dyn Admitted + '_>>> {
        Ok(None)
    }

    /// Open an object to read parts of it.
    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>>;

    /// Read an object of exactly the size of `dst` into it, and return the size found. If another
    /// size was found, the content of `dst` is unspecified.
    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>>;

    /// Store an object that does not depend on its old value. Return the object if it must be synced
    /// before it is published, and `None` if it is published already. The value is used up, or left
    /// for its memory.
    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: &mut Value,
        stop: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>>;

    /// Replace an object by what `make` returns for its old value, without another writer coming
    /// between. `make` may be called more than once. Of an old value of more than `most` bytes it may
    /// get only one more than these.
    fn update(&self, chunk: &[i64], most: u64, stop: Stop, make: Make) -> Result<()>;

    /// Delete an object; a missing one is fine.
    fn remove(&self, chunk: &[i64], stop: Stop) -> Result<()>;

    /// Return the steps that finish a call that has written; they do not depend on each other.
    fn settle(&self) -> Result<Vec<Last<'_>>>;

    /// Whether a write waits for the disk, which takes no processor.
    fn waits(&self) -> bool {
        false
    }

    /// Whether an object that is open takes memory for all of its bytes.
    fn takes_memory(&self) -> bool {
        false
    }

    /// Close what is kept open for the objects that follow.
    fn release(&self) {}
}

/// An object that is stored but not published; dropped, it leaves nothing.
pub trait Pending: Send {
    /// Make the object survive a power cut.
    fn sync(&mut self) -> Result<()>;

    /// Give the object its name. If that fails, it may be tried again.
    fn publish(&mut self, stop: Stop) -> Result<()>;
}

/// An object that is read in parts.
pub trait Parts: Send + Sync {
    /// Return the size of the object in bytes.
    fn size(&self) -> u64;

    /// Return `size` bytes from `offset` on, which may be read into `buffer`; fewer are an error.
    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]>;

    /// Fill `dst` with the bytes from `offset` on.
    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let mut buffer = Vec::new();
        dst.copy_from_slice(self.read(offset, dst.len(), &mut buffer)?);
        Ok(())
    }

    /// Return all bytes if they are in memory anyway.
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
        let value = Value::of(parts.into_iter().map(Cow::Borrowed)).unwrap();
        let lengths: Vec<usize> = value
            .parts()
            .unwrap()
            .iter()
            .map(|part| part.len())
            .collect();
        assert_eq!(lengths, [3, Value::LONG, Value::LONG, 3]);
        assert_eq!(value.parts().unwrap().concat(), parts.concat());
        assert_eq!(value.joined().unwrap(), parts.concat());
        assert!(Value::of([]).unwrap().joined().unwrap().is_empty());
        assert_eq!(Value::from(vec![7]).joined().unwrap(), [7]);
    }
}
