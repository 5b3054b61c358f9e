//! Durations as people write them: `3s`, `500ms`, `2m`, `24h`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number with a unit, ms, s, m or h, as in 3s or 500ms")]
pub struct DurationError;

/// Reads a duration: a whole number followed by `ms`, `s`, `m` or `h`.
///
/// # Errors
/// [`DurationError`] for every other text.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(DurationError),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or(DurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        assert_eq!(parse("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse("24h"), Ok(Duration::from_hours(24)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in
            ["", "3", "s", "-3s", "1.5s", "3 s", "3d", "99999999999999999999s", "18446744073709551615m"]
        {
            assert_eq!(parse(text), Err(DurationError), "{text}");
        }
    }
}
