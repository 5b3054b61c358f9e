//! In which line of a text a field is.
//!
//! The YAML reader tells no positions, but puts them on errors: so the way is gone again, and an error thrown at its
//! end.

use std::{collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::path::{Path, Step};

/// The line, from 1, of the value at `path` in the `nth` document of `text`, or of the nearest value on the way there.
#[must_use]
pub fn line(text: &str, nth: usize, path: &Path) -> usize {
    (0..=path.0.len()).rev().find_map(|length| exact(text, nth, &path.0[..length])).unwrap_or(1)
}

/// The line, from 1, of the second value that a key has in the `nth` document of `text`, if one has two.
#[must_use]
pub fn twice(text: &str, nth: usize) -> Option<usize> {
    end_of(text, nth, Twice)
}

fn exact(text: &str, nth: usize, steps: &[Step]) -> Option<usize> {
    end_of(text, nth, Walk(steps))
}

/// The line on which a way through the `nth` document ended.
fn end_of(text: &str, nth: usize, way: impl for<'de> DeserializeSeed<'de>) -> Option<usize> {
    let document = serde_yaml::Deserializer::from_str(text).nth(nth)?;
    let error = way.deserialize(document).err()?;
    let here = error.to_string().contains(HERE);
    error.location().filter(|_| here).map(|location| location.line())
}

const HERE: &str = "here is the end of the way";

/// Goes these steps, and fails at their end.
struct Walk<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { HERE } else { "something else" })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Err(A::Error::custom(HERE)) };
        while let Some(key) = map.next_key::<String>()? {
            if *step == Step::Key(key) {
                map.next_value_seed(Walk(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Err(A::Error::custom(HERE)) };
        let mut at = 0;
        loop {
            let there = if *step == Step::Index(at) {
                list.next_element_seed(Walk(rest))?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !there {
                return Ok(());
            }
            at += 1;
        }
    }
}

/// Goes everywhere, and fails at the second value of a key.
struct Twice;

impl<'de> DeserializeSeed<'de> for Twice {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Twice {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.insert(key) {
                map.next_value_seed(Self)?;
            } else {
                map.next_value_seed(Walk(&[]))?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# two documents
kind: A
---
kind: B
spec:
  addresses:
  - one
  - {two: 2}
  empty:
";

    #[test]
    fn values_are_found_and_else_what_is_nearest() {
        for (path, expected) in [
            ("", 4),
            ("kind", 4),
            ("spec", 6),
            ("spec.addresses[0]", 7),
            ("spec.addresses[1].two", 8),
            ("spec.addresses[1].none.deeper", 8),
            ("spec.addresses[5]", 7),
            ("spec.empty", 9),
            ("none", 4),
        ] {
            assert_eq!(line(TEXT, 1, &Path::parse(path)), expected, "{path}");
        }
    }
}
