//! Objects in memory, of which parts are read like those of files.
//!
//! What a store does itself is done by `crate::calm`, by which a program that lets allocations fail
//! leaves out those of this file.

use std::collections::HashMap;
use std::sync::Mutex;

use _native::fuzzing::{Error, Last, Make, Objects, Parts, Pending, Result, Stop, Value};

use crate::calm;

#[derive(Default)]
pub struct Held(pub Mutex<HashMap<Vec<i64>, Vec<u8>>>);

struct Whole(Vec<u8>);

impl Parts for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let found = usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(start..start.checked_add(size)?));
        let part = found.ok_or_else(|| Error::codec("fetch", "outside"))?;
        calm(|| {
            buffer.clear();
            buffer.extend_from_slice(part);
        });
        Ok(buffer)
    }
}

impl Objects for Held {
    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        let found = calm(|| self.0.lock().expect("no panic").get(chunk).cloned());
        Ok(found.map(|bytes| Box::new(Whole(bytes)) as Box<dyn Parts>))
    }

    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>> {
        let objects = self.0.lock().expect("no panic");
        Ok(objects.get(chunk).map(|bytes| {
            if bytes.len() == dst.len() {
                dst.copy_from_slice(bytes);
            }
            bytes.len() as u64
        }))
    }

    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: &mut Value,
        _: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>> {
        let bytes = std::mem::take(value).joined()?;
        calm(|| {
            let mut held = self.0.lock().expect("no panic");
            held.insert(chunk.to_vec(), bytes.clone());
        });
        Ok(None)
    }

    fn update(&self, chunk: &[i64], _: u64, _: Stop, make: Make) -> Result<()> {
        let old = calm(|| self.0.lock().expect("no panic").get(chunk).cloned());
        let new = make(old.as_deref())?.map(Value::joined).transpose()?;
        calm(|| {
            let mut held = self.0.lock().expect("no panic");
            match &new {
                Some(bytes) => held.insert(chunk.to_vec(), bytes.clone()),
                None => held.remove(chunk),
            };
        });
        Ok(())
    }

    fn remove(&self, chunk: &[i64], _: Stop) -> Result<()> {
        calm(|| self.0.lock().expect("no panic").remove(chunk));
        Ok(())
    }

    fn settle(&self) -> Result<Vec<Last<'_>>> {
        Ok(Vec::new())
    }
}
