//! A proxy in front of the API server that passes bytes on late. It sits in this program, and listens on the control
//! plane's host; what nodes send to the API server is led there.

use super::{
    cluster::Cluster,
    error::{Doing, Result},
};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

const PORT: u16 = 6444;
const REDIRECT: &str = "table ip slow_api { chain in { type nat hook prerouting priority -100; iifname \"br0\" tcp dport 6443 redirect to :6444; }; }";

/// How late requests arrive.
#[derive(Clone, Debug, Default)]
pub struct SlowApi {
    delay_ms: Arc<AtomicU64>,
}

impl SlowApi {
    /// Stands between the nodes and the API server from now on: connections that are already there stay as they are.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(lab: &Cluster) -> Result<Self> {
        let proxy = Self::default();
        let delay = Arc::clone(&proxy.delay_ms);
        let host = &lab.control_plane().host;
        host.in_network(move || {
            let listener = TcpListener::bind(("0.0.0.0", PORT)).doing(|| "listen for the nodes".into())?;
            // A thread is born in the network of the one that starts it.
            thread::spawn(move || serve(&listener, &delay));
            Ok(())
        })?;
        host.run(&["nft", REDIRECT])?;
        Ok(proxy)
    }

    /// From now on whatever a node sends arrives so much later.
    pub fn delay(&self, by: Duration) {
        self.delay_ms.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn serve(listener: &TcpListener, delay: &Arc<AtomicU64>) {
    for client in listener.incoming().flatten() {
        let delay = Arc::clone(delay);
        // When the API server is not there, dropping the client's connection tells it so.
        thread::spawn(move || {
            TcpStream::connect(("127.0.0.1", 6443)).map(|server| join(client, server, &delay))
        });
    }
}

/// Passes bytes on in both directions until one side ends.
fn join(client: TcpStream, server: TcpStream, delay: &Arc<AtomicU64>) {
    let (Ok(()), Ok(())) = (client.set_nodelay(true), server.set_nodelay(true)) else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let (due, late) = channel();
    let delay = Arc::clone(delay);
    thread::spawn(move || read(from, &due, &delay));
    thread::spawn(move || write_late(to, &late));
    let (mut server, mut client) = (server, client);
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn read(mut from: TcpStream, due: &Sender<(Instant, Vec<u8>)>, delay: &AtomicU64) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let at = Instant::now() + Duration::from_millis(delay.load(Ordering::Relaxed));
        let Some(bytes) = buffer.get(..length) else { break };
        if due.send((at, bytes.to_vec())).is_err() {
            break;
        }
    }
}

fn write_late(mut to: TcpStream, late: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((at, bytes)) = late.recv() {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
