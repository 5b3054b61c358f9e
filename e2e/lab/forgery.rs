//! What tests forge: an address as an agent of a former life would have left it, a claim as another host on the
//! wire would make it. Both by the project's own hand, so that they are what the real ones would be.

use super::{
    addresses::{CLIENT, DATA, in_subnet},
    cluster::Cluster,
    error::{Error, Result, chain},
    host::Host,
    namespaces,
    node::Node,
    run::until,
};
use ipnet::IpNet;
use std::{net::IpAddr, sync::Arc, time::Duration};
use virtualip::network::{Announcer, Kernel, Setup};

/// So long that it does not go by itself within a test, in seconds.
const LONG: u32 = 600;
/// The last digits of the stranger's address.
const DIGITS: u8 = 99;
/// How long an interface may take until it sends.
const UP: Duration = Duration::from_secs(5);

impl Node {
    /// Configures an address as an agent does.
    ///
    /// # Errors
    /// When the node is off, or its kernel refuses.
    pub fn add_marked(&self, interface: &str, address: IpNet) -> Result<()> {
        self.add_as(interface, address, Setup::leased(LONG))
    }

    /// Configures an address as the resource agent does for a Pacemaker on the node.
    ///
    /// # Errors
    /// As [`Node::add_marked`].
    pub fn add_permanent(&self, interface: &str, address: IpNet) -> Result<()> {
        self.add_as(interface, address, Setup::permanent())
    }

    fn add_as(&self, interface: &str, address: IpNet, setup: Setup) -> Result<()> {
        let name = interface.to_owned();
        namespaces::in_network(self.host.pid()?, move || {
            awaited(async {
                let kernel = Kernel::open().map_err(told)?;
                let links = kernel.links().await.map_err(told)?;
                let link = links.find(address.addr(), Some(&name)).map_err(told)?;
                kernel.add_as(link.index, address, &setup).await.map(drop).map_err(told)
            })
        })
    }
}

/// A host on the wire that is neither a node nor the client.
#[derive(Debug)]
pub struct Stranger(Arc<Host>);

impl Stranger {
    /// Its hardware address.
    pub const MAC: &str = "02:00:00:00:00:99";

    /// Plugs it in and waits until it is heard.
    ///
    /// # Errors
    /// When there is one already.
    pub fn plug(lab: &Cluster) -> Result<Self> {
        let own = [in_subnet(DATA[0], DIGITS)?];
        let host = lab.plug_host("stranger", Self::MAC, &own)?;
        let client = in_subnet(DATA[0], CLIENT)?.addr().to_string();
        until("the stranger reaches the client", UP, || {
            host.run(&["ping", "-c1", "-W1", &client]).map(Some)
        })?;
        Ok(Self(host))
    }

    /// Says once, unasked, that it has an address; when asked it says nothing.
    ///
    /// # Errors
    /// When nothing can be sent.
    pub fn claim(&self, address: IpAddr) -> Result<()> {
        namespaces::in_network(self.0.pid()?, move || {
            awaited(async {
                let links = Kernel::open().map_err(told)?.links().await.map_err(told)?;
                let link = links.iter().find(|link| link.name == "eth0");
                let link = link.ok_or_else(|| Error::other("the stranger has no eth0"))?;
                Announcer::open().and_then(|announcer| announcer.announce(link, address)).map_err(told)
            })
        })
    }
}

fn awaited<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(told)?.block_on(work)
}

fn told(error: impl std::error::Error + 'static) -> Error {
    Error::other(chain(&error))
}
