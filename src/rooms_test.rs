//! Data goes one way, and what decides is pure: what each room's shipped code may name.

use crate::wall_clock_test::files;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each room, and which others it may use.
const ROOMS: [(&str, &[&str]); 11] = [
    ("api", &[]),
    ("placement", &["api"]),
    ("ownership", &["api"]),
    ("network", &[]),
    ("mesh", &[]),
    ("manifests", &["api"]),
    ("observe", &["api", "ownership", "network", "mesh"]),
    ("ocf", &["network", "observe"]),
    ("agent", &["api", "placement", "ownership", "network", "mesh", "observe"]),
    ("standalone", &["api", "manifests", "network", "observe", "agent"]),
    ("cli", &["api", "manifests", "network", "observe", "ocf", "ownership", "standalone", "agent"]),
];

/// Input and output, and clocks.
const IMPURE: [&str; 20] = [
    "tokio",
    "futures",
    "nix",
    "socket2",
    "rtnetlink",
    "pnet",
    "aya",
    "libc",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Instant",
    "SystemTime",
    "jiff",
    "println!",
];
const KUBERNETES: [&str; 2] = ["kube", "k8s_openapi"];

/// What else a room must not know.
const UNKNOWN: [(&str, &[&[&str]]); 4] = [
    ("api", &[&IMPURE]),
    ("placement", &[&IMPURE, &KUBERNETES]),
    ("ownership", &[&IMPURE, &KUBERNETES]),
    ("network", &[&KUBERNETES]),
];

#[test]
fn data_goes_one_way() {
    let mut wrong = Vec::new();
    for (room, may) in ROOMS {
        for (file, code) in shipped(room) {
            let others =
                used(&code).into_iter().filter(|other| other != room && !may.contains(&other.as_str()));
            wrong.extend(others.map(|other| format!("{} uses {other}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_decides_is_pure() {
    let mut known = Vec::new();
    for (room, lists) in UNKNOWN {
        for (file, code) in shipped(room) {
            let words = lists.iter().copied().flatten().filter(|word| names(&code, word));
            known.extend(words.map(|word| format!("{} knows {word}", file.display())));
        }
    }
    assert!(known.is_empty(), "{}", known.join("\n"));
}

#[test]
fn no_room_is_left_out() {
    let modules = fs::read_to_string(source().join("lib.rs")).unwrap();
    let modules: BTreeSet<_> =
        modules.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(modules, ROOMS.map(|(room, _)| room).into());
    assert!(ROOMS.iter().all(|(room, _)| !shipped(room).is_empty()));
}

#[test]
fn what_is_used_is_found_however_it_is_spelled() {
    let code = "use crate::{\n    api::{Address, VipKey},\n    network,\n};\nfn f() -> crate::mesh::Peer {}";
    assert_eq!(used(code), ["api", "mesh", "network"].map(str::to_owned).into());
    assert!(names("use tokio::time;", "tokio") && !names("use instants::Instants;", "Instant"));
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a room, file by file, without comments and without what is there for tests only.
fn shipped(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut tests = BTreeSet::new();
    for file in files(&source().join(room)).unwrap() {
        let text = fs::read_to_string(&file).unwrap();
        let mut code = String::new();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        while let Some(line) = lines.next() {
            if line != "#[cfg(test)]" {
                code.push_str(line);
                code.push('\n');
                continue;
            }
            // A module of its own file, or all the rest of this one; anything else is a single item, and counts.
            match lines.find(|line| !line.starts_with("#[")) {
                Some(module) if module.contains("mod ") && module.ends_with('{') => break,
                Some(module) if module.contains("mod ") => {
                    let name = module.trim_end_matches(';').rsplit(' ').next().unwrap();
                    tests.insert(file.parent().unwrap().join(name));
                }
                _ => {}
            }
        }
        found.push((file, code));
    }
    found.retain(|(file, _)| {
        !tests.iter().any(|test| file.starts_with(test) || file.with_extension("") == *test)
    });
    found
}

/// The rooms that this code names.
fn used(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let mut depth = 0;
        let mut word = String::new();
        for sign in rest.chars() {
            match sign {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if sign.is_alphanumeric() || sign == '_' {
                word.push(sign);
                continue;
            }
            rooms.insert(std::mem::take(&mut word));
            if depth == 0 {
                break;
            }
        }
    }
    rooms.retain(|word| ROOMS.iter().any(|(room, _)| room == word));
    rooms
}

/// Whether this code contains the word, as a whole one.
fn names(code: &str, word: &str) -> bool {
    let is_part = |sign: Option<char>| sign.is_some_and(|sign| sign.is_alphanumeric() || sign == '_');
    code.match_indices(word).any(|(at, _)| {
        !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next())
    })
}
