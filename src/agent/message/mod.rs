//! What agents tell each other, as bytes: the version of this format, the kind, then the fields in their order.
//!
//! An agent drops what it does not know. So a new kind may be added at any time; a kind that is there may be changed only
//! together with the version, and only so that agents of both versions do without messages until all have the new one.

mod wire;

pub use wire::MessageError;

use wire::Wire;

use crate::ownership::{Message, Refusal};

const VERSION: u8 = 1;

/// A message as bytes.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    VERSION.write(&mut out);
    message.write(&mut out);
    out
}

/// Reads a message.
///
/// # Errors
/// [`MessageError`]; it is dropped.
pub fn decode(mut bytes: &[u8]) -> Result<Message, MessageError> {
    let version = u8::read(&mut bytes)?;
    if version != VERSION {
        return Err(MessageError::Version(version));
    }
    let message = Message::read(&mut bytes)?;
    if bytes.is_empty() { Ok(message) } else { Err(MessageError::Long) }
}

/// Which number stands for which kind, and its fields in their order.
macro_rules! kinds {
    ($($number:literal $kind:ident { $($field:ident),+ $(,)? })+) => {
        impl Wire for Message {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$kind { $($field),+ } => {
                        out.push($number);
                        $($field.write(out);)+
                    })+
                }
            }

            fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
                Ok(match u8::read(bytes)? {
                    $($number => Self::$kind { $($field: Wire::read(bytes)?),+ },)+
                    kind => return Err(MessageError::Kind(kind)),
                })
            }
        }
    };
}
kinds! {
    1 Ask { epoch, round, witness, period, asked }
    2 Promise { epoch, round, witness, asked }
    3 Refuse { epoch, round, witness, why }
    4 Canvass { holder, round, witness, period, binding }
    5 Vote { holder, round, witness, binding }
    7 Silent { key, version, onto }
}

impl Wire for Refusal {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Unnamed => 1,
            Self::Voted => 2,
            Self::Dead => 3,
        });
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, MessageError> {
        match u8::read(bytes)? {
            1 => Ok(Self::Unnamed),
            2 => Ok(Self::Voted),
            3 => Ok(Self::Dead),
            _ => Err(MessageError::Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::api::VipKey;
    use crate::mesh::MAX_PAYLOAD;
    use crate::ownership::{Epoch, Holder, Incarnation, NodeName, Nonce};

    fn text() -> impl Strategy<Value = String> {
        "[a-z0-9.-]{0,253}"
    }

    fn epoch() -> impl Strategy<Value = Epoch> {
        (text(), any::<i32>()).prop_map(|(lease, number)| Epoch { lease: lease.into(), number })
    }

    fn nonce() -> impl Strategy<Value = Nonce> {
        any::<(u64, u64)>().prop_map(|(incarnation, sequence)| Nonce { incarnation, sequence })
    }

    fn incarnation() -> impl Strategy<Value = Incarnation> {
        any::<u64>().prop_map(Incarnation)
    }

    fn holder() -> impl Strategy<Value = Holder> {
        (text(), epoch()).prop_map(|(node, epoch)| Holder { node: NodeName(node.into()), epoch })
    }

    fn message() -> impl Strategy<Value = Message> {
        let period = any::<u32>().prop_map(|millis| Duration::from_millis(millis.into()));
        let why = prop_oneof![Just(Refusal::Unnamed), Just(Refusal::Voted), Just(Refusal::Dead)];
        prop_oneof![
            (epoch(), nonce(), proptest::option::of(incarnation()), period.clone(), nonce()).prop_map(
                |(epoch, round, witness, period, asked)| Message::Ask {
                    epoch,
                    round,
                    witness,
                    period,
                    asked
                }
            ),
            (epoch(), nonce(), incarnation(), nonce()).prop_map(|(epoch, round, witness, asked)| {
                Message::Promise { epoch, round, witness, asked }
            }),
            (epoch(), nonce(), incarnation(), why).prop_map(|(epoch, round, witness, why)| Message::Refuse {
                epoch,
                round,
                witness,
                why
            }),
            (holder(), nonce(), incarnation(), period, any::<bool>()).prop_map(
                |(holder, round, witness, period, binding)| {
                    Message::Canvass { holder, round, witness, period, binding }
                }
            ),
            (holder(), nonce(), incarnation(), any::<bool>()).prop_map(
                |(holder, round, witness, binding)| { Message::Vote { holder, round, witness, binding } }
            ),
            (text(), text(), any::<u64>(), proptest::option::of(any::<u64>())).prop_map(
                |(namespace, name, version, onto)| Message::Silent {
                    key: VipKey::new(namespace, name),
                    version,
                    onto
                }
            ),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn messages_read_back_and_the_longest_fits(message in message()) {
            let bytes = encode(&message);
            prop_assert!(bytes.len() <= MAX_PAYLOAD);
            prop_assert_eq!(decode(&bytes), Ok(message));
        }

        #[test]
        fn no_part_of_a_message_is_one_and_nothing_may_follow(message in message(), cut in any::<usize>()) {
            let mut bytes = encode(&message);
            let cut = cut % bytes.len();
            prop_assert!(decode(&bytes[..cut]).is_err());
            bytes.push(0);
            prop_assert_eq!(decode(&bytes), Err(MessageError::Long));
        }

        #[test]
        fn no_noise_breaks_it(mut noise in vec(any::<u8>(), 1..400), kind in 0_u8..8) {
            let _ = decode(&noise);
            noise[0] = VERSION;
            if let Some(second) = noise.get_mut(1) {
                *second = kind;
            }
            if let Ok(message) = decode(&noise) {
                prop_assert_eq!(encode(&message), noise, "one reading for each message");
            }
        }
    }

    #[test]
    fn what_is_not_known_says_so() {
        assert_eq!(decode(&[]), Err(MessageError::Short));
        assert_eq!(decode(&[2, 1]), Err(MessageError::Version(2)));
        assert_eq!(decode(&[1, 99]), Err(MessageError::Kind(99)));
    }
}
