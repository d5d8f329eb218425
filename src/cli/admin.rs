//! What the gateway does for operators' commands, over its socket.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tracing::warn;

use super::api::{Done, LinkMade, NewUser, Person, Refusal, Whom, path, written};
use super::socket::{Peer, Socket};
use crate::domain::name::Login;
use crate::domain::user::{Profile, User};
use crate::flow::Env;
use crate::flow::administer::{self, Adding, NewLink};
use crate::store::Unavailable;

/// The bound socket, before it is served.
#[derive(Debug)]
pub struct Admin {
    socket: Socket,
    listener: UnixListener,
}

impl Admin {
    /// Binds the socket in the state directory `state`. The caller holds the store's lock until
    /// [`Admin::serve`] has returned.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(state: &Path) -> io::Result<Self> {
        let (socket, listener) = Socket::bind(state)?;
        Ok(Self { socket, listener })
    }

    /// Answers operators until `end` comes, then takes the socket away.
    ///
    /// # Errors
    /// What the system says.
    pub async fn serve(
        self,
        env: Arc<Env>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Self { socket, listener } = self;
        let desk = Desk { env, owner: socket.owner()? };
        let service = desks(desk).into_make_service_with_connect_info::<Peer>();
        axum::serve(listener, service).with_graceful_shutdown(end).await?;
        drop(socket);
        Ok(())
    }
}

#[derive(Clone)]
struct Desk {
    env: Arc<Env>,
    owner: u32,
}

fn desks(desk: Desk) -> Router {
    Router::new()
        .route(path::ADD, routing::post(add))
        .route(path::LIST, routing::post(list))
        .route(path::UNLOCK, routing::post(unlock))
        .route(path::PASSWORD_LINK, routing::post(password_link))
        .with_state(desk)
}

type Answer = Result<Response, Refused>;

async fn add(State(desk): State<Desk>, Operator(by): Operator, body: Bytes) -> Answer {
    let new: NewUser = read(&body)?;
    let name = new.name.clone();
    let profile = Profile {
        name: new.name,
        full_name: new.full_name.map(String::from),
        email: new.email.clone(),
        groups: new.groups,
    };
    match administer::add(&desk.env, &by, profile).await? {
        Adding::Added(link) => Ok(json(&desk.link_made(&link))),
        Adding::NameTaken => {
            Err(Refused::taken(format!("somebody signs in as {name} already; nobody was added")))
        }
        Adding::EmailTaken => Err(Refused::taken(format!(
            "somebody signs in as {} already; nobody was added",
            new.email.map_or_else(String::new, String::from)
        ))),
    }
}

async fn list(State(desk): State<Desk>, _: Operator) -> Answer {
    let everybody = administer::list(&desk.env).await?;
    Ok(json(&everybody.iter().map(person).collect::<Vec<_>>()))
}

async fn unlock(State(desk): State<Desk>, Operator(by): Operator, body: Bytes) -> Answer {
    let Whom { name } = read(&body)?;
    let unlocked = administer::unlock(&desk.env, &by, &Login::typed(&name)).await?;
    let name = unlocked.ok_or_else(|| Refused::nobody(&name))?.into();
    Ok(json(&Done { name }))
}

async fn password_link(State(desk): State<Desk>, Operator(by): Operator, body: Bytes) -> Answer {
    let Whom { name } = read(&body)?;
    let made = administer::password_link(&desk.env, &by, &Login::typed(&name)).await?;
    Ok(json(&desk.link_made(&made.ok_or_else(|| Refused::nobody(&name))?)))
}

/// The name of the operator who asks: nobody but root and the owner of the socket is one. Every
/// deed takes one, before it reads what is asked.
struct Operator(String);

impl FromRequestParts<Desk> for Operator {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| *peer);
        peer.filter(|peer| is_operator(*peer, desk.owner))
            .and_then(Peer::name)
            .map(Self)
            .ok_or_else(Refused::stranger)
    }
}

impl Desk {
    fn link_made(&self, link: &NewLink) -> LinkMade {
        let origin = &self.env.config.portal;
        LinkMade {
            name: link.name.as_str().to_owned(),
            link: format!("{origin}/.doorward/link/{}", link.token.expose_text()),
            expires: written(link.expires),
        }
    }
}

fn is_operator(Peer(user): Peer, owner: u32) -> bool {
    user.is_some_and(|user| user == 0 || user == owner)
}

fn person(user: &User) -> Person {
    let identity = user.identity();
    let (password_failures, second_factor_failures) = user.most_failures();
    Person {
        name: identity.name,
        full_name: identity.full_name,
        email: identity.email,
        groups: identity.groups,
        added: written(user.made()),
        has_password: user.password().is_some(),
        has_second_factor: user.has_second_factor(),
        recovery_codes_left: user.recovery_codes().map_or(0, |codes| codes.unused().count()),
        trusted_devices: user.devices().len(),
        password_failures,
        second_factor_failures,
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused {
        status: StatusCode::BAD_REQUEST,
        problem: format!("the question is not understood: {error}"),
    })
}

fn json(answer: &impl Serialize) -> Response {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Why something is not done.
struct Refused {
    status: StatusCode,
    problem: String,
}

impl Refused {
    fn nobody(name: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, problem: format!("nobody signs in as {name}") }
    }

    fn stranger() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            problem: "only root and the system user of the gateway may ask for this".to_owned(),
        }
    }

    fn taken(problem: String) -> Self {
        Self { status: StatusCode::CONFLICT, problem }
    }
}

impl From<Unavailable> for Refused {
    fn from(error: Unavailable) -> Self {
        warn!(%error, "an operator's command met a store that is away");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            problem: "the store is not available; the log of the gateway says why".to_owned(),
        }
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
    use crate::domain::chance::Chance;
    use crate::domain::signed::Signer;
    use crate::domain::time::Timestamp;
    use crate::flow::Clock;
    use crate::identity::local::{Cost, Pool, Room};
    use crate::metrics::Metrics;
    use crate::store::memory::Memory;
    use crate::store::{Keys, Store};

    fn env() -> Env {
        let chance = Chance::new(rand::rngs::StdRng::from_seed([1; 32]));
        let keys = chance.draw(|rng| Keys::random(rng));
        let cookie_keys = keys.cookie();
        let config = include_str!("../../config/minimal.yaml");
        let room = Room::beside(1.try_into().unwrap());
        Env {
            config: Arc::new(Config::read("minimal.yaml", config).unwrap()),
            since: Arc::default(),
            store: Arc::new(Store::new(Arc::new(Memory::new()), &keys, chance.clone())),
            hashing: Arc::new(Pool::start(Cost::LEAST, room, chance.clone()).unwrap()),
            limit: Arc::default(),
            lines: Arc::default(),
            witness: Arc::default(),
            metrics: Arc::new(Metrics::new("0")),
            signer: Arc::new(Signer::new(cookie_keys.iter().map(|(id, key)| (*id, key))).unwrap()),
            clock: Arc::new(Clock::new(|| Timestamp::from_secs(1_800_000_000))),
            chance,
        }
    }

    #[tokio::test]
    async fn nobody_else_is_answered_whatever_they_ask() {
        let desk = Desk { env: Arc::new(env()), owner: 1000 };
        for (path, body) in [
            (path::ADD, r#"{"name":"eve","groups":[]}"#),
            (path::LIST, ""),
            (path::UNLOCK, r#"{"name":"eve"}"#),
            (path::PASSWORD_LINK, r#"{"name":"eve"}"#),
        ] {
            for peer in [Peer(Some(1001)), Peer(None)] {
                let mut request = Request::post(path).body(Body::from(body)).unwrap();
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer = desks(desk.clone()).oneshot(request).await.unwrap();
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
            }
        }
        assert!(administer::list(&desk.env).await.unwrap().is_empty());
    }

    #[test]
    fn only_root_and_the_owner_of_the_socket_are_operators() {
        assert!(is_operator(Peer(Some(0)), 1000));
        assert!(is_operator(Peer(Some(1000)), 1000));
        assert!(!is_operator(Peer(Some(1001)), 1000));
        assert!(!is_operator(Peer(None), 1000));
    }
}
