//! What follows from the rest of a state and is only kept so that it need not be worked out again.

use std::hash::{Hash, Hasher};

/// No part of the state that it is in: two states that differ only in this are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Memo<T>(pub(super) T);

impl<T> PartialEq for Memo<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Memo<T> {}

impl<T> Hash for Memo<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
