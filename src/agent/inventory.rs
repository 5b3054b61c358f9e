//! What an agent finds in the kernel when it starts. Pure.

use crate::network::Marked;

/// Those that an agent of a former life left behind.
pub fn agents(marked: Vec<Marked>) -> impl Iterator<Item = Marked> {
    marked.into_iter().filter(Marked::is_agents)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_permanent_address_is_not_of_an_agent() {
        let marked = |address: &str, seconds: Option<u64>| Marked {
            link: 2,
            address: address.parse().unwrap(),
            valid_for: seconds.map(Duration::from_secs),
            tentative: false,
        };
        let (agents_own, about_to_go) = (marked("192.0.2.1/32", Some(3)), marked("2001:db8::1/128", Some(0)));
        let pacemakers = marked("192.0.2.2/24", None);
        let found: Vec<Marked> = agents(vec![agents_own, pacemakers, about_to_go]).collect();
        assert_eq!(found, [agents_own, about_to_go]);
    }
}
