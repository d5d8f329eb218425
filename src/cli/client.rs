//! How a command is carried out: by the running gateway, over HTTP on its Unix socket, or, if none
//! runs, in this process with the same paths.
//!
//! The holder of the store's lock carries out the operation. A command that finds the store locked
//! and no answer at the socket waits: another command will be done soon, or a gateway is starting.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::Access;
use super::admin::local_router;
use super::api::{Refusal, path};
use super::failure::{Failure, unwritten};
use super::not_started::NotStarted;
use super::serve;
use super::socket::{self, Peer};
use crate::config::Config;
use crate::store::progress::Progress;

/// Carries out operations on the users in one state folder.
pub(super) struct Client {
    access: Access,
    /// Carries them out in this process, once no gateway was found.
    here: Option<Router>,
    /// Saves the store mark when the command ends.
    progress: Option<Progress>,
}

/// Asks the gateway of this state folder for what only a running one knows.
///
/// # Errors
/// If none runs, or why the operation failed, for the operator.
pub(super) async fn ask_gateway<A: DeserializeOwned>(
    state: &Path,
    path: &str,
    question: &impl Serialize,
) -> Result<A, Failure> {
    let stream = UnixStream::connect(socket::path_in(state)).await;
    let stream = stream.map_err(|error| {
        if nobody_is_there(&error) {
            let state = state.display();
            return Failure::new(format!("{NO_GATEWAY} with the state folder {state}"))
                .cure("start one with `doorward serve`");
        }
        unreachable(state, &error)
    })?;
    let asked = timeout(PATIENCE, exchange(stream, request(path, question)?)).await;
    let (status, body) =
        asked.map_err(|_| Failure::new("the gateway did not answer in time"))??;
    answered(status, &body)
}

/// What is said first if none runs.
pub(super) const NO_GATEWAY: &str = "no gateway is running";

fn answered<A: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<A, Failure> {
    if status == StatusCode::OK {
        return serde_json::from_slice(body).map_err(|_| foreign());
    }
    let refusal = serde_json::from_slice::<Refusal>(body).map_err(|_| foreign())?;
    Err(Failure::new(refusal.problem))
}

/// What carries out an operation.
enum Way {
    Gateway(UnixStream),
    Here(Router),
}

impl Client {
    /// Nothing was asked or opened yet.
    pub(super) fn new(access: Access) -> Self {
        Self { access, here: None, progress: None }
    }

    /// Carries out the operation at `path`. If no gateway runs, `notes` say so, once.
    ///
    /// # Errors
    /// Why the operation failed, for the operator.
    pub(super) async fn ask<A: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &impl Serialize,
        notes: &mut dyn Write,
    ) -> Result<A, Failure> {
        let request = request(path, question)?;
        let way = self.way(path, notes).await?;
        let (status, body) = match way {
            Way::Gateway(stream) => timeout(PATIENCE, exchange(stream, request))
                .await
                .map_err(|_| Failure::new("the gateway did not answer in time"))??,
            Way::Here(router) => do_here(router, request).await?,
        };
        answered(status, &body)
    }

    /// Whether there can be users: a gateway runs, or there is a store.
    pub(super) fn may_know_somebody(&self) -> bool {
        let state = &self.access.state;
        socket::is_answered(Some(state)) || store_is_there(state)
    }

    async fn way(&mut self, path: &str, notes: &mut dyn Write) -> Result<Way, Failure> {
        if let Some(here) = &self.here {
            return Ok(Way::Here(here.clone()));
        }
        let state = self.access.state.clone();
        let mut config: Option<Config> = None;
        for _ in 0..TRIES {
            match UnixStream::connect(socket::path_in(&state)).await {
                Ok(stream) => return Ok(Way::Gateway(stream)),
                Err(error) if nobody_is_there(&error) => {}
                Err(error) => return Err(unreachable(&state, &error)),
            }
            if !store_is_there(&state)
                && ![path::ADD, path::ADD_ACCOUNT, path::IMPORT].contains(&path)
            {
                return Err(no_store(&state));
            }
            let known = match config.take() {
                Some(config) => config,
                None => self.access.config().map_err(|why| why.after("no gateway is running"))?,
            };
            match self.opened(config.insert(known).clone()).await {
                Ok((here, progress)) => {
                    let state = state.display();
                    writeln!(notes, "No gateway is running: using the store in {state} directly.")
                        .map_err(unwritten)?;
                    (self.here, self.progress) = (Some(here.clone()), Some(progress));
                    return Ok(Way::Here(here));
                }
                Err(error) if error.is_in_use() => sleep(PAUSE).await,
                Err(error) => return Err(not_opened(&error)),
            }
        }
        let state = state.display();
        Err(Failure::new(format!("another command is still using the store in {state}")).cure(
            "wait until it is done, or start the gateway, which serves several commands at once",
        ))
    }

    async fn opened(&self, config: Config) -> Result<(Router, Progress), NotStarted> {
        let (env, progress) = serve::furnish_a_command(config).await?;
        // The folder belongs to the user we run as: otherwise it was refused.
        let owner = fs::metadata(&self.access.state)?.uid();
        Ok((local_router(Arc::new(env), Peer(Some(owner))), progress))
    }
}

fn store_is_there(state: &Path) -> bool {
    // If this fails, assume that it exists: opening it says what is wrong.
    state.join("store.redb").try_exists().unwrap_or(true)
}

fn request(path: &str, question: &impl Serialize) -> Result<Request<Body>, Failure> {
    let body = serde_json::to_vec(question)
        .map_err(|error| Failure::new("cannot encode the request").because(error))?;
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "doorward")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| Failure::new("cannot build the request").because(error))
}

async fn do_here(router: Router, request: Request<Body>) -> Result<(StatusCode, Bytes), Failure> {
    let Ok(answer) = router.oneshot(request).await;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| Failure::new("cannot read the answer").because(error))?;
    Ok((status, body.to_bytes()))
}

async fn exchange(
    stream: UnixStream,
    request: Request<Body>,
) -> Result<(StatusCode, Bytes), Failure> {
    let broken =
        |error: hyper::Error| Failure::new("the connection to the gateway failed").because(error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the exchange, which also reports its errors.
    tokio::spawn(async move { connection.await.ok() });
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_AT_MOST).collect().await;
    let body = body.map_err(|error| Failure::new("cannot read the answer").because(error))?;
    Ok((status, body.to_bytes()))
}

fn nobody_is_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn unreachable(state: &Path, error: &io::Error) -> Failure {
    let state = state.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::new(format!(
            "permission denied: the state folder {state} belongs to \
                                     another system user"
        ))
        .cure("run this command as the system user of the gateway, or as root");
    }
    Failure::new(format!("cannot reach the gateway through {state}")).because(error)
}

fn no_store(state: &Path) -> Failure {
    let state = state.display();
    Failure::new(format!("no gateway is running, and there is no store in {state} yet"))
        .cure("start one with `doorward serve`, or add a user with `doorward user add NAME`")
}

fn not_opened(error: &NotStarted) -> Failure {
    let failure = Failure::new("no gateway is running, and the store cannot be used directly")
        .because_of(error);
    match error.cure() {
        Some(cure) => failure.cure(cure),
        None => failure,
    }
}

fn foreign() -> Failure {
    Failure::new("the running gateway has another version")
        .cure("restart the gateway after an update")
}

/// The gateway completes every operation within this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Enough for a list of a hundred thousand users.
const ANSWER_AT_MOST: usize = 64 * 1024 * 1024;

/// How often, and at what interval, a locked store is tried: for five seconds.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);
