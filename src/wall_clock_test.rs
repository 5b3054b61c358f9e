//! The machine's wall clock may be set to any time: nothing that decides reads it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Ways to read it.
const READS: [&str; 5] = ["SystemTime::now", "Timestamp::now", "Zoned::now", "CLOCK_REALTIME", "UNIX_EPOCH"];

/// Who may, since what they read is written for people and never read back.
const MAY: [&str; 4] = ["agent/codec.rs", "agent/report.rs", "observe/events.rs", "standalone/rows.rs"];

#[test]
fn the_wall_clock_is_only_read_for_people() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut read = Vec::new();
    for file in files(&source).unwrap() {
        let text = fs::read_to_string(&file).unwrap();
        if READS.iter().any(|words| text.contains(words)) && !file.ends_with("wall_clock_test.rs") {
            read.push(file.strip_prefix(&source).unwrap().to_string_lossy().into_owned());
        }
    }
    read.sort();
    assert_eq!(read, MAY);
}

/// All sources in a folder, however deep.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
