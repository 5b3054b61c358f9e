//! Two tables and everything that was ever on the wire between them; and the real socket.

mod mutations;
mod sessions;
mod sockets;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key::{Key, KeyRing};
use super::reject::Reject;
use super::table::{Outgoing, Table};
use super::ticket::Tickets;

fn key(byte: u8) -> Key {
    Key::new(&[byte; 32]).unwrap()
}

fn address(name: &str) -> SocketAddr {
    let last = name.as_bytes().last().unwrap() - b'0';
    ([192, 0, 2, last], 7473).into()
}

fn peers(names: &[&str]) -> BTreeMap<Arc<str>, Option<SocketAddr>> {
    names.iter().map(|name| (Arc::from(*name), Some(address(name)))).collect()
}

/// Nodes `n1` and `n2`, in whatever life.
struct World {
    now: Instant,
    lives: u8,
    tables: BTreeMap<&'static str, Table>,
    /// All that was ever sent, by whom.
    recorded: Vec<(&'static str, Outgoing)>,
    /// What arrived, where.
    arrived: Vec<(&'static str, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Instant::now(),
            lives: 0,
            tables: BTreeMap::new(),
            recorded: Vec::new(),
            arrived: Vec::new(),
        };
        world.start("n1");
        world.start("n2");
        world
    }

    /// A new life of a node: nothing is remembered.
    fn start(&mut self, name: &'static str) {
        self.lives += 1;
        let mut table = Table::new(name, Tickets::of(&[self.lives]));
        table.set_keys(KeyRing::new(key(1), []));
        table.set_peers(&peers(&["n1", "n2"]));
        self.tables.insert(name, table);
    }

    fn table(&mut self, name: &str) -> &mut Table {
        self.tables.get_mut(name).unwrap()
    }

    /// Sends, and delivers everything that follows from it.
    fn send(&mut self, from: &str, to: &str, payload: &[u8]) {
        let now = self.now;
        self.table(from).send(to, payload, now).unwrap();
        self.deliver();
    }

    /// Sends and loses everything; it stays recorded.
    fn send_and_lose(&mut self, from: &'static str, to: &str, payload: &[u8]) {
        let now = self.now;
        self.table(from).send(to, payload, now).unwrap();
        self.collect();
    }

    fn collect(&mut self) -> Vec<(&'static str, Outgoing)> {
        let mut sent = Vec::new();
        for (name, table) in &mut self.tables {
            while let Some(outgoing) = table.outgoing() {
                sent.push((*name, outgoing));
            }
        }
        self.recorded.extend(sent.iter().cloned());
        sent
    }

    fn deliver(&mut self) {
        loop {
            let sent = self.collect();
            if sent.is_empty() {
                return;
            }
            for (from, outgoing) in sent {
                let _ = self.inject(from, &outgoing);
            }
        }
    }

    /// A datagram arrives, again or late.
    fn inject(&mut self, from: &str, outgoing: &Outgoing) -> Result<(), Reject> {
        let now = self.now;
        let source: IpAddr = address(from).ip();
        let name = *self.tables.keys().find(|name| **name == &*outgoing.peer).unwrap();
        let taken = self.table(name).receive(&outgoing.bytes, source, now)?;
        let payload = taken.map(|(_, payload)| payload.to_vec());
        self.arrived.extend(payload.map(|payload| (name, payload)));
        Ok(())
    }

    fn later(&mut self, span: Duration) {
        self.now += span;
    }

    fn arrived(&mut self) -> Vec<(&'static str, String)> {
        let arrived = std::mem::take(&mut self.arrived);
        arrived.into_iter().map(|(at, payload)| (at, String::from_utf8(payload).unwrap())).collect()
    }
}
