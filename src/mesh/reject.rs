//! Why a datagram was not taken.

/// Why a datagram was not taken. None of these is answered, except that a peer whose session is unknown is greeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Reject {
    /// Longer than any of ours: not even looked at.
    #[error("it is too long")]
    Oversized,
    /// Not built as ours are, or of another version.
    #[error("it is none of ours")]
    Malformed,
    /// Made with a key that this agent does not have.
    #[error("its key is not known")]
    UnknownKey,
    /// Its authentication code is wrong.
    #[error("its authentication code is wrong")]
    Forged,
    /// A greeting meant for another node, or from a node that is not known.
    #[error("it is not between this node and a peer")]
    Stranger,
    /// Of a session that has ended, or of a former life of this agent.
    #[error("its session is over")]
    Stale,
    /// It was taken before, or is older than what is remembered.
    #[error("it was seen before")]
    Replayed,
}

impl Reject {
    /// All of them, in the order of [`Reject::index`].
    pub const ALL: [Self; 7] = [
        Self::Oversized,
        Self::Malformed,
        Self::UnknownKey,
        Self::Forged,
        Self::Stranger,
        Self::Stale,
        Self::Replayed,
    ];

    /// Its place in [`Reject::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Stranger => "stranger",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place_and_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Reject::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reject::ALL.len());
        assert!(Reject::ALL.iter().enumerate().all(|(index, reason)| reason.index() == index));
    }
}
