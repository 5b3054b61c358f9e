//! Small helpers for what people read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// Joins at most `most` parts, and says how many more there are.
pub fn join_up_to(most: usize, parts: impl IntoIterator<Item = String>, between: &str) -> String {
    let parts: Vec<_> = parts.into_iter().collect();
    let shown = parts.get(..most).unwrap_or(&parts).join(between);
    match parts.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// An error with its causes, in one line. A cause that the text before has word for word already is left out: libraries
/// like to repeat their sources.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The time without its fraction of a second.
pub fn whole_second(time: &Time) -> Time {
    Time(Timestamp::from_second(time.0.as_second()).unwrap_or(time.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_end_in_a_number() {
        let parts = |count: u32| (1..=count).map(|n| n.to_string());
        assert_eq!(join_up_to(3, parts(3), ", "), "1, 2, 3");
        assert_eq!(join_up_to(3, parts(5), ", "), "1, 2, 3 and 2 more");
        assert_eq!(join_up_to(3, parts(0), ", "), "");
    }
}
