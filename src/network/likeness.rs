//! Whether an address is configured as it should be, as far as the kernel does not change that when it is renewed.

use super::{Kernel, KernelError, Spot, mark::Mark, message::Configured, request::configuration};

impl Kernel {
    /// Those of these addresses of ours that are there, but have another label, broadcast address or route than they
    /// should: the kernel keeps the ones it has when an IPv4 address is renewed, so they have to be added anew.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn unlike(&self, wanted: &[Spot]) -> Result<Vec<Spot>, KernelError> {
        let (present, links) = (self.addresses(None).await?, self.links().await?);
        let name = |index| links.by_index(index).map(|link| link.name.as_str());
        let unlike = |spot: &&Spot| {
            let there = present.iter().find(|there| there.link == spot.link && there.address == spot.net);
            let differs = |there: &Configured| Some(there.differs(spot, name(spot.link)?, self.mark));
            there.and_then(differs).unwrap_or_default()
        };
        Ok(wanted.iter().filter(unlike).cloned().collect())
    }
}

impl Configured {
    fn differs(&self, spot: &Spot, name: &str, mark: Mark) -> bool {
        let message = configuration(name, mark, spot.link, spot.net, &spot.setup);
        // What an IPv6 address has of all that follows from its setup changes with a renewal.
        spot.net.addr().is_ipv4()
            && Self::read(&message, mark).is_some_and(|wanted| {
                let label = wanted.label.unwrap_or_else(|| name.to_owned());
                self.label.as_ref() != Some(&label)
                    || self.broadcast != wanted.broadcast
                    || self.prefix_route != wanted.prefix_route
            })
    }
}
