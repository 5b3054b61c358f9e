//! Asking whether somebody else has an address, before it is used for the first time.

use std::{net::IpAddr, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{Link, Listener, Mac, WireError, arp, ndp, packet_socket::Sender};

/// `PROBE_NUM` of RFC 5227.
const PROBES: u32 = 3;

/// Asks for `address` three times, evenly spread over `within`, and says who answered for it first, if anybody.
///
/// Asking claims nothing and changes no neighbour's cache: by ARP probes (RFC 5227, 2.1.1), or solicitations as in
/// duplicate address detection (RFC 4862, 5.4.2). RFC 5227 would wait for seconds; what is up answers at once.
///
/// # Errors
/// When the interface is not Ethernet, is down, or `CAP_NET_RAW` is missing.
pub async fn probe(link: &Link, address: IpAddr, within: Duration) -> Result<Option<Mac>, WireError> {
    let mac = link.mac.ok_or_else(|| WireError::NotEthernet { link: link.name.clone() })?;
    let frame = match address {
        IpAddr::V4(address) => arp::probe(mac, address),
        IpAddr::V6(address) => ndp::probe(mac, address),
    };
    let sender = Sender::open().map_err(WireError::Open)?;
    let mut listener = Listener::open(link, [])?;
    listener.heed(&[address].into())?;
    let start = Instant::now();
    for round in 1..=PROBES {
        let sent = sender.send(link.index, &frame);
        sent.map_err(|source| WireError::Send { link: link.name.clone(), source })?;
        let until = start + within * round / PROBES;
        while let Ok(claim) = timeout_at(until, listener.claim()).await {
            let claim = claim?;
            if claim.address == address {
                return Ok(Some(claim.mac));
            }
        }
    }
    Ok(None)
}
