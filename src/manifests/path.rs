//! The way to a field of an object.

use std::fmt;

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a field.
    Key(String),
    /// Into an item of a list, from 0.
    Index(usize),
}

/// The way to a field, printed as the API server does: `spec.addresses[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(pub(super) Vec<Step>);

impl Path {
    /// Reads what [`Path`] prints. Keys with dots or brackets are taken apart.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split(['.', '[']).filter(|part| !part.is_empty()) {
            let index = part.strip_suffix(']').and_then(|index| index.parse().ok());
            steps.push(index.map_or_else(|| Step::Key(part.to_owned()), Step::Index));
        }
        Self(steps)
    }

    /// The field `name` below.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.with(Step::Key(name.to_owned()))
    }

    /// The item `at` below.
    #[must_use]
    pub fn index(&self, at: usize) -> Self {
        self.with(Step::Index(at))
    }

    /// First `self`, then `rest`.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
