//! The place for filters on an interface, which we leave as we found it.

use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    tc::{TcHandle, TcMessage},
};

use super::super::{Kernel, KernelError};

/// The clsact qdisc, and its two lists of filters (`TC_H_CLSACT`, `TC_H_MIN_INGRESS`, `TC_H_MIN_EGRESS`).
const CLSACT: u16 = 0xffff;
const MINORS: [u16; 2] = [0xfff2, 0xfff3];
const PARENT: u16 = 0xfff1;

/// Whether any filter is there, ours or of others.
pub(super) async fn in_use(kernel: &Kernel, link: u32) -> Result<bool, KernelError> {
    for minor in MINORS {
        let request = RouteNetlinkMessage::GetTrafficFilter(at(link, CLSACT, minor));
        let pick = |message| matches!(message, RouteNetlinkMessage::NewTrafficFilter(_)).then_some(());
        if !kernel.dump("filters", request, pick).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes it, with all that is in it.
pub(super) async fn remove(kernel: &Kernel, link: u32) -> Result<(), KernelError> {
    let mut request = at(link, CLSACT, PARENT);
    request.header.handle = TcHandle { major: CLSACT, minor: 0 };
    let removed = kernel.change(RouteNetlinkMessage::DelQueueDiscipline(request), 0).await;
    removed.map_err(|source| KernelError::List { what: "qdiscs", source })
}

fn at(link: u32, major: u16, minor: u16) -> TcMessage {
    let mut message = TcMessage::with_index(i32::try_from(link).unwrap_or_default());
    message.header.parent = TcHandle { major, minor };
    message
}
