//! The manifests as they are, or as they last made sense.

use std::{collections::BTreeMap, path::PathBuf};

use crate::manifests::{Checked, Object, Problem, SourceError, check, read};

/// Manifests that were read, file by file.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    good: BTreeMap<String, Vec<Object>>,
    /// What is wrong with them now.
    pub problems: Vec<Problem>,
}

impl Files {
    /// Of a file, or of a folder.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, good: BTreeMap::new(), problems: Vec::new() }
    }

    /// Reads them again. A file with a problem counts as it was before it had one: an address that serves does not
    /// vanish because of a slip of the keyboard. Of a file that never made sense, the objects that do count.
    ///
    /// # Errors
    /// When they cannot be read; everything then stays as it was.
    pub fn reload(&mut self) -> Result<(), SourceError> {
        let sources = read(&self.path)?;
        let mut before = std::mem::take(&mut self.good);
        self.problems.clear();
        for source in sources {
            let Checked { objects, problems, .. } = check(&source);
            let objects =
                if problems.is_empty() { objects } else { before.remove(&source.name).unwrap_or(objects) };
            self.good.insert(source.name, objects);
            self.problems.extend(problems);
        }
        Ok(())
    }

    /// The objects that count.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.good.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(address: &str) -> String {
        format!(
            "apiVersion: virtualip.dev/v1alpha1\nkind: VirtualIP\nmetadata: {{name: web}}\n\
             spec: {{addresses: [{address}]}}\n"
        )
    }

    #[test]
    fn a_file_with_a_problem_counts_as_it_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yaml");
        let mut files = Files::new(folder.path().to_owned());
        let mut load = |text: &str| {
            std::fs::write(&file, text).unwrap();
            files.reload().unwrap();
            let addresses = files.objects().map(|object| object.value["spec"]["addresses"][0].to_string());
            (addresses.collect::<Vec<_>>(), files.problems.len())
        };
        assert_eq!(load(&manifest("192.0.2.1")), (vec!["\"192.0.2.1\"".to_owned()], 0));
        assert_eq!(load(&manifest("192.0.2.256")), (vec!["\"192.0.2.1\"".to_owned()], 1));
        assert_eq!(load(&manifest("192.0.2.2")), (vec!["\"192.0.2.2\"".to_owned()], 0));
        assert_eq!(load(""), (vec![], 0));
        std::fs::remove_file(&file).unwrap();
        files.reload().unwrap();
        assert_eq!(files.objects().count(), 0);
    }
}
