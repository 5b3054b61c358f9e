//! The parts of a message as bytes: numbers in network order, texts with their length before them.

use std::sync::Arc;
use std::time::Duration;

use crate::api::VipKey;
use crate::ownership::{Epoch, Holder, Incarnation, NodeName, Nonce};

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Of an agent of another version.
    #[error("its format is version {0}")]
    Version(u8),
    /// Of an agent of another version.
    #[error("it is of the unknown kind {0}")]
    Kind(u8),
    /// It ends in the middle.
    #[error("it is too short")]
    Short,
    /// Something comes after its end.
    #[error("it is too long")]
    Long,
    /// A text that is none, or a number that means nothing.
    #[error("it makes no sense")]
    Nonsense,
}

/// Something that is part of messages.
pub trait Wire: Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes it off the front of `bytes`.
    ///
    /// # Errors
    /// When it is not there.
    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError>;
}

/// Takes so many bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], MessageError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(MessageError::Short)?;
    *bytes = rest;
    Ok(taken)
}

macro_rules! number {
    ($($type:ty),+) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
                let (taken, rest) = bytes.split_first_chunk().ok_or(MessageError::Short)?;
                *bytes = rest;
                Ok(Self::from_be_bytes(*taken))
            }
        }
    )+};
}
number!(u8, u16, i32, u64);

/// A type that is written as its fields, one after the other.
macro_rules! fields {
    ($($type:ident { $($field:ident),+ })+) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)+
            }

            fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
                Ok(Self { $($field: Wire::read(bytes)?),+ })
            }
        }
    )+};
}
fields! {
    Nonce { incarnation, sequence }
    Epoch { lease, number }
    Holder { node, epoch }
    VipKey { namespace, name }
}

impl Wire for Incarnation {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
        u64::read(bytes).map(Self)
    }
}

impl Wire for bool {
    fn write(&self, out: &mut Vec<u8>) {
        u8::from(*self).write(out);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
        match u8::read(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MessageError::Nonsense),
        }
    }
}

/// In nanoseconds; centuries of them.
impl Wire for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).write(out);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
        u64::read(bytes).map(Self::from_nanos)
    }
}

/// Names of Kubernetes are at most 253 bytes long. What is longer is cut, and names nothing.
macro_rules! text {
    ($($type:ty),+) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let length = u16::try_from(self.len()).unwrap_or(u16::MAX);
                length.write(out);
                out.extend_from_slice(&self.as_bytes()[..usize::from(length)]);
            }

            fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
                let length = u16::read(bytes)?;
                let text = take(bytes, length.into())?;
                std::str::from_utf8(text).map(Self::from).map_err(|_| MessageError::Nonsense)
            }
        }
    )+};
}
text!(String, Arc<str>);

impl Wire for NodeName {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
        Wire::read(bytes).map(Self)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(inner) = self {
            inner.write(out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
        Ok(if bool::read(bytes)? { Some(T::read(bytes)?) } else { None })
    }
}
