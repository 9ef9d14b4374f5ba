//! Both ends under tokio.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use thalweg_tokio::{Body, BoxError, Client, Server, client, service_fn};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Counts, LIMIT, RequestPlan, Subject, content};

pub struct Running {
    runtime: Option<Runtime>,
    address: SocketAddr,
    stop: Arc<Notify>,
    serving: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
}

impl Running {
    pub fn start(counts: Arc<Counts>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let ended = Arc::clone(&counts);
        let server = Server::builder().on_end(move |_| {
            ended.server_ends.fetch_add(1, Ordering::Relaxed);
        });
        let server = runtime.block_on(server.bind("127.0.0.1:0")).expect("a free port");
        let address = server.local_addr().expect("it is bound");
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let signal = async move { stopped.notified().await };
        let serving = runtime.spawn(async {
            server.serve_until(service_fn(serve), signal).await.expect("it ends in order");
        });
        Self { runtime: Some(runtime), address, stop, serving: Some(serving), counts }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken only at the end")
    }
}

/// Echoes, or sends as many bytes as the path names.
async fn serve(request: Request<Body>) -> Result<Response<Full<Bytes>>, BoxError> {
    let len = request.uri().path().strip_prefix("/n/").and_then(|len| len.parse().ok());
    let body = match len {
        Some(len) => content(len).into(),
        None => request.into_body().collect().await?.to_bytes(),
    };
    Ok(Response::new(Full::new(body)))
}

async fn fetch(mut client: Client<Full<Bytes>>, asked: RequestPlan) -> Result<Vec<u8>, BoxError> {
    let request = if asked.is_echo {
        Request::post("http://example.org/echo").body(Full::from(content(asked.len)))?
    } else {
        Request::get(format!("http://example.org/n/{}", asked.len)).body(Full::default())?
    };
    let response = client.send(request).await?;
    Ok(response.into_body().collect().await?.to_bytes().to_vec())
}

impl Subject for Running {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn live(&self, address: SocketAddr, requests: &[RequestPlan], counts: &Counts) {
        self.runtime().block_on(async {
            let Ok((client, connection)) = client::connect::<Full<Bytes>>(address).await else {
                return counts.not_connected(requests);
            };
            let connection = tokio::spawn(connection);
            let fetches: Vec<_> = requests
                .iter()
                .map(|asked| {
                    (*asked, tokio::spawn(tokio::time::timeout(LIMIT, fetch(client.clone(), *asked))))
                })
                .collect();
            drop(client);
            for (asked, fetch) in fetches {
                match fetch.await.expect("a request does not panic") {
                    Ok(answer) => counts.classify(asked, answer),
                    Err(late) => counts.classify(asked, Err(late)),
                }
            }
            match tokio::time::timeout(LIMIT, connection).await {
                Ok(end) => {
                    end.expect("a connection does not panic");
                    counts.client_ends.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => drop(counts.stuck.fetch_add(1, Ordering::Relaxed)),
            }
        });
    }

    fn settle(&self) -> u64 {
        let deadline = Instant::now() + LIMIT;
        loop {
            let ends = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            // Each round made one connection to the server, whether or not its client reported an
            // end.
            let made = ends(&self.counts.client_ends) + ends(&self.counts.stuck);
            let left = made.saturating_sub(ends(&self.counts.server_ends));
            if left == 0 || Instant::now() >= deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) {
            runtime.block_on(serving).expect("the server does not panic");
        }
    }
}
