//! The keys that the agents share.

use std::fmt;
use std::sync::Arc;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a key.
pub const KEY_LENGTH: usize = 32;

/// First bytes of a datagram that name its key.
pub(super) type KeyId = [u8; 4];

/// Not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has {KEY_LENGTH} bytes, this has {0}")]
pub struct InvalidKey(usize);

/// The kernel gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel gives no random bytes")]
pub struct NoRandomness;

/// A symmetric key for HMAC-SHA256 (RFC 2104, RFC 6234).
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    id: KeyId,
    bytes: [u8; KEY_LENGTH],
    hmac: hmac::Key,
}

impl Key {
    /// The key of these bytes, which must be random.
    ///
    /// # Errors
    /// [`InvalidKey`] when there are more or fewer than [`KEY_LENGTH`].
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidKey> {
        Ok(Self::of(bytes.try_into().map_err(|_| InvalidKey(bytes.len()))?))
    }

    fn of(bytes: [u8; KEY_LENGTH]) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        // Says which key it is and nothing about it. Datagrams begin otherwise, so that this is the tag of none.
        let digest = hmac::sign(&hmac, b"virtualip key");
        let mut id = KeyId::default();
        id.copy_from_slice(&digest.as_ref()[..4]);
        Self(Arc::new(Inner { id, bytes, hmac }))
    }

    /// A new key.
    ///
    /// # Errors
    /// [`NoRandomness`] when the kernel gives no random bytes.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; KEY_LENGTH];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self::of(bytes))
    }

    /// Its bytes, to be kept secret.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0.bytes
    }

    pub(super) fn id(&self) -> KeyId {
        self.0.id
    }

    pub(super) fn hmac(&self) -> &hmac::Key {
        &self.0.hmac
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Key {}

/// Never the key itself: this is what ends up in logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:08x})", u32::from_be_bytes(self.0.id))
    }
}

/// One key to sign with, and all that are accepted. Several are accepted so that keys can change while agents talk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    signing: Option<Key>,
    accepted: Vec<Key>,
}

impl KeyRing {
    /// Signs with `signing`; accepts that key and `others`.
    #[must_use]
    pub fn new(signing: Key, others: impl IntoIterator<Item = Key>) -> Self {
        let mut accepted = vec![signing.clone()];
        for key in others {
            if !accepted.contains(&key) {
                accepted.push(key);
            }
        }
        Self { signing: Some(signing), accepted }
    }

    /// The key to sign with; none: nothing can be sent.
    #[must_use]
    pub fn signing(&self) -> Option<&Key> {
        self.signing.as_ref()
    }

    /// All keys that are accepted.
    #[must_use]
    pub fn accepted(&self) -> &[Key] {
        &self.accepted
    }

    /// The accepted keys of this name; there is hardly ever more than one.
    pub(super) fn named(&self, id: KeyId) -> impl Iterator<Item = &Key> {
        self.accepted.iter().filter(move |key| key.0.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_length_and_is_not_printed() {
        assert_eq!(Key::new(&[1; 31]), Err(InvalidKey(31)));
        let key = Key::new(&[0x5a; 32]).unwrap();
        assert!(!format!("{key:?}").contains("5a5a"), "{key:?}");
    }

    #[test]
    fn the_signing_key_is_accepted_too() {
        let [a, b] = [1, 2].map(|byte| Key::new(&[byte; 32]).unwrap());
        let ring = KeyRing::new(a.clone(), [b.clone(), a.clone()]);
        assert_eq!(ring.accepted(), [a, b]);
        assert_eq!(KeyRing::default().signing(), None);
    }
}
