//! An application that knows nothing of us: it says what it received.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, oneshot};

type Body = BoxBody<Bytes, hyper::Error>;

/// The application, running until it is dropped.
pub(crate) struct Upstream {
    pub address: SocketAddr,
    reached: Arc<Notify>,
    released: Arc<Notify>,
    /// Ends it: the tests of one process must not run out of files.
    _ends: oneshot::Sender<()>,
}

impl Upstream {
    /// Starts it on a port of its own.
    pub(crate) fn start() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (reached, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let says = Says { reached: Arc::clone(&reached), released: Arc::clone(&released) };
        let (ends, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(socket, says) => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, reached, released, _ends: ends }
    }

    /// Waits until a request for `/held` has arrived.
    pub(crate) fn is_reached(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.reached.notified());
    }

    /// Whether one has arrived since somebody asked.
    pub(crate) fn was_reached(&self) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(self.reached.notified()).poll(&mut context).is_ready()
    }

    /// Lets a request for `/held` be answered to its end.
    pub(crate) fn releases(&self) {
        self.released.notify_one();
    }
}

/// How many bytes there are at `/much`.
pub(crate) const MUCH: usize = 1_000_000;

#[derive(Clone)]
struct Says {
    reached: Arc<Notify>,
    released: Arc<Notify>,
}

async fn serve(socket: std::net::TcpListener, says: Says) {
    socket.set_nonblocking(true).unwrap();
    let socket = TcpListener::from_std(socket).unwrap();
    loop {
        let (stream, _) = socket.accept().await.unwrap();
        let says = says.clone();
        let service = service_fn(move |request| {
            let says = says.clone();
            async move { Ok::<_, Infallible>(says.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

impl Says {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/socket" => socket(request),
            "/held" => {
                self.reached.notify_one();
                self.released.notified().await;
                Response::new(whole("released"))
            }
            "/parts" => self.parts(),
            "/events" => {
                let mut answer = self.parts();
                let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
                answer.headers_mut().insert("Content-Type", kind);
                answer
            }
            "/much" => Response::new(whole(&"much ".repeat(MUCH / 5))),
            "/open/large" => Response::new(whole(&"a".repeat(1 << 20))),
            "/counted" => {
                let mut answer = self.parts();
                answer.headers_mut().insert("Content-Length", HeaderValue::from_static("9"));
                answer
            }
            "/back" => Response::new(request.into_body().boxed()),
            "/marked" => Response::builder()
                .header("Cache-Control", "public, max-age=60")
                .header("Set-Cookie", "theirs=1")
                .header("Set-Cookie", "doorward-session=forged")
                .body(whole("marked"))
                .unwrap(),
            _ => received(request).await,
        }
    }

    /// `first`, and `last` once it is released.
    fn parts(&self) -> Response<Body> {
        let (sender, receiver) = unbounded_channel::<Bytes>();
        let released = Arc::clone(&self.released);
        tokio::spawn(async move {
            let _ = sender.send(Bytes::from_static(b"first"));
            released.notified().await;
            let _ = sender.send(Bytes::from_static(b"last"));
        });
        Response::new(Parts(receiver).boxed())
    }
}

/// A body that comes as it is sent.
struct Parts(UnboundedReceiver<Bytes>);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

async fn received(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let said = serde_json::json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    Response::new(whole(&said.to_string()))
}

/// Says yes to an upgrade, and from then on says back what it hears.
fn socket(mut request: Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut heard = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut heard).await {
            if stream.write_all(&heard[..length]).await.is_err() {
                break;
            }
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .body(whole(""))
        .unwrap()
}

fn whole(text: &str) -> Body {
    Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed()
}
