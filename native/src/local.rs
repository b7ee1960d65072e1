//! The stored objects of an array whose store is a folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::commit::{sync_file, Durability, Staged};
use crate::error::{Error, Result};
use crate::files::File;
use crate::keys::Keys;
use crate::memory::{collected, grown};
use crate::objects::{Last, Make, Objects, Parts, Pending, Stop, Value};
use crate::root::Root;

/// The chunks of one array as files.
pub struct LocalObjects {
    root: Option<Root>,
    keys: Keys,
    durability: Durability,
    /// A file that is synced at the end of the call, with its folders.
    pub beside: Option<PathBuf>,
    /// Whether an object was missing when it was read.
    missed: AtomicBool,
}

impl LocalObjects {
    /// Open the store at `root`; for `writing`, create it if it does not exist.
    pub fn open(
        root: &Path,
        keys: Keys,
        follow_symlinks: bool,
        writing: Option<Durability>,
    ) -> Result<LocalObjects> {
        let root = if writing.is_some() {
            Some(Root::create(root, follow_symlinks)?)
        } else {
            Root::open(root, follow_symlinks)?
        };
        Ok(LocalObjects {
            root,
            keys,
            durability: writing.unwrap_or(Durability::Full),
            beside: None,
            missed: AtomicBool::new(false),
        })
    }

    /// Whether an object was missing when it was read.
    pub fn missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// Remember whether an object was missing.
    fn seen<T>(&self, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.missed.store(true, Ordering::Relaxed);
        }
        found
    }

    fn writable(&self) -> Result<&Root> {
        // When opened for reading, the folder may not exist.
        self.root
            .as_ref()
            .ok_or_else(|| Error::codec("store", "the store was opened for reading"))
    }
}

impl Parts for File {
    fn size(&self) -> u64 {
        self.size()
    }

    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let part = grown(buffer, size, "fetch")?;
        self.read_at(offset, part)?;
        Ok(part)
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        self.read_at(offset, dst)
    }
}

impl Objects for LocalObjects {
    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        let file = match &self.root {
            Some(root) => root.open_file(&self.keys.key(chunk))?,
            None => None,
        };
        Ok(self.seen(file).map(|file| Box::new(file) as Box<dyn Parts>))
    }

    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>> {
        let found = match &self.root {
            Some(root) => root.read_exact_into(&self.keys.key(chunk), dst)?,
            None => None,
        };
        Ok(self.seen(found).map(|size| size as u64))
    }

    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: &mut Value,
        stop: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>> {
        let (root, key) = (self.writable()?, self.keys.key(chunk));
        let staged = root.stage(&key, &value.parts()?, self.durability, stop)?;
        Ok(staged.map(|staged| Box::new(staged) as Box<dyn Pending>))
    }

    fn update(&self, chunk: &[i64], most: u64, stop: Stop, make: Make) -> Result<()> {
        self.writable()?
            .update(&self.keys.key(chunk), most, self.durability, stop, make)
    }

    fn remove(&self, chunk: &[i64], stop: Stop) -> Result<()> {
        self.writable()?.remove(&self.keys.key(chunk), stop)?;
        Ok(())
    }

    fn settle(&self) -> Result<Vec<Last<'_>>> {
        if self.durability != Durability::Full {
            return Ok(Vec::new());
        }
        let root = self.writable()?;
        let folders = root.touched.take().into_iter();
        let folders = folders.map(|folder| Box::new(move || root.sync_folder(&folder)) as Last);
        let beside = self.beside.iter();
        let beside = beside.map(|path| Box::new(move || sync_file(path)) as Last);
        collected(folders.chain(beside), "store")
    }

    fn waits(&self) -> bool {
        self.durability != Durability::None
    }

    fn release(&self) {
        if let Some(root) = &self.root {
            root.forget_all();
        }
    }
}

impl Pending for Staged<'_> {
    fn sync(&mut self) -> Result<()> {
        Staged::sync(self)
    }

    fn publish(&mut self, stop: Stop) -> Result<()> {
        Staged::publish(self, stop)
    }
}
