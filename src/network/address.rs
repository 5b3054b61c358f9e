//! Adding, renewing and removing our addresses, and never anybody else's.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::IpAddr,
};

use futures::future::join_all;
use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::{
    packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE},
    packet_route::{RouteNetlinkMessage, address::AddressAttribute},
};

use super::{
    Added, AddressError, Kernel, KernelError, Removed, Setup, Spot,
    message::Configured,
    request::{bare, configuration},
};

/// What is configured, and the names of the interfaces that matter: one look serves many changes.
#[derive(Debug)]
pub struct Look {
    present: Present,
    names: BTreeMap<u32, String>,
}

impl Look {
    /// Whether it was made for the interfaces of these, among others.
    #[must_use]
    pub fn covers(&self, spots: &[Spot]) -> bool {
        spots.iter().all(|spot| self.names.contains_key(&spot.link))
    }

    /// Whether this node had the address nowhere.
    #[must_use]
    pub fn is_free(&self, address: IpAddr) -> bool {
        self.present.anywhere(address).is_empty()
    }
}

/// What is configured, wherever and with whatever prefix length.
#[derive(Debug)]
struct Present(HashMap<IpAddr, Vec<Configured>>);

impl Present {
    fn of(addresses: Vec<Configured>) -> Self {
        let mut present: HashMap<_, Vec<_>> = HashMap::new();
        for there in addresses {
            present.entry(there.address.addr()).or_default().push(there);
        }
        Self(present)
    }

    fn anywhere(&self, address: IpAddr) -> &[Configured] {
        self.0.get(&address).map_or(&[], Vec::as_slice)
    }

    fn exactly(&self, link: u32, address: IpNet) -> Option<&Configured> {
        self.anywhere(address.addr()).iter().find(|there| there.link == link && there.address == address)
    }
}

/// A change to make if nothing speaks against it, else what became of it without.
type Planned<T> = Result<RouteNetlinkMessage, Result<T, AddressError>>;

impl Kernel {
    /// Gives the interface `link` an address for `lifetime` whole seconds (at least 1), after which the kernel
    /// removes it. If it is there with our mark it is renewed.
    ///
    /// IPv6 addresses are added without duplicate address detection, and with a preferred lifetime of 0 so that they
    /// are never chosen as a source; host addresses (/32, /128) without a route to their prefix.
    ///
    /// An IPv4 address with a shorter prefix, if it is the first of its subnet on the interface, becomes the primary
    /// one there: when it goes, the kernel takes later addresses of that subnet along, unless `promote_secondaries`
    /// is set. Host addresses are free of that.
    ///
    /// # Errors
    /// [`AddressError::Foreign`] when the node has it from somebody else, with any prefix length, on this interface
    /// or on another that answers for it; nothing is changed then. A permanent address with our mark is the resource
    /// agent's (`virtualip ocf`), and as foreign.
    pub async fn add(&self, link: u32, address: IpNet, lifetime: u32) -> Result<Added, AddressError> {
        self.add_as(link, address, &Setup::leased(lifetime)).await
    }

    /// As [`Kernel::add`], configured as `setup` says. Of an address that is there with our mark only the lifetimes
    /// change.
    ///
    /// # Errors
    /// As [`Kernel::add`]. To a permanent one, those with a lifetime are foreign: an agent's.
    pub async fn add_as(&self, link: u32, address: IpNet, setup: &Setup) -> Result<Added, AddressError> {
        let look = self.look(&[Spot { link, net: address, setup: setup.clone() }]).await?;
        self.add_after(&look, link, address, setup).await
    }

    /// As [`Kernel::add`], for many at the price of one look at what is there; outcomes in the order of `wanted`.
    ///
    /// # Errors
    /// When what is there could not be looked at; nothing is changed then.
    pub async fn add_all(
        &self,
        wanted: &[Spot],
        lifetime: u32,
    ) -> Result<Vec<Result<Added, AddressError>>, KernelError> {
        let look = self.look(wanted).await?;
        Ok(self.add_all_after(&look, wanted, lifetime).await)
    }

    /// The same after a look that was made before, since which nothing of it has changed.
    pub async fn add_all_after(
        &self,
        look: &Look,
        wanted: &[Spot],
        lifetime: u32,
    ) -> Vec<Result<Added, AddressError>> {
        let add = async |spot: &Spot| {
            self.add_after(look, spot.link, spot.net, &spot.setup.lasting(lifetime)).await
        };
        join_all(wanted.iter().map(add)).await
    }

    /// Lets an address with our mark live for `lifetime` whole seconds (at least 1) from now.
    ///
    /// # Errors
    /// [`AddressError::Missing`] when it is not there (any more), [`AddressError::Foreign`] when it has lost our
    /// mark; nothing is changed then.
    pub async fn renew(&self, link: u32, address: IpNet, lifetime: u32) -> Result<(), AddressError> {
        let spot = Spot { link, net: address, setup: Setup::leased(lifetime) };
        self.renew_all(&[spot], lifetime).await?.pop().unwrap_or(Ok(()))
    }

    /// As [`Kernel::renew`], for many at the price of one look at what is there; outcomes in the order of `ours`.
    ///
    /// # Errors
    /// When what is there could not be looked at, and nothing is changed; or when it is not known what was changed.
    pub async fn renew_all(
        &self,
        ours: &[Spot],
        lifetime: u32,
    ) -> Result<Vec<Result<(), AddressError>>, KernelError> {
        let look = self.look(ours).await?;
        let mut planned = Vec::with_capacity(ours.len());
        for spot in ours {
            planned.push(self.renewal(&look, spot, lifetime).await);
        }
        let answers = self.batch.change(changes(&planned), NLM_F_REPLACE).await;
        let mut answers =
            answers.map_err(|source| KernelError::Unanswered { verb: "renew", source })?.into_iter();
        let outcome = |(spot, planned): (&Spot, Planned<()>)| match planned {
            Err(outcome) => outcome,
            Ok(_) => answers.next().unwrap_or(Ok(())).map_err(|source| AddressError::Refused {
                verb: "renew",
                address: spot.net,
                link: spot.link,
                source,
            }),
        };
        Ok(ours.iter().zip(planned).map(outcome).collect())
    }

    /// Takes an address with our mark from an interface; when this returns the node answers for it no more.
    ///
    /// # Errors
    /// [`AddressError::Foreign`] when it does not carry our mark: it stays. That it has gone is no error.
    pub async fn remove(&self, link: u32, address: IpNet) -> Result<Removed, AddressError> {
        self.remove_all(&[(link, address)]).await?.pop().unwrap_or(Ok(Removed::Before))
    }

    /// As [`Kernel::remove`], for many at the price of one look at what is there; outcomes in the order of `ours`.
    ///
    /// # Errors
    /// When what is there could not be looked at, and nothing is changed; or when it is not known what was changed.
    pub async fn remove_all(
        &self,
        ours: &[(u32, IpNet)],
    ) -> Result<Vec<Result<Removed, AddressError>>, KernelError> {
        let present = Present::of(self.addresses(None).await?);
        let mut planned = Vec::with_capacity(ours.len());
        for (link, address) in ours {
            planned.push(self.removal(&present, *link, *address).await);
        }
        let answers = self.batch.change(changes(&planned), 0).await;
        let mut answers =
            answers.map_err(|source| KernelError::Unanswered { verb: "remove", source })?.into_iter();
        let outcome = |((link, address), planned): (&(u32, IpNet), Planned<Removed>)| match planned {
            Err(outcome) => outcome,
            Ok(_) => removed(*link, *address, answers.next().unwrap_or(Ok(()))),
        };
        Ok(ours.iter().zip(planned).map(outcome).collect())
    }

    /// What there is, as far as it matters to these.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn look(&self, wanted: &[Spot]) -> Result<Look, KernelError> {
        let mut names = BTreeMap::new();
        for index in wanted.iter().map(|spot| spot.link) {
            if !names.contains_key(&index)
                && let Some(link) = self.link(index).await?
            {
                names.insert(index, link.name);
            }
        }
        Ok(Look { present: Present::of(self.addresses(None).await?), names })
    }

    async fn add_after(
        &self,
        look: &Look,
        link: u32,
        address: IpNet,
        setup: &Setup,
    ) -> Result<Added, AddressError> {
        let name = look.names.get(&link).ok_or(AddressError::NoLink { address, link })?;
        for there in look.present.anywhere(address.addr()) {
            let ours = there.kept_like(setup);
            if !ours && (there.link == link || self.answers(there.link).await?) {
                return Err(self.foreign(there).await);
            }
            // Of one IPv6 address an interface has one prefix length only: ours may have had another before.
            if ours && there.link == link && there.address != address && address.addr().is_ipv6() {
                self.delete(there).await?;
            }
        }
        if look.present.exactly(link, address).is_some() {
            self.replace(name, link, address, setup).await?;
            return Ok(Added::Renewed);
        }
        let message = configuration(name, self.mark, link, address, setup);
        match self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL).await {
            Ok(()) => Ok(Added::New),
            Err(error) if is(&error, Errno::EEXIST) => self.settle(name, link, address, setup).await,
            Err(error) if is(&error, Errno::ENODEV) => Err(AddressError::NoLink { address, link }),
            // EPERM would be a missing capability.
            Err(error) if is(&error, Errno::EACCES) && address.addr().is_ipv6() => {
                Err(AddressError::Ipv6Disabled { address, link: name.clone() })
            }
            Err(source) => Err(AddressError::Refused { verb: "add", address, link, source }),
        }
    }

    /// It was not there when we looked, but when we added it: whose is it?
    async fn settle(
        &self,
        name: &str,
        link: u32,
        address: IpNet,
        setup: &Setup,
    ) -> Result<Added, AddressError> {
        let present = self.addresses(Some(link)).await?;
        match present.iter().find(|there| there.address.addr() == address.addr()) {
            Some(there) if there.kept_like(setup) && there.address == address => {
                self.replace(name, link, address, setup).await?;
                Ok(Added::Renewed)
            }
            Some(there) if !there.kept_like(setup) => Err(self.foreign(there).await),
            _ => {
                let source = io::Error::from(Errno::EEXIST);
                Err(AddressError::Refused { verb: "add", address, link, source })
            }
        }
    }

    async fn renewal(&self, look: &Look, spot: &Spot, lifetime: u32) -> Planned<()> {
        let (link, address) = (spot.link, spot.net);
        let name = look.names.get(&link).ok_or(Err(AddressError::NoLink { address, link }))?;
        let setup = spot.setup.lasting(lifetime);
        match look.present.exactly(link, address) {
            Some(there) if there.kept_like(&setup) => Ok(self.replacement(name, link, address, &setup)),
            Some(there) => Err(Err(self.foreign(there).await)),
            None => Err(Err(AddressError::Missing { address, link })),
        }
    }

    async fn removal(&self, present: &Present, link: u32, address: IpNet) -> Planned<Removed> {
        match present.exactly(link, address) {
            Some(there) if there.marked => Ok(deletion(there)),
            Some(there) => Err(Err(self.foreign(there).await)),
            None => Err(Ok(Removed::Before)),
        }
    }

    /// Only for what was just seen to be ours: the kernel would as readily turn an administrator's permanent address
    /// into an expiring one.
    fn replacement(&self, name: &str, link: u32, address: IpNet, setup: &Setup) -> RouteNetlinkMessage {
        RouteNetlinkMessage::NewAddress(configuration(name, self.mark, link, address, setup))
    }

    async fn replace(
        &self,
        name: &str,
        link: u32,
        address: IpNet,
        setup: &Setup,
    ) -> Result<(), AddressError> {
        let replaced = self.change(self.replacement(name, link, address, setup), NLM_F_REPLACE).await;
        replaced.map_err(|source| AddressError::Refused { verb: "renew", address, link, source })
    }

    async fn delete(&self, there: &Configured) -> Result<Removed, AddressError> {
        removed(there.link, there.address, self.change(deletion(there), 0).await)
    }

    /// Whether anybody outside asks on that interface. What kube-proxy and others put on a loopback or dummy is
    /// there to be received, not to be found, and disturbs nobody.
    async fn answers(&self, link: u32) -> Result<bool, KernelError> {
        Ok(self.link(link).await?.is_some_and(|link| !link.loopback && !link.no_arp))
    }

    async fn foreign(&self, there: &Configured) -> AddressError {
        let name = self.link(there.link).await.ok().flatten().map(|link| link.name);
        AddressError::Foreign { address: there.address, link: name.unwrap_or_else(|| there.link.to_string()) }
    }
}

/// Only for what was just seen to be ours. The label, if any, goes along: the kernel then spares an IPv4 address
/// that somebody put in the place of ours in between.
fn deletion(there: &Configured) -> RouteNetlinkMessage {
    let mut message = bare(there.link, there.address);
    message.attributes.extend(there.label.clone().map(AddressAttribute::Label));
    RouteNetlinkMessage::DelAddress(message)
}

fn removed(link: u32, address: IpNet, answer: io::Result<()>) -> Result<Removed, AddressError> {
    match answer {
        Ok(()) => Ok(Removed::Now),
        Err(error) if is(&error, Errno::EADDRNOTAVAIL) || is(&error, Errno::ENODEV) => Ok(Removed::Before),
        Err(source) => Err(AddressError::Refused { verb: "remove", address, link, source }),
    }
}

fn changes<T>(planned: &[Planned<T>]) -> impl Iterator<Item = RouteNetlinkMessage> {
    planned.iter().filter_map(|planned| planned.as_ref().ok().cloned())
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}
