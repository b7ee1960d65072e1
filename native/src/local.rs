//! The stored objects of an array whose store is a folder.

use std::fmt::Write as _;
use std::path::Path;

use crate::commit::{Durability, Make, Staged, Stop};
use crate::error::{Error, Result};
use crate::files::{File, Root};
use crate::objects::{room, Bytes, Objects, Parts, Pending, Value};

/// Name the chunks of one array, and read and write their files.
pub struct Local {
    root: Option<Root>,
    prefix: String,
    default: bool,
    separator: String,
    durability: Durability,
}

impl Local {
    /// Stand for the chunks below `prefix` of the store at `root`, which is made for `writing`.
    ///
    /// `default` tells the key encoding of that name from `v2`.
    #[allow(clippy::too_many_arguments)]
    pub fn open(
        root: &Path,
        prefix: String,
        default: bool,
        separator: String,
        follow_symlinks: bool,
        writing: Option<Durability>,
    ) -> Result<Local> {
        let root = if writing.is_some() {
            Some(Root::create(root, follow_symlinks)?)
        } else {
            Root::open(root, follow_symlinks)?
        };
        Ok(Local {
            durability: writing.unwrap_or(Durability::Full),
            root,
            prefix,
            default,
            separator,
        })
    }

    fn writable(&self) -> Result<&Root> {
        // Opened for reading, its folder may not be there.
        self.root
            .as_ref()
            .ok_or_else(|| Error::codec("store", "the store was opened for reading"))
    }

    fn key(&self, chunk: &[i64]) -> String {
        let mut key = self.prefix.clone();
        if self.default {
            key.push('c');
        } else if chunk.is_empty() {
            key.push('0');
        }
        for (place, coordinate) in chunk.iter().enumerate() {
            if place > 0 || self.default {
                key.push_str(&self.separator);
            }
            // Writing to a string does not fail.
            let _ = write!(key, "{coordinate}");
        }
        key
    }
}

impl Parts for File {
    fn size(&self) -> u64 {
        self.size()
    }

    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<Bytes<'a>> {
        let part = room(buffer, size)?;
        self.read_at(offset, part)?;
        Ok(Bytes::Read(part))
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        self.read_at(offset, dst)
    }
}

impl Objects for Local {
    fn read<'a>(&'a self, chunk: &[i64], buffer: &'a mut Vec<u8>) -> Result<Option<Bytes<'a>>> {
        match &self.root {
            Some(root) if root.read(&self.key(chunk), buffer)? => Ok(Some(Bytes::Read(buffer))),
            _ => Ok(None),
        }
    }

    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        let file = root.open_file(&self.key(chunk))?;
        Ok(file.map(|file| Box::new(file) as Box<dyn Parts>))
    }

    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>> {
        match &self.root {
            Some(root) => {
                let found = root.read_exact_into(&self.key(chunk), dst)?;
                Ok(found.map(|size| size as u64))
            }
            None => Ok(None),
        }
    }

    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: Value,
        stop: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>> {
        let root = self.writable()?;
        let staged = root.stage(&self.key(chunk), &value.parts(), self.durability, stop)?;
        Ok(staged.map(|staged| Box::new(staged) as Box<dyn Pending>))
    }

    fn update(&self, chunk: &[i64], stop: Stop, make: Make) -> Result<()> {
        self.writable()?
            .update(&self.key(chunk), self.durability, stop, make)
    }

    fn remove(&self, chunk: &[i64], stop: Stop) -> Result<()> {
        self.writable()?.remove(&self.key(chunk), stop)?;
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        if self.durability == Durability::Full {
            self.writable()?.settle()?;
        }
        Ok(())
    }
}

impl Pending for Staged<'_> {
    fn sync(&self) -> Result<()> {
        Staged::sync(self)
    }

    fn publish(self: Box<Self>, stop: Stop) -> Result<()> {
        Staged::publish(*self, stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_two_encodings() {
        let local = |default, separator: &str| Local {
            root: None,
            prefix: "a/".into(),
            default,
            separator: separator.into(),
            durability: Durability::None,
        };
        assert_eq!(local(true, "/").key(&[1, 23]), "a/c/1/23");
        assert_eq!(local(true, ".").key(&[1, 23]), "a/c.1.23");
        assert_eq!(local(false, ".").key(&[1, 23]), "a/1.23");
        assert_eq!(local(true, "/").key(&[]), "a/c");
        assert_eq!(local(false, "/").key(&[]), "a/0");
    }
}
