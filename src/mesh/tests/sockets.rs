//! The real socket, on the loopback interface.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::super::frame::MAX_DATAGRAM;
use super::super::key::KeyRing;
use super::super::{Counts, Delivery, Mesh, MeshError, Reject};
use super::key;

const SECOND: Duration = Duration::from_secs(1);

fn open(name: &str, port: u16) -> Result<Mesh, MeshError> {
    Mesh::open(name, port, Counts::default())
}

fn meshes(ip: std::net::IpAddr) -> (Mesh, Mesh) {
    let (mut one, mut two) = (open("n1", 0).unwrap(), open("n2", 0).unwrap());
    let at = |mesh: &Mesh| Some(SocketAddr::new(ip, mesh.port().unwrap()));
    let peers = [("n1".into(), at(&one)), ("n2".into(), at(&two))].into();
    for mesh in [&mut one, &mut two] {
        mesh.set_keys(KeyRing::new(key(1), []));
        mesh.set_peers(&peers);
    }
    (one, two)
}

/// What arrives at `here`, while `there` listens too.
fn next(here: &mut Mesh, there: &mut Mesh) -> Delivery {
    let begin = Instant::now();
    loop {
        assert_eq!(there.receive(), None, "that was not for it");
        match here.receive() {
            Some(delivery) => return delivery,
            None => assert!(begin.elapsed() < SECOND, "nothing arrived"),
        }
    }
}

#[test]
fn messages_go_both_ways_over_ipv4_and_ipv6() {
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let (mut one, mut two) = meshes(ip);
        one.send("n2", b"ask").unwrap();
        assert_eq!(next(&mut two, &mut one), Delivery { from: "n1".into(), payload: b"ask".to_vec() });
        two.send("n1", b"promise").unwrap();
        let answer = next(&mut one, &mut two);
        assert_eq!(answer, Delivery { from: "n2".into(), payload: b"promise".to_vec() });
        assert_eq!(one.silence("n2", SECOND), None);
    }
}

#[test]
fn a_stranger_gets_no_answer_and_is_counted() {
    let counts = Counts::default();
    let mut one = Mesh::open("n1", 0, counts.clone()).unwrap();
    one.set_keys(KeyRing::new(key(1), []));
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = one.port().unwrap();
    for noise in [&[][..], b"hello?", &[0; MAX_DATAGRAM], &[0; MAX_DATAGRAM + 1], &[0; 9000]] {
        stranger.send_to(noise, (Ipv4Addr::LOCALHOST, port)).unwrap();
    }
    let rejected = |reason: Reject| counts.figures().rejected[reason.index()];
    let begin = Instant::now();
    while rejected(Reject::Malformed) + rejected(Reject::Oversized) < 5 {
        assert_eq!(one.receive(), None);
        assert!(begin.elapsed() < SECOND, "not all have arrived");
    }
    assert_eq!(rejected(Reject::Oversized), 2);
    assert_eq!(counts.figures().sent, 0);
    stranger.set_nonblocking(true).unwrap();
    let error = stranger.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "not a byte came back");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let one = open("n1", 0).unwrap();
    let port = one.port().unwrap();
    let error = open("n2", port).unwrap_err();
    assert!(matches!(error, MeshError::Bind { port: named, .. } if named == port), "{error}");
}

#[test]
fn a_message_takes_less_than_a_millisecond() {
    let (mut one, mut two) = meshes(Ipv4Addr::LOCALHOST.into());
    one.send("n2", b"hello").unwrap();
    next(&mut two, &mut one);
    let mut spans = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        one.send("n2", &[7; 100]).unwrap();
        next(&mut two, &mut one);
        spans.push(begin.elapsed());
    }
    spans.sort();
    // The median: a test machine is busy with other things.
    assert!(spans[100] < Duration::from_millis(1), "{:?}", spans[100]);
}
