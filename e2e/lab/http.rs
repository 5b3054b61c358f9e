//! The least of an HTTP client: one GET, the whole answer.

use super::error::{Doing, Error, Result};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// The body of a 200 answer.
///
/// # Errors
/// When nobody answers, or with another status.
pub fn get(server: &str, path: &str) -> Result<String> {
    let mut answer = Vec::new();
    exchange(server, path, &mut answer).doing(|| format!("get http://{server}{path}"))?;
    let answer = String::from_utf8_lossy(&answer);
    // HTTP/1.0: the end of the connection is the end of the body.
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    Err(Error::other(format!("http://{server}{path} answered {status}: {}", body.trim())))
}

fn exchange(server: &str, path: &str, answer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n")?;
    stream.read_to_end(answer).map(drop)
}
