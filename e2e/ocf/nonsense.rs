//! Bad input, through the program: an exit code that Pacemaker knows, a reason, and nothing done.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    process::{Command, Output},
};

use super::{PROGRAM, host::Host};

/// The exit codes of resource agents that ours gives.
const KNOWN: [i32; 7] = [0, 1, 3, 4, 5, 6, 7];
/// What may be found in a parameter. The last is no UTF-8.
const VALUES: [&[u8]; 8] =
    [b"-1", b"0", b"99999999999", b"eth0:a:b", b"$(touch /nowhere)", b"fe80::1%eth0", b"a\nb", b"\xff\xfe"];

/// Every parameter, every action but `start`; `start` where `validate-all` has refused.
pub fn everywhere() -> Result<(), String> {
    let host = Host::new()?;
    let described = run(&host, "meta-data", &[])?;
    let described = String::from_utf8_lossy(&described.stdout).into_owned();
    let names = described.split("<parameter name=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut refused = 0;
    for name in names {
        for value in VALUES {
            let set =
                [("ip", b"192.0.2.2".as_slice()), ("nic", b"lo"), ("cidr_netmask", b"24"), (name, value)];
            let told = |output: &Output| format!("{name}={:?}: {output:?}", String::from_utf8_lossy(value));
            let validated = run(&host, "validate-all", &set)?;
            for action in ["monitor", "status", "stop"] {
                expected(&run(&host, action, &set)?).map_err(|output| told(&output))?;
            }
            if validated.status.code() != Some(0) {
                refused += 1;
                let started = run(&host, "start", &set)?;
                if started.status.code() != validated.status.code() {
                    return Err(format!("start ends otherwise than validate-all: {}", told(&started)));
                }
            }
            expected(&validated).map_err(|output| told(&output))?;
        }
    }
    let left = host.ip("-4 -o addr show to 192.0.2.0/24")?;
    if refused > 30 && left.is_empty() { Ok(()) } else { Err(format!("refused {refused}, left {left:?}")) }
}

fn run(host: &Host, action: &str, set: &[(&str, &[u8])]) -> Result<Output, String> {
    let mut command = Command::new(PROGRAM);
    command.args(["ocf", action]).env_clear();
    command.envs(set.iter().map(|(name, value)| (format!("OCF_RESKEY_{name}"), OsStr::from_bytes(value))));
    host.run(command)
}

/// A known code, and a line that says why where it is a failure.
fn expected(output: &Output) -> Result<(), Output> {
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().filter(|code| KNOWN.contains(code));
    let silent = matches!(code, Some(0 | 3 | 7));
    let explained = silent || (said.starts_with("ocf-exit-reason:") && said.lines().count() == 1);
    if code.is_some() && explained { Ok(()) } else { Err(output.clone()) }
}
