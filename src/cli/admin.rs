//! What the gateway does for operators' commands, on its socket.
//!
//! If none runs, a command does the same in its own process, with the same paths.

mod keys;
mod operations;
mod policy;
mod texts;
mod view;

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, routing};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use super::api::{LinkMade, Refusal, path, written};
use super::reload::Live;
use super::socket::{Peer, Socket};
use crate::flow::Env;
use crate::flow::administer::NewLink;
use crate::unavailable::Unavailable;

/// The bound socket, before it is served.
#[derive(Debug)]
pub struct Admin {
    socket: Socket,
    listener: UnixListener,
}

impl Admin {
    /// Binds the socket in the state folder `state`. The caller holds the store's lock until
    /// [`Admin::serve`] has returned.
    ///
    /// # Errors
    /// The system's error.
    pub fn bind(state: &Path) -> io::Result<Self> {
        let (socket, listener) = Socket::bind(state)?;
        Ok(Self { socket, listener })
    }

    /// Answers operators until `end` completes, then removes the socket.
    ///
    /// # Errors
    /// The system's error.
    pub async fn serve(
        self,
        live: Arc<Live>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Self { socket, listener } = self;
        let state = AppState { runs: Runs::Gateway(live), owner: socket.owner()? };
        let service = router(state).into_make_service_with_connect_info::<Peer>();
        axum::serve(listener, service).with_graceful_shutdown(end).await?;
        drop(socket);
        Ok(())
    }
}

#[derive(Clone)]
struct AppState {
    runs: Runs,
    owner: u32,
}

/// What answers.
#[derive(Clone)]
enum Runs {
    /// A gateway.
    Gateway(Arc<Live>),
    /// Only this command.
    Alone(Arc<Env>),
}

impl AppState {
    /// The current environment of flows.
    fn env(&self) -> Arc<Env> {
        match &self.runs {
            Runs::Gateway(live) => live.env(),
            Runs::Alone(env) => Arc::clone(env),
        }
    }

    /// The gateway that runs here.
    fn live(&self) -> Result<&Live, Refused> {
        match &self.runs {
            Runs::Gateway(live) => Ok(live),
            Runs::Alone(_) => Err(Refused::no_gateway()),
        }
    }
}

/// Answers a command in this process when no gateway runs: the same operations, requested by
/// `peer`, who owns the store.
pub(super) fn local_router(env: Arc<Env>, peer: Peer) -> Router {
    let Peer(owner) = peer;
    router(AppState { runs: Runs::Alone(env), owner: owner.unwrap_or_default() })
        .layer(Extension(ConnectInfo(peer)))
}

fn router(state: AppState) -> Router {
    Router::new()
        .route(path::ADD, routing::post(operations::add))
        .route(path::ADD_ACCOUNT, routing::post(operations::add_account))
        .route(path::LIST, routing::post(operations::list))
        .route(path::SHOW, routing::post(operations::show))
        .route(path::UNLOCK, routing::post(operations::unlock))
        .route(path::TRUST_KEY, routing::post(operations::trust_key))
        .route(path::PASSWORD_LINK, routing::post(operations::password_link))
        .route(path::DISABLE, routing::post(operations::disable))
        .route(path::ENABLE, routing::post(operations::enable))
        .route(path::RESET_2FA, routing::post(operations::reset_2fa))
        .route(path::SET, routing::post(operations::set))
        .route(path::REMOVE, routing::post(operations::remove))
        .route(path::KNOWN, routing::post(operations::known))
        .route(path::IMPORT, routing::post(operations::import))
        .route(path::KEYS, routing::post(keys::list))
        .route(path::ROTATE, routing::post(keys::rotate))
        .route(path::CARRY_ON, routing::post(keys::carry_on))
        .route(path::RELOAD, routing::post(policy::reload))
        .route(path::RP_ID, routing::post(policy::rp_id))
        .route(path::WHY, routing::post(policy::why))
        .route(path::REPORT, routing::post(policy::report))
        .route(path::TEXTS, routing::post(texts::report))
        .route(path::RESET_TEXT_LIMITS, routing::post(texts::reset_limits))
        .route(path::REFUSED, routing::post(policy::refused))
        .layer(DefaultBodyLimit::max(QUESTION_AT_MOST))
        .with_state(state)
}

type Answer = Result<Response, Refused>;

/// A batch of an import, with users in many groups.
const QUESTION_AT_MOST: usize = 64 * 1024 * 1024;

/// The operator who asks: only root and the owner of the socket are operators. Every operation
/// takes one before it reads the request.
struct Operator(String);

impl FromRequestParts<AppState> for Operator {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| *peer);
        peer.filter(|peer| is_operator(*peer, state.owner))
            .and_then(Peer::name)
            .map(Self)
            .ok_or_else(Refused::stranger)
    }
}

impl AppState {
    fn link_made(&self, link: &NewLink) -> LinkMade {
        let origin = &self.env().config.portal;
        LinkMade {
            name: link.name.written().to_owned(),
            link: format!("{origin}/.doorward/link/{}", link.token.expose_text()),
            expires: written(link.expires),
        }
    }
}

fn is_operator(Peer(user): Peer, owner: u32) -> bool {
    user.is_some_and(|user| user == 0 || user == owner)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::misunderstood(&error))
}

fn json(answer: &impl Serialize) -> Response {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Why an operation was refused.
struct Refused {
    status: StatusCode,
    problem: String,
}

impl Refused {
    fn nobody(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            problem: format!(
                "no user with the name or e-mail \
                                                                address {name}"
            ),
        }
    }

    fn kept(problem: String) -> Self {
        Self { status: StatusCode::CONFLICT, problem }
    }

    fn unknown(request_id: &str) -> Self {
        let problem = format!(
            "no request with the id {request_id} is remembered as refused or failed; search the log \
             for it: every request has an id"
        );
        Self { status: StatusCode::NOT_FOUND, problem }
    }

    fn no_gateway() -> Self {
        Self {
            status: StatusCode::CONFLICT,
            problem: "no gateway is running; this command needs a running gateway".to_owned(),
        }
    }

    fn stranger() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            problem: "permission denied: run this command as root or as the system user of the \
                      gateway"
                .to_owned(),
        }
    }

    fn misunderstood(why: &dyn std::fmt::Display) -> Self {
        let problem = format!("invalid request: {why}");
        Self { status: StatusCode::BAD_REQUEST, problem }
    }

    fn conflict(problem: String) -> Self {
        Self { status: StatusCode::CONFLICT, problem }
    }
}

impl From<Unavailable> for Refused {
    fn from(error: Unavailable) -> Self {
        error.log("command failed");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, problem: error.told() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = json(&Refusal { problem: self.problem });
        *response.status_mut() = self.status;
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use rand::SeedableRng;
    use tower::ServiceExt;

    use super::*;
    use crate::config::Config;
    use crate::domain::rng::SharedRng;
    use crate::domain::time::Timestamp;
    use crate::flow::Clock;
    use crate::flow::administer;
    use crate::identity::local::{Cost, Pool, Room};
    use crate::identity::{Sources, webauthn};
    use crate::metrics::Metrics;
    use crate::store::memory::Memory;
    use crate::store::{Keyring, Keys, Store};

    fn env() -> Env {
        let rng = SharedRng::new(rand::rngs::StdRng::from_seed([1; 32]));
        let keys = rng.draw(|rng| Keys::random(rng, Timestamp::default()));
        let config = include_str!("../../config/minimal.yaml");
        let room = Room::beside(1.try_into().unwrap());
        Env {
            config: Arc::new(Config::read("minimal.yaml", config).unwrap()),
            since: Arc::default(),
            store: Arc::new(Store::new(Arc::new(Memory::new()), &keys, rng.clone())),
            hashing: Arc::new(Pool::start(Cost::LEAST, room, rng.clone()).unwrap()),
            sources: Arc::new(Sources::local()),
            security_keys: Arc::new(webauthn::Verifier::default()),
            providers: Arc::default(),
            limit: Arc::default(),
            log_throttle: Arc::default(),
            decision_log: Arc::default(),
            metrics: Arc::new(Metrics::new("0")),
            access_log: Arc::default(),
            request_ids: Arc::default(),
            texts: Arc::default(),
            signer: Arc::new(Keyring::in_memory(keys)),
            clock: Arc::new(Clock::new(|| Timestamp::from_secs(1_800_000_000))),
            rng,
        }
    }

    #[tokio::test]
    async fn nobody_else_is_answered_whatever_they_ask() {
        let state = AppState { runs: Runs::Alone(Arc::new(env())), owner: 1000 };
        for (path, body) in [
            (path::ADD, r#"{"name":"eve","groups":[]}"#),
            (path::LIST, ""),
            (path::UNLOCK, r#"{"name":"eve"}"#),
            (path::TRUST_KEY, r#"{"name":"eve","key":"a"}"#),
            (path::PASSWORD_LINK, r#"{"name":"eve"}"#),
            (path::SHOW, r#"{"name":"eve"}"#),
            (path::DISABLE, r#"{"name":"eve"}"#),
            (path::ENABLE, r#"{"name":"eve"}"#),
            (path::RESET_2FA, r#"{"name":"eve"}"#),
            (path::SET, r#"{"name":"eve","no_email":true}"#),
            (path::REMOVE, r#"{"name":"eve"}"#),
            (path::KNOWN, r#"[{"name":"eve"}]"#),
            (path::RELOAD, ""),
            (path::RP_ID, r#"{"rp_id":null}"#),
            (path::WHY, r#"{"request_id":"a"}"#),
            (path::KEYS, ""),
            (path::ROTATE, r#"{"purpose":"names"}"#),
            (path::CARRY_ON, ""),
            (path::REPORT, ""),
            (path::REFUSED, ""),
            (path::IMPORT, r#"{"people":[{"who":{"name":"eve"}}],"links":true}"#),
        ] {
            for peer in [Peer(Some(1001)), Peer(None)] {
                let mut request = Request::post(path).body(Body::from(body)).unwrap();
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer = router(state.clone()).oneshot(request).await.unwrap();
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
            }
        }
        assert!(administer::list(&state.env()).await.unwrap().is_empty());
    }

    #[test]
    fn only_root_and_the_owner_of_the_socket_are_operators() {
        assert!(is_operator(Peer(Some(0)), 1000));
        assert!(is_operator(Peer(Some(1000)), 1000));
        assert!(!is_operator(Peer(Some(1001)), 1000));
        assert!(!is_operator(Peer(None), 1000));
    }
}
