//! The connection over which this room asks the kernel and changes its addresses.

use std::{io, sync::Arc, time::Duration};

use futures::StreamExt;
use nix::{errno::Errno, sys::utsname::uname};
use rtnetlink::{
    Handle, new_connection, new_connection_with_strict_check,
    packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        address::AddressMessage,
        link::{LinkAttribute, LinkExtentMask, LinkMessage},
    },
};
use tokio::{sync::Mutex, time::sleep};

use super::{Link, Links, Marked, batch::Batch, mark::Mark, message, message::Configured, request};

/// Lists are asked for again so often when the kernel says that they changed in between.
const DUMP_TRIES: usize = 32;

/// What is left of a list that nobody waits for is read within this time.
const UNREAD: Duration = Duration::from_millis(1);

/// A handle to the kernel's interfaces and addresses; cheap to clone.
///
/// It speaks about the network namespace of the thread that opened it, for ever. A call whose future is dropped may
/// still take effect: who must know the outcome waits for it.
#[derive(Debug, Clone)]
pub struct Kernel {
    handle: Handle,
    /// The kernel writes one list at a time for a connection, and refuses to begin another (`EBUSY`).
    listing: Arc<Mutex<()>>,
    /// For renewals and removals: a [`super::Monitor`] may be deaf to what comes by it.
    pub(super) batch: Arc<Batch>,
    /// For one change at a time, of which the monitor hears.
    single: Arc<Batch>,
    pub(super) mark: Mark,
}

/// The kernel could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No connection.
    #[error("cannot open a netlink connection")]
    Open(#[source] io::Error),
    /// No answer, or none that helps.
    #[error("cannot list the {what} of this node")]
    List {
        /// What was asked for.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Addresses were to be changed, and some may have been.
    #[error("the kernel did not say what became of the addresses to {verb}")]
    Unanswered {
        /// What was tried.
        verb: &'static str,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// An interface did not go up, or down.
    #[error("cannot set the interface with index {link} {state}")]
    Switch {
        /// "up" or "down".
        state: &'static str,
        /// The interface's index.
        link: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Kernel {
    /// Opens a connection and starts the task that serves it, which ends with the last handle.
    ///
    /// # Errors
    /// When there is no netlink here. Must be called within a tokio runtime.
    pub fn open() -> Result<Self, KernelError> {
        // Without the strict check (before Linux 4.20) lists are only longer: what comes is filtered here as well.
        let (mut connection, handle, unsolicited) =
            new_connection_with_strict_check().or_else(|_| new_connection()).map_err(KernelError::Open)?;
        drop(unsolicited);
        // So that an answer can be told from a connection that ended.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        tokio::spawn(connection);
        let open = || Batch::open().map(Arc::new).map_err(KernelError::Open);
        Ok(Self { handle, listing: Arc::default(), batch: open()?, single: open()?, mark: running_mark()? })
    }

    /// All interfaces with the addresses that are not ours.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn links(&self) -> Result<Links, KernelError> {
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let pick = |message| match message {
            RouteNetlinkMessage::NewLink(link) => message::link(&link),
            _ => None,
        };
        let mut links = self.dump("interfaces", RouteNetlinkMessage::GetLink(request), pick).await?;
        let addresses = self.addresses(None).await?;
        let (ignore, announce) = (of_all("arp_ignore"), of_all("arp_announce"));
        for link in &mut links {
            let own = addresses.iter().filter(|address| address.link == link.index && !address.marked);
            link.addresses = own.map(|address| address.subnet).collect();
            link.arp_ignore = link.arp_ignore.max(ignore);
            link.arp_announce = link.arp_announce.max(announce);
        }
        Ok(Links::new(links))
    }

    /// All addresses that carry our mark, from this life of the agent or an earlier one.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn marked(&self) -> Result<Vec<Marked>, KernelError> {
        let addresses = self.addresses(None).await?;
        Ok(addresses.iter().filter(|address| address.marked).map(Configured::marked).collect())
    }

    /// Whether this kernel keeps our mark on every address (since 5.18). Where it does not, only IPv4 addresses whose
    /// label ends with [`super::LABEL_SUFFIX`] are known again.
    #[must_use]
    pub fn marks_any_label(&self) -> bool {
        self.mark == Mark::Protocol
    }

    /// Sets an interface up; its carrier may come later.
    ///
    /// # Errors
    /// When the kernel refuses, or there is no such interface.
    pub async fn bring_up(&self, link: u32) -> Result<(), KernelError> {
        self.switch(link, true).await
    }

    /// Sets an interface down again.
    ///
    /// # Errors
    /// When the kernel refuses, or there is no such interface.
    pub async fn bring_down(&self, link: u32) -> Result<(), KernelError> {
        self.switch(link, false).await
    }

    /// Sets up an interface that was found down and without an address, and notes on it that it was.
    ///
    /// # Errors
    /// When the kernel refuses, or there is no such interface.
    pub async fn prepare(&self, link: u32) -> Result<(), KernelError> {
        let message = request::flags_and_alias(link, true, message::PREPARED);
        let prepared = self.change(RouteNetlinkMessage::SetLink(message), 0).await;
        prepared.map_err(|source| KernelError::Switch { state: "up", link, source })
    }

    /// Leaves an interface that was prepared as it was found.
    ///
    /// # Errors
    /// When the kernel refuses. That the interface has gone is no error.
    pub async fn leave_as_found(&self, link: u32) -> Result<(), KernelError> {
        let message = request::flags_and_alias(link, false, "");
        match self.change(RouteNetlinkMessage::SetLink(message), 0).await {
            Err(source) if !no_device(&source) => Err(KernelError::Switch { state: "down", link, source }),
            _ => Ok(()),
        }
    }

    async fn switch(&self, link: u32, up: bool) -> Result<(), KernelError> {
        let state = if up { "up" } else { "down" };
        let switched = self.change(RouteNetlinkMessage::SetLink(request::flags(link, up)), 0).await;
        switched.map_err(|source| KernelError::Switch { state, link, source })
    }

    /// All addresses, or those of one interface: none if it has gone.
    pub(super) async fn addresses(&self, link: Option<u32>) -> Result<Vec<Configured>, KernelError> {
        let mut request = AddressMessage::default();
        request.header.index = link.unwrap_or_default();
        let mark = self.mark;
        let pick = move |message| match message {
            RouteNetlinkMessage::NewAddress(address) => Configured::read(&address, mark),
            _ => None,
        };
        match self.dump("addresses", RouteNetlinkMessage::GetAddress(request), pick).await {
            Ok(mut addresses) => {
                addresses.retain(|address| link.is_none_or(|link| link == address.link));
                Ok(addresses)
            }
            Err(KernelError::List { source, .. }) if no_device(&source) && link.is_some() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// One interface without its addresses; none if it is gone.
    pub(super) async fn link(&self, index: u32) -> Result<Option<Link>, KernelError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        let failed = |source| KernelError::List { what: "interfaces", source };
        let mut answers = self.ask(RouteNetlinkMessage::GetLink(request), 0).map_err(failed)?;
        while let Some(answer) = answers.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    return Ok(message::link(&link));
                }
                NetlinkPayload::Error(error) => {
                    let error = error.to_io();
                    return if no_device(&error) { Ok(None) } else { Err(failed(error)) };
                }
                _ => {}
            }
        }
        Err(failed(ended()))
    }

    /// A change, done when this returns.
    pub(super) async fn change(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.single.change([message], flags).await?.pop().unwrap_or_else(|| Err(ended()))
    }

    /// A whole list: asked for again when it changed while the kernel wrote it, since it may then miss something.
    pub(super) async fn dump<T>(
        &self,
        what: &'static str,
        request: RouteNetlinkMessage,
        pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let _turn = self.listing.lock().await;
        for _ in 0..DUMP_TRIES {
            match self.dump_once(request.clone(), &pick).await {
                Ok(Some(list)) => return Ok(list),
                Ok(None) => {}
                // Whoever had the turn before has not waited for the end of the list.
                Err(source) if source.raw_os_error() == Some(Errno::EBUSY as i32) => sleep(UNREAD).await,
                Err(source) => return Err(KernelError::List { what, source }),
            }
        }
        let source = io::Error::other(format!("the list changed under each of {DUMP_TRIES} attempts"));
        Err(KernelError::List { what, source })
    }

    async fn dump_once<T>(
        &self,
        request: RouteNetlinkMessage,
        pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        let mut answers = self.ask(request, NLM_F_DUMP)?;
        let (mut list, mut whole) = (Vec::new(), true);
        while let Some(answer) = answers.next().await {
            whole &= answer.header.flags & NLM_F_DUMP_INTR == 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => list.extend(pick(message)),
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(-done.code));
                }
                NetlinkPayload::Done(_) => return Ok(whole.then_some(list)),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
        Err(ended())
    }

    fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<impl StreamExt<Item = NetlinkMessage<RouteNetlinkMessage>> + Unpin + use<>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        self.handle.clone().request(request).map_err(|_| ended())
    }
}

/// The mark that the running kernel keeps.
pub(super) fn running_mark() -> Result<Mark, KernelError> {
    let system = uname().map_err(|errno| KernelError::Open(errno.into()))?;
    Ok(Mark::of_release(&system.release().to_string_lossy()))
}

/// A setting of all interfaces, which netlink does not tell. In force is the larger of it and the interface's own
/// (`ip-sysctl.rst`).
fn of_all(setting: &str) -> u8 {
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/all/{setting}"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

fn no_device(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ENODEV as i32)
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the netlink connection has ended")
}
