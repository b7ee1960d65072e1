//! Writers of one value do not undo each other, and leave nothing behind.

use super::*;
use crate::objects::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("fastzarr-commit-{}-{number}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }

    fn root(&self) -> Root {
        Root::create(&self.0, false).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Read a value; `None` if it is missing.
fn read(root: &Root, key: &str) -> Option<Vec<u8>> {
    let file = root.open_file(key).unwrap()?;
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

const NEVER: Stop = &|| false;

fn add_one(old: Option<&[u8]>) -> Result<Option<Value<'_>>> {
    let count = old.map_or(0, |old| u32::from_ne_bytes(old.try_into().unwrap()));
    Ok(Some((count + 1).to_ne_bytes().to_vec().into()))
}

#[test]
fn no_update_is_lost_among_threads() {
    for durability in [Durability::None, Durability::Replace, Durability::Full] {
        let place = Place::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let root = place.root();
                    for _ in 0..50 {
                        root.update("a/n", u64::MAX, durability, NEVER, &mut add_one)
                            .unwrap();
                    }
                });
            }
        });
        let bytes = read(&place.root(), "a/n").unwrap();
        assert_eq!(bytes, 400u32.to_ne_bytes());
        assert_eq!(std::fs::read_dir(place.0.join("a")).unwrap().count(), 1);
    }
}

#[test]
fn one_of_two_first_writers_starts_again() {
    let place = Place::new();
    let root = place.root();
    let mut calls = Vec::new();
    root.update("n", u64::MAX, Durability::Replace, NEVER, &mut |old| {
        calls.push(old.map(<[u8]>::to_vec));
        if calls.len() == 1 {
            // Someone else is first.
            place
                .root()
                .update("n", u64::MAX, Durability::None, NEVER, &mut add_one)?;
        }
        add_one(old)
    })
    .unwrap();
    assert_eq!(calls, [None, Some(1u32.to_ne_bytes().to_vec())]);
    assert_eq!(read(&root, "n").unwrap(), 2u32.to_ne_bytes());
    assert_eq!(place.names(), ["n"]);
}

#[test]
fn a_whole_write_and_a_removal_wait_for_an_update() {
    for remove in [false, true] {
        let place = Place::new();
        let root = place.root();
        root.update("n", u64::MAX, Durability::None, NEVER, &mut add_one)
            .unwrap();
        let (inside, after) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let root = place.root();
                while !inside.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                if remove {
                    assert!(root.remove("n", NEVER).unwrap());
                } else {
                    let staged = root.stage("n", &[b"whole"], Durability::None, NEVER);
                    assert!(staged.unwrap().is_none());
                }
                assert!(after.load(Ordering::SeqCst), "it did not wait");
            });
            root.update("n", u64::MAX, Durability::None, NEVER, &mut |old| {
                inside.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(30));
                after.store(true, Ordering::SeqCst);
                add_one(old)
            })
            .unwrap();
        });
        let whole = (!remove).then(|| b"whole".to_vec());
        assert_eq!(read(&root, "n"), whole);
    }
}

#[test]
fn what_waits_for_a_lock_can_be_stopped() {
    let place = Place::new();
    let root = place.root();
    root.update("n", u64::MAX, Durability::None, NEVER, &mut add_one)
        .unwrap();
    root.update("n", u64::MAX, Durability::None, NEVER, &mut |old| {
        let error = place.root().remove("n", &|| true).unwrap_err();
        assert_eq!(error.kind, Kind::Interrupted);
        add_one(old)
    })
    .unwrap();
}

#[test]
fn a_failed_update_changes_nothing() {
    let place = Place::new();
    let root = place.root();
    root.update("n", u64::MAX, Durability::Full, NEVER, &mut add_one)
        .unwrap();
    for key in ["n", "m", "folder/m"] {
        let error = root.update(key, u64::MAX, Durability::Full, NEVER, &mut |_| {
            Err(Error::codec("test", "no"))
        });
        assert_eq!(error.unwrap_err().message, "no");
    }
    assert_eq!(place.names(), ["n"]);
    // The lock is free again.
    root.update("n", u64::MAX, Durability::Full, NEVER, &mut add_one)
        .unwrap();
}

#[test]
fn what_is_staged_has_no_name_until_it_is_published() {
    let place = Place::new();
    let root = place.root();
    let staged = root
        .stage("a/n", &[b"new"], Durability::Full, NEVER)
        .unwrap();
    assert_eq!(read(&root, "a/n"), None);
    let mut staged = staged.unwrap();
    staged.sync().unwrap();
    staged.publish(NEVER).unwrap();
    assert_eq!(read(&root, "a/n").unwrap(), b"new");
    for folder in root.touched.take() {
        root.sync_folder(&folder).unwrap();
    }
    drop(
        root.stage("a/n", &[b"other"], Durability::Full, NEVER)
            .unwrap(),
    );
    assert_eq!(read(&root, "a/n").unwrap(), b"new");
    assert_eq!(std::fs::read_dir(place.0.join("a")).unwrap().count(), 1);
}

#[test]
fn an_update_to_nothing_removes() {
    let place = Place::new();
    let root = place.root();
    root.update("a/b/n", u64::MAX, Durability::None, NEVER, &mut add_one)
        .unwrap();
    root.update("a/b/n", u64::MAX, Durability::Full, NEVER, &mut |_| {
        Ok(None)
    })
    .unwrap();
    root.update("a/b/m", u64::MAX, Durability::Full, NEVER, &mut |_| {
        Ok(None)
    })
    .unwrap();
    assert!(
        place.names().is_empty(),
        "folders that are left empty go too"
    );
}
