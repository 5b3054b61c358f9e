//! `/healthz`, `/readyz` and `/metrics`.
//!
//! *Healthy* means that the agent's loop turns. The API server has no part in it: an agent that cannot reach the API
//! server still guards its addresses, and killing it would help nobody.
//!
//! *Ready* means that the agent has once known the whole cluster, has once begun an epoch, and that its loop turns. It
//! stays ready when the API server goes away later, so that a rolling update judges the new agent and not the network.
//! `/readyz?wait=4` answers as soon as it is, and after so many seconds in any case: who asks so need not ask often.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A loop that has not turned for so long hangs. It must turn at least every few seconds, also when idle.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// Nobody who asks whether the agent is ready is kept waiting for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the agent's loop says of itself. Clones are one.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    /// Milliseconds from `started` to the last turn.
    turned_ms: AtomicU64,
    synced: AtomicBool,
    begun: AtomicBool,
    /// Something of the above that makes it ready has come true.
    progress: Notify,
}

/// Why the endpoints cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address is taken, or none of this node.
    #[error("listen on {listen} for /healthz, /readyz and /metrics (another address: --listen)")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The listening socket failed.
    #[error("serve /healthz, /readyz and /metrics")]
    Serve(#[source] io::Error),
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// An agent that has just started: healthy, not ready.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            turned_ms: AtomicU64::new(0),
            synced: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            progress: Notify::new(),
        }))
    }

    /// The loop turned.
    pub fn turned(&self) {
        self.0.turned_ms.store(millis(self.0.started.elapsed()), Ordering::Relaxed);
    }

    /// Every watch has delivered all there is.
    pub fn synced(&self) {
        self.reach(&self.0.synced);
    }

    /// An epoch has begun.
    pub fn begun(&self) {
        self.reach(&self.0.begun);
    }

    fn reach(&self, stage: &AtomicBool) {
        if !stage.swap(true, Ordering::SeqCst) {
            self.0.progress.notify_waiters();
        }
    }

    /// # Errors
    /// For people: why the agent is not healthy.
    fn healthy(&self) -> Result<(), String> {
        self.healthy_at(self.0.started.elapsed())
    }

    fn healthy_at(&self, since_start: Duration) -> Result<(), String> {
        let turned = Duration::from_millis(self.0.turned_ms.load(Ordering::Relaxed));
        let still = since_start.saturating_sub(turned);
        if still < HANGS_AFTER {
            return Ok(());
        }
        Err(format!("the agent's loop has not turned for {} s", still.as_secs()))
    }

    /// # Errors
    /// For people: why the agent is not ready.
    fn ready(&self) -> Result<(), String> {
        self.healthy()?;
        if !self.0.synced.load(Ordering::SeqCst) {
            return Err("the watches have not delivered all objects yet".to_owned());
        }
        if !self.0.begun.load(Ordering::SeqCst) {
            return Err("this node has not begun an epoch yet".to_owned());
        }
        Ok(())
    }

    /// The same as soon as it is ready, and after `patience` in any case.
    async fn ready_within(&self, patience: Duration) -> Result<(), String> {
        let ready = async {
            loop {
                // Before the look, so that nothing comes true unheard between the two.
                let progress = self.0.progress.notified();
                if self.ready().is_ok() {
                    return;
                }
                progress.await;
            }
        };
        // What is to be said if that takes too long is said below.
        let _ = tokio::time::timeout(patience, ready).await;
        self.ready()
    }
}

/// Binds `listen` at once, so that a taken port is found at start.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, HealthError> {
    TcpListener::bind(listen).await.map_err(|source| HealthError::Listen { listen, source })
}

/// Serves the endpoints for ever.
///
/// # Errors
/// When the listening socket fails.
pub async fn serve(listener: TcpListener, health: Health, registry: Registry) -> Result<(), HealthError> {
    let router = axum::Router::new()
        .route("/healthz", get(async |State((health, _)): Shared| answer(health.healthy())))
        .route("/readyz", get(readyz))
        .route("/metrics", get(async |State((_, registry)): Shared| scrape(&registry)))
        .with_state((health, Arc::new(registry)));
    axum::serve(listener, router).await.map_err(HealthError::Serve)
}

type Shared = State<(Health, Arc<Registry>)>;

async fn readyz(uri: Uri, State((health, _)): Shared) -> (StatusCode, String) {
    answer(health.ready_within(patience(&uri)).await)
}

/// For how many seconds whoever asks would wait: `?wait=4`.
fn patience(uri: &Uri) -> Duration {
    let seconds = uri.query().and_then(|query| query.strip_prefix("wait=")?.parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(LONGEST_WAIT)
}

fn answer(state: Result<(), String>) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

fn scrape(registry: &Registry) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    let status = encode(&mut text, registry).map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::OK);
    (status, [(header::CONTENT_TYPE, OPEN_METRICS)], text)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[test]
    fn a_loop_that_does_not_turn_is_not_healthy() {
        let health = Health::new();
        assert_eq!(health.healthy_at(Duration::from_secs(9)), Ok(()));
        let why = health.healthy_at(Duration::from_secs(12)).unwrap_err();
        assert_eq!(why, "the agent's loop has not turned for 12 s");
    }

    #[test]
    fn ready_is_who_knew_the_cluster_and_began_an_epoch() {
        let health = Health::new();
        assert!(health.ready().unwrap_err().contains("watches"));
        health.synced();
        assert!(health.ready().unwrap_err().contains("epoch"));
        health.begun();
        assert_eq!(health.ready(), Ok(()));
    }

    async fn fetch(at: SocketAddr, path: &'static str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_endpoints_answer_as_kubelet_and_prometheus_expect() {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (metrics, registry) = crate::observe::metrics::registry();
        metrics.held.set(3);
        let health = Health::new();
        let server = tokio::spawn(serve(listener, health.clone(), registry));
        assert!(fetch(at, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(at, "/readyz").await.starts_with("HTTP/1.1 503"));
        let waits = tokio::spawn(fetch(at, "/readyz?wait=30"));
        health.synced();
        assert!(fetch(at, "/readyz?wait=0").await.contains("not begun an epoch"));
        health.begun();
        assert!(waits.await.unwrap().starts_with("HTTP/1.1 200"), "it is told as soon as it is");
        assert!(fetch(at, "/readyz").await.starts_with("HTTP/1.1 200"));
        let scraped = fetch(at, "/metrics").await;
        assert!(scraped.contains("openmetrics-text") && scraped.contains("virtualip_held 3\n"), "{scraped}");
        server.abort();
    }

    #[tokio::test]
    async fn a_taken_port_says_how_to_choose_another() {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let error = bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("--listen"), "{error}");
    }
}
