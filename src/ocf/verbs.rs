//! What the actions do to the kernel.

use std::time::Duration;

use super::{OcfError, Parameters, Place, Subject, announce, carrier};
use crate::network::{Kernel, LABEL_MAX, Label, Links, Marked, Removed, Setup, Unfit, is_link_local, probe};

/// How long others have to say that the address is theirs; a kernel answers at once.
const PROBE: Duration = Duration::from_millis(200);

/// What `start` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// The address is here now.
    Now,
    /// It was already.
    Before,
}

/// What `monitor` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Monitored {
    /// The address is here, and can be reached. On which interface.
    Running(Box<Place>),
    /// It is not.
    Stopped,
    /// It is here, but cannot be reached, or is not where it should be.
    Broken(String),
}

/// Checks what can be known without changing anything: where the address would go.
///
/// # Errors
/// What `start` would fail with.
pub async fn validate(kernel: &Kernel, parameters: &Parameters) -> Result<Place, OcfError> {
    let place = Place::find(&kernel.links().await?, parameters)?;
    let label = label(&place, parameters)?;
    let recognisable = parameters.subject.ip.is_ipv4() && label == Label::Plain;
    if kernel.marks_any_label() || recognisable { Ok(place) } else { Err(OcfError::Unmarkable) }
}

/// Gives the address to its interface, which is set up if it was down, and announces it.
///
/// # Errors
/// Why not; the address is then not here, and the interface as it was.
pub async fn start(kernel: &Kernel, parameters: &Parameters) -> Result<Started, OcfError> {
    let place = validate(kernel, parameters).await?;
    let links = kernel.links().await?;
    let usable = place.link.up && (place.link.carrier || place.link.loopback || !parameters.carrier);
    let mut before = false;
    for there in ours(kernel, &parameters.subject, &links).await? {
        if there.link == place.link.index && there.address == place.net && usable {
            before = true;
        } else {
            kernel.remove(there.link, there.address).await?;
        }
    }
    if before {
        return Ok(Started::Before);
    }
    let begun = begin(kernel, &links, &place, parameters).await;
    if begun.is_err() && !place.link.up {
        kernel.bring_down(place.link.index).await?;
    }
    begun.map(|()| Started::Now)
}

async fn begin(
    kernel: &Kernel,
    links: &Links,
    place: &Place,
    parameters: &Parameters,
) -> Result<(), OcfError> {
    let link = carrier::ready(kernel, &place.link, parameters.carrier).await?;
    let place = Place { link, net: place.net };
    if parameters.probe && place.is_heard() {
        unclaimed(&place, links).await?;
    }
    let setup = Setup {
        lifetime: None,
        preferred: parameters.preferred,
        label: label(&place, parameters)?,
        broadcast: parameters.broadcast,
        prefix_route: parameters.prefix_route,
        detect: false,
    };
    kernel.add_as(place.link.index, place.net, &setup).await?;
    let announced = announce(kernel, &place, parameters.count, parameters).await;
    if announced.is_err() {
        kernel.remove(place.link.index, place.net).await?;
    }
    announced
}

/// Nobody else answers for the address. An answer from an interface of our own is none.
async fn unclaimed(place: &Place, links: &Links) -> Result<(), OcfError> {
    let address = place.net.addr();
    match probe(&place.link, address, PROBE).await? {
        Some(mac) if !links.iter().any(|link| link.mac == Some(mac)) => {
            Err(OcfError::Claimed { address, mac, nic: place.link.name.clone() })
        }
        _ => Ok(()),
    }
}

/// Takes the address away wherever it is with our mark, whatever became of interface, carrier or prefix.
///
/// # Errors
/// When it may still be here.
pub async fn stop(kernel: &Kernel, subject: &Subject) -> Result<Removed, OcfError> {
    let links = kernel.links().await?;
    let mut removed = Removed::Before;
    for there in ours(kernel, subject, &links).await? {
        kernel.remove(there.link, there.address).await?;
        removed = Removed::Now;
    }
    Ok(removed)
}

/// Looks whether the address is here, on its interface, and can be reached.
///
/// # Errors
/// When the interface that was named is not there, or the kernel cannot be asked.
pub async fn monitor(kernel: &Kernel, subject: &Subject, carrier: bool) -> Result<Monitored, OcfError> {
    let links = kernel.links().await?;
    let there = ours(kernel, subject, &links).await?;
    if let Some(nic) = &subject.nic
        && links.by_name(nic).is_none()
    {
        return Err(OcfError::NoNic { name: nic.clone() });
    }
    let Some(there) = there.first() else { return Ok(Monitored::Stopped) };
    let Some(link) = links.by_index(there.link) else { return Ok(Monitored::Stopped) };
    let elsewhere = subject.nic.as_ref().is_some_and(|nic| *nic != link.name);
    let unfit = if elsewhere {
        Some(format!("{} is on interface {} instead", there.address, link.name))
    } else if !link.up {
        Some(Unfit::Down { name: link.name.clone() }.to_string())
    } else if carrier && !link.carrier && !link.loopback {
        Some(Unfit::NoCarrier { name: link.name.clone() }.to_string())
    } else {
        None
    };
    let place = || Box::new(Place { link: link.clone(), net: there.address });
    Ok(unfit.map_or_else(|| Monitored::Running(place()), Monitored::Broken))
}

/// The address with our mark; more than one only if somebody changed prefix or interface. A link-local address on
/// another interface is another address, and one with a lifetime belongs to an agent of a cluster on this host.
pub(super) async fn ours(kernel: &Kernel, subject: &Subject, links: &Links) -> Result<Vec<Marked>, OcfError> {
    let mut marked = kernel.marked().await?;
    marked.retain(|there| there.address.addr() == subject.ip && !there.is_agents());
    if let Some(nic) = subject.nic.as_ref().filter(|_| is_link_local(subject.ip)) {
        marked.retain(|there| links.by_index(there.link).is_some_and(|link| link.name == *nic));
    }
    Ok(marked)
}

fn label(place: &Place, parameters: &Parameters) -> Result<Label, OcfError> {
    let Some(label) = &parameters.label else { return Ok(Label::Plain) };
    let label = format!("{}:{label}", place.link.name);
    if label.len() > LABEL_MAX { Err(OcfError::Label { label }) } else { Ok(Label::Named(label)) }
}
