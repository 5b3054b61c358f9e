//! Tries on any cluster what its API server accepts and refuses: `cargo run --example admission`, with the KUBECONFIG of an
//! administrator and after `kubectl apply -k manifests`. Nothing is left behind.

#[path = "../admission/mod.rs"]
mod admission;

use std::{
    env, io,
    io::Write,
    process::{Command, ExitCode, Stdio},
};

use admission::Reply;

fn kubectl(words: &[&str], input: Option<&str>) -> io::Result<Reply> {
    let program = env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into());
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.unwrap_or_default().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    Ok(Reply {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn main() -> io::Result<ExitCode> {
    let mut failures = admission::virtualips(&mut kubectl)?;
    failures.extend(admission::leases(&mut kubectl, std::process::id())?);
    failures.extend(admission::samples(&mut kubectl, "default")?);
    failures.extend(admission::experience(&mut kubectl)?);
    for failure in &failures {
        writeln!(io::stderr(), "{failure}")?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
