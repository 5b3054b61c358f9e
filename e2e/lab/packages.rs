//! The Debian packages without which the lab cannot run.

use super::{
    error::{Error, Result},
    image::STATIC,
    run::{command, run},
};
use std::path::Path;

/// A package, and a file that shows it is there.
const PACKAGES: [(&str, &str); 12] = [
    ("buildah", "/usr/bin/buildah"),
    ("clang", "/usr/bin/clang"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("iputils-ping", "/usr/bin/ping"),
    ("iproute2", "/usr/sbin/ip"),
    ("libbpf-dev", "/usr/include/bpf/bpf_helpers.h"),
    ("libxml2-utils", "/usr/bin/xmllint"),
    ("musl-tools", "/usr/bin/musl-gcc"),
    ("net-tools", "/usr/sbin/ifconfig"),
    ("nftables", "/usr/sbin/nft"),
    ("runc", "/usr/sbin/runc"),
    ("util-linux", "/usr/bin/chrt"),
];

/// The packages that are not installed.
pub fn missing() -> Vec<&'static str> {
    PACKAGES.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(name, _)| *name).collect()
}

/// Fails where a package is missing, with the command that installs it.
///
/// # Errors
/// A sentence that names the missing packages.
pub fn check() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::other(format!(
        "the lab needs more packages: apt-get install --no-install-recommends {}",
        missing.join(" ")
    )))
}

/// Installs what is missing, where we may: the compiler's target of static programs, and Debian packages.
///
/// # Errors
/// When rustup or apt fails; where we are not root, a sentence that names the missing packages.
pub fn install() -> Result<()> {
    run(command(&["rustup", "target", "add", STATIC]))?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        return check();
    }
    eprintln!("installing {} ...", missing.join(", "));
    run(command(&["apt-get", "update", "-qq"]))?;
    let mut apt = command(&["apt-get", "install", "-qq", "--yes", "--no-install-recommends"]);
    apt.args(missing).env("DEBIAN_FRONTEND", "noninteractive");
    run(apt)?;
    check()
}
