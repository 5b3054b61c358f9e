//! Where manifests come from: files, folders, standard input.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Endings of manifests in a folder, as `kubectl apply -f FOLDER` knows them.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// One text with manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// Something cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}")]
pub struct SourceError {
    /// A file or folder.
    name: String,
    /// What the system said.
    source: io::Error,
}

/// Reads a file, the manifests of a folder (not those below, in the order of their names), or standard input (`-`).
///
/// # Errors
/// The first that cannot be read.
pub fn read(path: &Path) -> Result<Vec<Source>, SourceError> {
    let named = |name: &str| {
        let name = name.to_owned();
        move |source| SourceError { name, source }
    };
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(named("standard input"))?;
        return Ok(vec![Source { name: "-".to_owned(), text }]);
    }
    let files = if path.is_dir() {
        folder(path).map_err(named(&path.display().to_string()))?
    } else {
        vec![path.to_owned()]
    };
    files
        .into_iter()
        .map(|file| {
            let name = file.display().to_string();
            let text = fs::read_to_string(&file).map_err(named(&name))?;
            Ok(Source { name, text })
        })
        .collect()
}

fn folder(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let mut files = entries?;
    files.retain(|file| {
        file.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending))
            && file.is_file()
    });
    files.sort();
    Ok(files)
}
