//! What the Secret says.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;

use crate::mesh::{InvalidKey, Key};

const PREVIOUS: &str = "previous";
const CURRENT: &str = "current";
const NEXT: &str = "next";

/// The keys in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Signed with before; still accepted.
    pub previous: Option<Key>,
    /// To sign with.
    pub current: Key,
    /// To sign with after the next change; accepted already.
    pub next: Key,
}

/// Why a Secret has no keys that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotsError {
    /// One is missing.
    #[error("it has no key {0:?}")]
    Missing(&'static str),
    /// One is no key.
    #[error("its key {slot:?} is none")]
    Invalid {
        /// Which.
        slot: &'static str,
        /// Why not.
        source: InvalidKey,
    },
}

impl Slots {
    /// Reads the data of a Secret.
    ///
    /// # Errors
    /// [`SlotsError`] says which key cannot be used.
    pub fn read(data: &BTreeMap<String, ByteString>) -> Result<Self, SlotsError> {
        let key = |slot| {
            let bytes = data.get(slot)?;
            Some(Key::new(&bytes.0).map_err(|source| SlotsError::Invalid { slot, source }))
        };
        let needed = |slot| key(slot).ok_or(SlotsError::Missing(slot))?;
        Ok(Self { previous: key(PREVIOUS).transpose()?, current: needed(CURRENT)?, next: needed(NEXT)? })
    }

    /// As the data of a Secret.
    #[must_use]
    pub fn data(&self) -> BTreeMap<String, ByteString> {
        let slots =
            [(PREVIOUS, self.previous.as_ref()), (CURRENT, Some(&self.current)), (NEXT, Some(&self.next))];
        let bytes = |key: &Key| ByteString(key.bytes().to_vec());
        slots.into_iter().filter_map(|(slot, key)| Some((slot.to_owned(), bytes(key?)))).collect()
    }

    /// Each key one place on.
    #[must_use]
    pub fn changed(&self, fresh: Key) -> Self {
        Self { previous: Some(self.current.clone()), current: self.next.clone(), next: fresh }
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.previous.iter().chain([&self.current, &self.next])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Slots {
        let [current, next] = [2, 3].map(|byte| Key::new(&[byte; 32]).unwrap());
        Slots { previous: None, current, next }
    }

    #[test]
    fn keys_read_back_as_they_were_written() {
        let first = slots();
        assert_eq!(Slots::read(&first.data()), Ok(first.clone()));
        let second = first.changed(Key::new(&[4; 32]).unwrap());
        assert_eq!(Slots::read(&second.data()), Ok(second.clone()));
        assert_eq!((second.previous, second.current), (Some(first.current), first.next));
    }

    #[test]
    fn a_secret_without_usable_keys_says_which() {
        let mut data = slots().data();
        data.insert("next".into(), ByteString(b"short".to_vec()));
        assert!(matches!(Slots::read(&data), Err(SlotsError::Invalid { slot: "next", .. })));
        data.remove("next");
        assert_eq!(Slots::read(&data), Err(SlotsError::Missing("next")));
    }
}
