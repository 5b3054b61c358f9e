//! The program on one interface: a filter before all others on the way out and on the way in.
//!
//! A clsact filter stays when the process that attached it ends, however that happens; a link (tcx) would go with it.

use std::mem;

use aya::programs::{
    Link, ProgramError, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions, TcError, TcHandle},
};
use nix::{errno::Errno, libc};

use super::{error::FenceError, program::Way};

/// Before everything else on the interface: what others let pass would not come to us.
const PRIORITY: u16 = 1;
/// By this our filters are known again: "vi".
const HANDLE: TcHandle = TcHandle::new(0, 0x7669);

/// Makes the place for filters; says whether there was none.
pub(super) fn make_place(link: &str) -> Result<bool, FenceError> {
    match tc::qdisc_add_clsact(link) {
        Ok(()) => Ok(true),
        Err(error) if refused(&error, Errno::EEXIST) => Ok(false),
        Err(source) => Err(FenceError::Qdisc { link: link.to_owned(), source: Box::new(source) }),
    }
}

/// Puts the program there, where it is not there yet.
pub(super) fn stand(program: &mut SchedClassifier, link: &str, way: Way) -> Result<(), FenceError> {
    let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
    match program.attach_with_options(link, way.into(), TcAttachOptions::Netlink(options)) {
        Ok(id) => leave(program, id),
        Err(ProgramError::TcError(error)) if refused(&error, Errno::EEXIST) => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(failed("put the fence on", link))
}

/// Puts this program in the place of the one that a former life left there. There is no moment without: the kernel
/// changes the filter in one step.
pub(super) fn replace(program: &mut SchedClassifier, link: &str, way: Way) -> Result<(), FenceError> {
    let failed = failed("renew the fence on", link);
    let old = SchedClassifierLink::attached(link, way.into(), PRIORITY, HANDLE, None);
    let old = old.map_err(|error| failed(TcError::IoError(error).into()))?;
    program.attach_to_link(old).and_then(|id| leave(program, id)).map_err(failed)
}

/// Takes it away. What is not there is fine.
pub(super) fn go(link: &str, way: Way) -> Result<(), FenceError> {
    let failed = failed("take the fence from", link);
    // Not by name: without CAP_PERFMON the library gives its filters none.
    let there = SchedClassifierLink::attached(link, way.into(), PRIORITY, HANDLE, None);
    match there.map_err(|error| failed(TcError::IoError(error).into()))?.detach() {
        Err(ProgramError::NetlinkError(error))
            if [Some(Errno::EINVAL as i32), Some(Errno::ENOENT as i32)].contains(&error.raw_os_error()) =>
        {
            Ok(())
        }
        gone => gone.map_err(failed),
    }
}

/// Without this the filter would go with this process.
fn leave(program: &mut SchedClassifier, id: SchedClassifierLinkId) -> Result<(), ProgramError> {
    program.take_link(id).map(mem::forget)
}

fn refused(error: &TcError, errno: Errno) -> bool {
    matches!(error, TcError::NetlinkError(error) if error.raw_os_error() == Some(errno as libc::c_int))
}

fn failed(what: &'static str, link: &str) -> impl Fn(ProgramError) -> FenceError + use<> {
    let link = link.to_owned();
    move |source| FenceError::Filter { what, link: link.clone(), source: Box::new(source) }
}

impl From<Way> for TcAttachType {
    fn from(way: Way) -> Self {
        match way {
            Way::Out => Self::Egress,
            Way::In => Self::Ingress,
        }
    }
}
