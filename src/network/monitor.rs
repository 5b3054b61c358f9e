//! What changes on this node, as it changes.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt, Stream, StreamExt, channel::mpsc::UnboundedReceiver};
use ipnet::IpNet;
use rtnetlink::{
    MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{AddressFamily, RouteNetlinkMessage, link::LinkMessage},
    proto::Connection,
    sys::{AsyncSocket, SocketAddr},
};
use socket2::{SockFilter, SockRef};

use super::{
    Kernel, KernelError, Link, filter,
    kernel::running_mark,
    mark::Mark,
    message::{self, Configured},
};

/// Room for some thousand changes while the agent does something else. It need not be granted: what does not fit
/// becomes a [`Change::Resync`].
const RECEIVE_BUFFER: usize = 4 << 20;

/// Something changed. What comes twice with nothing changed, as the renewal of an address does, is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An interface came, went or changed in a way that [`Link`] shows: ask for [`super::Kernel::links`].
    Links,
    /// An address is there; new, or with its mark changed by somebody.
    AddressSeen {
        /// The interface's index.
        link: u32,
        /// Address and prefix length.
        address: IpNet,
        /// Whether it carries our mark.
        marked: bool,
    },
    /// The kernel has found out that no other host has an IPv6 address of ours, and answers for it from now on.
    AddressUsable {
        /// The interface's index.
        link: u32,
        /// Address and prefix length.
        address: IpNet,
    },
    /// An address has gone, by whomever.
    AddressGone {
        /// The interface's index.
        link: u32,
        /// Address and prefix length.
        address: IpNet,
        /// Whether it carried our mark.
        marked: bool,
    },
    /// A filter of packets was taken from an interface, or the place for them: it may have been the fence.
    FilterGone,
    /// The kernel had more to say than we heard: list everything and compare.
    Resync,
}

/// A stream of [`Change`]s from the moment it was opened; it ends only when the kernel closes the connection.
///
/// Open it before the first listing, so that nothing falls between the two. It reads while it is polled; a slow
/// reader gets a [`Change::Resync`].
pub struct Monitor {
    connection: Option<Connection<RouteNetlinkMessage>>,
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    known: Known,
}

impl Monitor {
    /// Begins to listen, in the network namespace of this thread.
    ///
    /// # Errors
    /// When there is no netlink here. Must be called within a tokio runtime.
    pub fn open() -> Result<Self, KernelError> {
        Self::with_buffer(RECEIVE_BUFFER)
    }

    /// Lets the kernel keep to itself what `kernel` renews: of a thousand addresses that would be a thousand messages with
    /// no news in them. The renewals of IPv6 addresses are heard nevertheless, since the kernel does not say who caused them.
    pub fn deaf_to(&mut self, kernel: &Kernel) {
        let Some(connection) = &mut self.connection else { return };
        let filter = filter::all_but_new_addresses_by(kernel.batch.port()).map(SockFilter::from);
        // Without it there is only more to read.
        let _ = SockRef::from(connection.socket_mut().socket_ref()).attach_filter(&filter);
    }

    pub(super) fn with_buffer(bytes: usize) -> Result<Self, KernelError> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Tc,
        ];
        let (mut connection, handle, messages) =
            new_multicast_connection(&groups).map_err(KernelError::Open)?;
        drop(handle);
        set_buffer(connection.socket_mut().socket_ref(), bytes);
        Ok(Self { connection: Some(connection), messages, known: Known::new(running_mark()?) })
    }
}

/// Past the limit of `net.core.rmem_max` where we may (`CAP_NET_ADMIN`), else up to it.
fn set_buffer(socket: &rtnetlink::sys::Socket, bytes: usize) {
    use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
    if setsockopt(socket, RcvBufForce, &bytes).is_err() {
        let _ = socket.set_rx_buf_sz(bytes);
    }
}

impl Stream for Monitor {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        let this = &mut *self;
        // The connection hands on what it reads within this very call, so it goes first.
        if let Some(connection) = &mut this.connection
            && connection.poll_unpin(context).is_ready()
        {
            this.connection = None;
        }
        loop {
            if let Some(change) = this.known.changes.pop_front() {
                return Poll::Ready(Some(change));
            }
            match this.messages.poll_next_unpin(context) {
                Poll::Ready(Some((message, _))) => this.known.learn(message.payload),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What was told last about each thing, so that only news is told.
struct Known {
    mark: Mark,
    links: HashMap<u32, Link>,
    /// Whether each is marked, and whether it is tentative.
    addresses: HashMap<(u32, IpNet), (bool, bool)>,
    changes: VecDeque<Change>,
}

impl Known {
    fn new(mark: Mark) -> Self {
        Self { mark, links: HashMap::new(), addresses: HashMap::new(), changes: VecDeque::new() }
    }

    fn learn(&mut self, payload: NetlinkPayload<RouteNetlinkMessage>) {
        match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => {
                self.address(Configured::read(&address, self.mark).as_ref(), true);
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(address)) => {
                self.address(Configured::read(&address, self.mark).as_ref(), false);
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => self.link(&link, true),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => self.link(&link, false),
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::DelTrafficFilter(_) | RouteNetlinkMessage::DelQueueDiscipline(_),
            ) => self.once(Change::FilterGone),
            NetlinkPayload::Overrun(_) => {
                // What we knew may be wrong now, and wrong knowledge would swallow news.
                self.links.clear();
                self.addresses.clear();
                self.changes.clear();
                self.changes.push_back(Change::Resync);
            }
            _ => {}
        }
    }

    fn address(&mut self, configured: Option<&Configured>, there: bool) {
        let Some(&Configured { link, address, marked, tentative, .. }) = configured else { return };
        if there {
            let before = self.addresses.insert((link, address), (marked, tentative));
            if before.is_none_or(|(before, _)| before != marked) {
                self.changes.push_back(Change::AddressSeen { link, address, marked });
            }
            if marked && !tentative && before.is_some_and(|(_, before)| before) {
                self.changes.push_back(Change::AddressUsable { link, address });
            }
        } else {
            self.addresses.remove(&(link, address));
            self.changes.push_back(Change::AddressGone { link, address, marked });
        }
    }

    fn link(&mut self, message: &LinkMessage, there: bool) {
        // A bridge reports its ports under its own family; such a "deleted" is no deleted interface.
        if message.header.interface_family != AddressFamily::Unspec {
            return;
        }
        let Some(link) = message::link(message) else { return };
        let index = link.index;
        let news = if there {
            self.links.insert(index, link.clone()).is_none_or(|before| before != link)
        } else {
            self.addresses.retain(|(on, _), _| *on != index);
            self.links.remove(&index);
            true
        };
        if news {
            self.once(Change::Links);
        }
    }

    /// Several such in a row tell no more than one.
    fn once(&mut self, change: Change) {
        if self.changes.back() != Some(&change) {
            self.changes.push_back(change);
        }
    }
}
