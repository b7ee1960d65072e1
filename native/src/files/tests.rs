//! Files are read and written as the Python twin does.

use super::*;
use crate::commit::Durability;
use crate::temporary::{write_all, TEMPORARY_SUFFIX};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that is removed at the end of its test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("fastzarr-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    /// Return the root, opened in every way.
    fn roots(&self) -> Vec<Root> {
        [Way::Follow, Way::Beneath, Way::Walk]
            .into_iter()
            .map(|way| {
                let mut root = Root::create(&self.0.join("root"), false).unwrap();
                root.way = way;
                root
            })
            .collect()
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.0.join("root").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn errno<T: std::fmt::Debug>(result: Result<T>) -> Errno {
    match result.unwrap_err().kind {
        Kind::Io(number) => Errno::from_raw_os_error(number),
        other => panic!("not an error of the system: {other:?}"),
    }
}

/// Whether an error says that a link is in the way, which the Python twin judges.
fn is_link(error: &Error) -> bool {
    error.kind == Kind::Io(Errno::LOOP.raw_os_error())
}

/// Read all parts of a value into a buffer; false if it is missing.
fn read(root: &Root, key: &str, buf: &mut Vec<u8>) -> Result<bool> {
    let Some(file) = root.open_file(key)? else {
        return Ok(false);
    };
    buf.resize(usize::try_from(file.size()).unwrap(), 0);
    file.read_at(0, buf).map(|()| true)
}

/// Store a value, and replace an old one.
fn write(root: &Root, key: &str, parts: &[&[u8]]) -> Result<()> {
    match root.stage(key, parts, Durability::Replace, &|| false)? {
        None => Ok(()),
        Some(mut staged) => {
            staged.sync()?;
            staged.publish(&|| false)
        }
    }
}

fn temporaries(path: &Path) -> usize {
    fs::read_dir(path).map_or(0, |entries| {
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let own = path.to_string_lossy().ends_with(TEMPORARY_SUFFIX);
                usize::from(own) + if path.is_dir() { temporaries(&path) } else { 0 }
            })
            .sum()
    })
}

#[test]
fn reads_whole_values() {
    let place = Place::new();
    for root in place.roots() {
        for (key, size) in [("a", 0), ("b/c", 5), ("b/d/e/f", 300_000)] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
            place.put(key, &bytes);
            for room in [0, 3, size + 100] {
                let mut buf = vec![9; room];
                assert_eq!(read(&root, key, &mut buf), Ok(true));
                assert_eq!(buf, bytes);
            }
            let mut dst = vec![9; size];
            assert_eq!(root.read_exact_into(key, &mut dst), Ok(Some(size)));
            assert_eq!(dst, bytes);
            let mut dst = vec![9; size + 1];
            assert_eq!(root.read_exact_into(key, &mut dst), Ok(Some(size)));
            let short = size.saturating_sub(2);
            assert_eq!(root.read_exact_into(key, &mut dst[..short]), Ok(Some(size)));
        }
    }
}

#[test]
fn a_name_that_is_not_there_is_a_missing_value() {
    let place = Place::new();
    place.put("file", b"1");
    for root in place.roots() {
        for key in ["x", "x/y"] {
            assert_eq!(read(&root, key, &mut Vec::new()), Ok(false));
            assert_eq!(root.read_exact_into(key, &mut [0; 4]), Ok(None));
            assert!(root.open_file(key).unwrap().is_none());
            assert_eq!(root.remove(key, &|| false), Ok(false));
        }
        for key in ["file/x", "file/x/y"] {
            assert_eq!(errno(read(&root, key, &mut Vec::new())), Errno::NOTDIR);
            assert_eq!(errno(root.read_exact_into(key, &mut [0; 4])), Errno::NOTDIR);
            assert_eq!(errno(root.open_file(key)), Errno::NOTDIR);
            assert_eq!(root.remove(key, &|| false), Ok(false));
        }
    }
    assert!(Root::open(&place.0.join("no"), false).unwrap().is_none());
    let file = place.0.join("root/file");
    assert!(Root::open(&file, false).unwrap().is_none());
    assert_eq!(errno(Root::create(&file, false)), Errno::NOTDIR);
    assert_eq!(errno(Root::create(&file.join("x"), false)), Errno::NOTDIR);
}

#[test]
fn what_is_no_file_is_an_error() {
    let place = Place::new();
    place.put("folder/x", b"1");
    let pipe = place.0.join("root/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    for root in place.roots() {
        let mut buf = Vec::new();
        assert_eq!(errno(read(&root, "folder", &mut buf)), Errno::ISDIR);
        for size in [0, 4] {
            let mut dst = vec![0; size];
            assert_eq!(
                errno(root.read_exact_into("folder", &mut dst)),
                Errno::ISDIR
            );
        }
        assert_eq!(errno(root.open_file("folder")), Errno::ISDIR);
        assert_eq!(errno(write(&root, "folder", &[b"1"])), Errno::ISDIR);
        assert_eq!(errno(root.remove("folder", &|| false)), Errno::ISDIR);
        if made.as_ref().is_ok_and(std::process::ExitStatus::success) {
            assert_eq!(errno(read(&root, "pipe", &mut buf)), Errno::INVAL);
            assert_eq!(
                errno(root.read_exact_into("pipe", &mut [0; 4])),
                Errno::INVAL
            );
        }
        assert_eq!(temporaries(&place.0), 0);
    }
}

#[test]
fn writes_in_parts_and_over_what_was_there() {
    let place = Place::new();
    for root in place.roots() {
        let many: Vec<Vec<u8>> = (0..3000).map(|i| vec![i as u8; i % 7]).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let cases: [&[&[u8]]; 6] = [
            &[],
            &[b""],
            &[b"", b"1", b""],
            &[b"123"],
            &[&[7; 1 << 20]],
            &many,
        ];
        for key in ["a", "b/c", "b/d/e/f"] {
            for parts in cases {
                write(&root, key, parts).unwrap();
                let mut buf = Vec::new();
                assert_eq!(read(&root, key, &mut buf), Ok(true));
                assert_eq!(buf, parts.concat());
            }
            assert_eq!(temporaries(&place.0), 0);
            assert_eq!(root.remove(key, &|| false), Ok(true));
            assert_eq!(root.remove(key, &|| false), Ok(false));
        }
        // The folders that are left empty go, and the root stays.
        assert_eq!(fs::read_dir(place.0.join("root")).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let place = Place::new();
    place.put("a/file", b"1");
    for root in place.roots() {
        for key in ["a/file/x", "a/file/x/y"] {
            assert_eq!(errno(write(&root, key, &[b"1"])), Errno::NOTDIR);
        }
        let mut buf = Vec::new();
        assert_eq!(
            (read(&root, "a/file", &mut buf), &buf[..]),
            (Ok(true), &b"1"[..])
        );
    }
}

#[test]
fn makes_the_root_again() {
    let place = Place::new();
    for key in ["a", "b/c"] {
        for root in place.roots() {
            fs::remove_dir_all(place.0.join("root")).unwrap();
            write(&root, key, &[b"1"]).unwrap();
            assert_eq!(fs::read(place.0.join("root").join(key)).unwrap(), b"1");
        }
    }
}

#[test]
fn links_are_left_to_the_twin() {
    let place = Place::new();
    place.put("inside/x", b"in");
    fs::create_dir(place.0.join("outside")).unwrap();
    fs::write(place.0.join("outside/x"), b"out").unwrap();
    let at = |name: &str| place.0.join("root").join(name);
    symlink("../outside", at("out")).unwrap();
    symlink(place.0.join("outside"), at("absolute")).unwrap();
    symlink("inside", at("in")).unwrap();
    symlink("../../outside/x", at("inside/out")).unwrap();
    symlink("x", at("inside/in")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let find = |root: &Root, key: &str| {
        let mut buf = Vec::new();
        read(root, key, &mut buf).map(|found| (found, buf))
    };
    for root in place.roots() {
        if root.way == Way::Follow {
            assert_eq!(find(&root, "out/x"), Ok((true, b"out".to_vec())));
            assert_eq!(find(&root, "inside/out"), Ok((true, b"out".to_vec())));
            assert!(is_link(&find(&root, "loop").unwrap_err()));
            continue;
        }
        for key in [
            "out/x",
            "absolute/x",
            "inside/out",
            "inside/in",
            "loop",
            "loop/x",
            "in",
        ] {
            assert!(is_link(&find(&root, key).unwrap_err()), "{key}");
            let error = root.read_exact_into(key, &mut [0; 3]).unwrap_err();
            assert!(is_link(&error), "{key}");
        }
        for key in ["out/x", "absolute/x", "out/new/x", "loop/x"] {
            assert!(is_link(&write(&root, key, &[b"1"]).unwrap_err()), "{key}");
            assert!(is_link(&root.remove(key, &|| false).unwrap_err()), "{key}");
        }
        // A folder's link to the inside is the kernel's to follow, and else is left as well.
        match root.way {
            Way::Beneath if find(&root, "in/x").is_ok() => {
                assert_eq!(find(&root, "in/x"), Ok((true, b"in".to_vec())));
                write(&root, "in/y", &[b"1"]).unwrap();
                assert_eq!(fs::read(at("inside/y")).unwrap(), b"1");
            }
            _ => assert!(is_link(&find(&root, "in/x").unwrap_err())),
        }
    }
    assert_eq!(fs::read(place.0.join("outside/x")).unwrap(), b"out");
    assert_eq!(fs::read_dir(place.0.join("outside")).unwrap().count(), 1);
    // A link at the end is replaced and removed, not followed, where all links are trusted.
    for root in place.roots() {
        symlink("../../outside/x", at("inside/z")).unwrap();
        if root.way != Way::Follow {
            assert!(is_link(&write(&root, "inside/z", &[b"new"]).unwrap_err()));
            assert!(is_link(&root.remove("inside/z", &|| false).unwrap_err()));
            fs::remove_file(at("inside/z")).unwrap();
            continue;
        }
        write(&root, "inside/z", &[b"new"]).unwrap();
        assert!(!at("inside/z").is_symlink());
        fs::remove_file(at("inside/z")).unwrap();
        symlink("../../outside/x", at("inside/z")).unwrap();
        assert_eq!(root.remove("inside/z", &|| false), Ok(true));
    }
    assert_eq!(fs::read(place.0.join("outside/x")).unwrap(), b"out");
}

#[test]
fn refuses_keys_that_are_no_names() {
    let place = Place::new();
    fs::write(place.0.join("x"), b"out").unwrap();
    for root in place.roots() {
        for key in [
            "",
            "/",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            "/etc/passwd",
            ".",
            "a\0b",
        ] {
            assert_eq!(
                errno(read(&root, key, &mut Vec::new())),
                Errno::INVAL,
                "{key:?}"
            );
            assert_eq!(errno(root.read_exact_into(key, &mut [0])), Errno::INVAL);
            assert_eq!(errno(write(&root, key, &[b"1"])), Errno::INVAL);
            assert_eq!(errno(root.remove(key, &|| false)), Errno::INVAL);
        }
        assert_eq!(
            errno(read(&root, &"x".repeat(300), &mut Vec::new())),
            Errno::NAMETOOLONG
        );
    }
    assert_eq!(temporaries(&place.0), 0);
}

#[test]
fn reads_ranges() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    place.put("a", &bytes);
    let roots = place.roots();
    let file = roots[1].open_file("a").unwrap().unwrap();
    assert_eq!(file.size(), 3_000_000);
    let mut dst = vec![0; 1000];
    file.read_at(77, &mut dst).unwrap();
    assert_eq!(dst, bytes[77..1077]);
    file.read_at(5_000_000, &mut []).unwrap();
    for offset in [2_999_001, 3_000_000, u64::MAX - 3, u64::MAX] {
        let number = errno(file.read_at(offset, &mut dst));
        assert!(matches!(number, Errno::IO | Errno::INVAL), "{offset}");
    }
}

#[test]
fn readers_see_the_old_value_or_the_new_one() {
    let place = Place::new();
    let roots = place.roots();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..2000usize {
                let value = vec![i as u8; 100 + i % 5 * 5000];
                write(&roots[i % 3], "a/b/c", &[&value]).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        // Deletes beside it, which remove the folders as well.
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                roots[1].remove("a/b/c", &|| false).unwrap();
                write(&roots[2], "a/d", &[b"1"]).unwrap();
                roots[2].remove("a/d", &|| false).unwrap();
            }
        });
        let mut buf = Vec::new();
        let mut found = 0;
        while !done.load(Ordering::Acquire) {
            if read(&roots[1], "a/b/c", &mut buf).unwrap() {
                found += 1;
                assert!(buf.len() >= 100 && buf.iter().all(|&byte| byte == buf[0]));
            }
        }
        assert!(found > 0);
    });
    assert_eq!(temporaries(&place.0), 0);
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let place = Place::new();
    place.put("a/x", b"old");
    for root in place.roots() {
        // A folder is in the way of the rename, after all was written.
        fs::create_dir_all(place.0.join("root/a/folder/y")).unwrap();
        assert_eq!(errno(write(&root, "a/folder", &[b"1"])), Errno::ISDIR);
        let names = fs::read_dir(place.0.join("root/a")).unwrap().count();
        assert_eq!(names, 2);
    }
    assert_eq!(
        write_all(
            &fs::File::open(place.0.join("root/a/x")).unwrap().into(),
            &[b"1"]
        ),
        Err(Errno::BADF)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    assert_eq!(write_all(&full.into(), &[b"1"]), Err(Errno::NOSPC));
}

fn groups(names: &[&[&str]]) -> Vec<Vec<String>> {
    let owned = |group: &&[&str]| group.iter().map(|name| (*name).to_owned()).collect();
    names.iter().map(owned).collect()
}

#[test]
fn the_first_group_with_a_value_is_read() {
    let place = Place::new();
    for (key, value) in [("b", "1"), ("d", "22"), ("x/b", "333")] {
        place.put(key, value.as_bytes());
    }
    fs::create_dir(place.0.join("root/folder")).unwrap();
    symlink("/etc", place.0.join("root/out")).unwrap();
    for root in place.roots() {
        let wanted = groups(&[&["a", "b"], &["b", "c", "d"], &["d"]]);
        let found = root.first_values(&wanted, 2).unwrap();
        let values = [None, Some("1"), None, Some("22")];
        let values = values.map(|value| value.map(|text| text.as_bytes().to_owned()));
        let keys = ["a", "b", "c", "d"];
        assert_eq!(found, keys.into_iter().zip(values).collect::<Vec<_>>());
        let wanted = groups(&[&["a", "b"], &["c"]]);
        assert_eq!(
            root.first_values(&wanted, 2).unwrap(),
            [("a", None), ("c", None)]
        );
        for (key, number) in [("x/b", Errno::FBIG), ("folder", Errno::ISDIR)] {
            assert_eq!(
                errno(root.first_values(&groups(&[&["a"], &[key]]), 2)),
                number
            );
        }
        if root.way != Way::Follow {
            assert!(is_link(
                &root
                    .first_values(&groups(&[&["out/passwd"]]), 2)
                    .unwrap_err()
            ));
            assert!(is_link(
                &root.first_values(&groups(&[&["out"]]), 2).unwrap_err()
            ));
        }
    }
}

#[test]
fn marks_are_found_in_the_groups_above() {
    let place = Place::new();
    let names = ["g".to_owned(), "h".to_owned()];
    for folder in ["a/b/c", "d"] {
        fs::create_dir_all(place.0.join(folder)).unwrap();
    }
    let is_free = |path: &str| is_unmarked(&place.0.join(path), "mark", &names);
    fs::write(place.0.join("mark"), b"").unwrap();
    fs::write(place.0.join("a/h"), b"").unwrap();
    assert!(is_free("a") && is_free("a/b") && is_free("a/b/c") && is_free("d/missing"));
    fs::write(place.0.join("g"), b"").unwrap();
    assert!(!is_free("a") && !is_free("a/b") && is_free("a/b/c"));
    fs::write(place.0.join("a/b/g"), b"").unwrap();
    assert!(!is_free("a/b/c") && !is_free("d"));
    // Python looks at what is no folder.
    assert!(!is_free("mark"));
}

#[test]
fn a_path_with_a_link_is_not_real() {
    let place = Place::new();
    fs::create_dir_all(place.0.join("a/b")).unwrap();
    symlink("a", place.0.join("link")).unwrap();
    let real = fs::canonicalize(&place.0).unwrap();
    assert!(is_real(&real.join("a/b")) && !is_real(&real.join("a/c")));
    assert!(!is_real(&real.join("link")) && !is_real(&real.join("link/b")));
}
