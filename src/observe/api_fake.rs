//! An API server that is a function, for tests of what is written: it notes requests and answers with given codes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A request that arrived.
#[derive(Debug)]
pub struct Seen {
    pub method: String,
    /// With its query.
    pub path: String,
    pub body: Value,
}

/// The fake, seen from the test.
pub struct Fake {
    seen: UnboundedReceiver<Seen>,
    tell: UnboundedSender<Seen>,
    codes: Arc<Mutex<VecDeque<u16>>>,
}

impl Fake {
    /// Instead of a code: no answer, ever.
    pub const HANGS: u16 = 0;

    /// Answers request after request with these codes; later ones with 500.
    pub fn answering(codes: impl IntoIterator<Item = u16>) -> Self {
        let (tell, seen) = unbounded_channel();
        Self { seen, tell, codes: Arc::new(Mutex::new(codes.into_iter().collect())) }
    }

    /// A client whose requests all come here.
    pub fn client(&self) -> Client {
        let (tell, codes) = (self.tell.clone(), Arc::clone(&self.codes));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (tell, codes) = (tell.clone(), Arc::clone(&codes));
            async move {
                let method = request.method().to_string();
                let path = request.uri().path_and_query().unwrap().to_string();
                let body = request.into_body().collect_bytes().await.unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let code = codes.lock().unwrap().pop_front().unwrap_or(500);
                let answer = if code < 300 { body.clone() } else { refusal(code) };
                tell.send(Seen { method, path, body }).unwrap();
                if code == Self::HANGS {
                    std::future::pending::<()>().await;
                }
                let answer = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        Client::new(service, "default")
    }

    /// The next request; waits for it.
    pub async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// How many requests have arrived since this was asked last.
    pub fn arrived(&mut self) -> usize {
        std::iter::from_fn(|| self.seen.try_recv().ok()).count()
    }

    /// Whether no request arrives for so long; meant for paused time.
    pub async fn is_quiet_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.seen.recv()).await.is_err()
    }
}

fn refusal(code: u16) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "refused", "code": code })
}
