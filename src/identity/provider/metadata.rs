//! What is known of an OpenID provider: its endpoints and its keys, fetched when they are needed and
//! kept for a while. All who need them at the same time wait for one request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::ACCEPT;
use jsonwebtoken::jwk::Jwk;
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::{Endpoints, Fault, Provider, discovery, id_token};
use crate::domain::reach::{Reach, is_public};
use crate::domain::time::Timestamp;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    known: Mutex<Known>,
    /// Held by whoever fetches something.
    turn: Turn<()>,
}

#[derive(Debug, Default)]
struct Known {
    endpoints: Option<(Arc<Endpoints>, Timestamp)>,
    keys: Option<(Arc<[Jwk]>, Timestamp)>,
    /// Where the issuer is.
    is_public: bool,
    /// The last failure to fetch the endpoints, and when.
    failed: Option<(Fault, Timestamp)>,
    /// The same of the keys.
    keys_failed: Option<(Fault, Timestamp)>,
}

/// How long a discovery document and keys are used before they are fetched again.
const FRESH: Duration = Duration::from_hours(1);
/// For how long they are used if they cannot be fetched again.
const STALE: Duration = Duration::from_hours(24);
/// How long a failure is answered to everybody without another try.
const FAILED: Duration = Duration::from_secs(5);
/// Keys are fetched again for an unknown key id at most this often.
const KEYS_AGAIN: Duration = Duration::from_mins(1);

impl Metadata {
    /// The endpoints. Whoever has some that are usable waits for nobody else's request.
    pub(super) async fn endpoints(
        &self,
        provider: &Provider,
        now: Timestamp,
    ) -> Result<Arc<Endpoints>, Fault> {
        if let Some(settled) = self.known().settled_endpoints(now) {
            return settled;
        }
        let stale = self.known().stale_endpoints(now);
        let turn = match stale {
            Some(stale) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(stale),
            },
            None => self.turn.lock().await,
        };
        // Somebody else has asked meanwhile.
        if let Some(settled) = self.known().settled_endpoints(now) {
            return settled;
        }
        let began = Instant::now();
        let discovered = discover(provider).await;
        drop(turn);
        let mut known = self.known();
        match discovered {
            Ok((endpoints, is_public)) => {
                let endpoints = Arc::new(endpoints);
                known.endpoints = Some((Arc::clone(&endpoints), now));
                known.is_public = is_public;
                known.failed = None;
                Ok(endpoints)
            }
            Err(fault) => {
                known.failed = Some((fault.clone(), now.plus(began.elapsed())));
                // A document that cannot be accepted replaces what was known of the provider.
                match fault {
                    Fault::Unavailable(_) => known.stale_endpoints(now).ok_or(fault),
                    Fault::Refused(_) => {
                        known.endpoints = None;
                        Err(fault)
                    }
                }
            }
        }
    }

    /// The origins to which browsers are sent, as far as they are known.
    pub(super) fn origins(&self) -> Vec<String> {
        let known = self.known();
        let endpoints = known.endpoints.iter();
        let urls = endpoints.flat_map(|(all, _)| {
            std::iter::once(&all.authorization).chain(all.end_session.as_ref())
        });
        urls.map(|url| url.origin().ascii_serialization()).collect()
    }

    /// Where the provider's endpoints may be.
    pub(super) fn reach(&self) -> Reach {
        self.known().reach()
    }

    /// The keys, one of which should have signed `token`. If none can have, they are fetched again,
    /// at most once a minute.
    pub(super) async fn keys_for(
        &self,
        provider: &Provider,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<[Jwk]>, Fault> {
        let endpoints = self.endpoints(provider, now).await?;
        if let Some(settled) = self.known().settled_keys(token, now) {
            return settled;
        }
        let usable = self.known().stale_keys(now);
        let fits = |keys: &Arc<[Jwk]>| id_token::is_signed_by_one_of(token, keys);
        let turn = match usable.filter(fits) {
            Some(usable) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(usable),
            },
            None => self.turn.lock().await,
        };
        if let Some(settled) = self.known().settled_keys(token, now) {
            return settled;
        }
        let fetched = self.fetch_keys(provider, &endpoints, now).await;
        drop(turn);
        fetched.or_else(|fault| self.known().stale_keys(now).ok_or(fault))
    }

    /// The keys that are known and fresh.
    pub(super) fn known_keys(&self, now: Timestamp) -> Option<Arc<[Jwk]>> {
        let known = self.known();
        let kept = known.keys.as_ref().filter(|(_, at)| now.within(FRESH, *at));
        kept.map(|(keys, _)| Arc::clone(keys))
    }

    /// The keys, as they are now.
    pub(super) async fn keys(
        &self,
        provider: &Provider,
        now: Timestamp,
    ) -> Result<Arc<[Jwk]>, Fault> {
        let endpoints = self.endpoints(provider, now).await?;
        self.fetch_keys(provider, &endpoints, now).await
    }

    async fn fetch_keys(
        &self,
        provider: &Provider,
        endpoints: &Endpoints,
        now: Timestamp,
    ) -> Result<Arc<[Jwk]>, Fault> {
        let (reach, began) = (self.reach(), Instant::now());
        let fetched = fetch(provider, endpoints.keys.as_str(), "key", reach).await;
        let keys = fetched.and_then(|(body, _)| Ok(Arc::<[Jwk]>::from(id_token::keys(&body)?)));
        let mut known = self.known();
        match &keys {
            Ok(keys) => {
                known.keys = Some((Arc::clone(keys), now));
                known.keys_failed = None;
            }
            Err(fault) => known.keys_failed = Some((fault.clone(), now.plus(began.elapsed()))),
        }
        keys
    }

    /// What is known was complete before a panic, too.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The endpoints, or why there are none, if nobody need ask the provider for that.
    fn settled_endpoints(&self, now: Timestamp) -> Option<Result<Arc<Endpoints>, Fault>> {
        if let Some((endpoints, at)) = &self.endpoints
            && now.within(FRESH, *at)
        {
            return Some(Ok(Arc::clone(endpoints)));
        }
        let fault = recent(self.failed.as_ref(), now)?;
        Some(self.stale_endpoints(now).ok_or_else(|| fault.clone()))
    }

    /// The same for the keys that should have signed `token`.
    fn settled_keys(&self, token: &str, now: Timestamp) -> Option<Result<Arc<[Jwk]>, Fault>> {
        if let Some((keys, at)) = &self.keys {
            let fits = id_token::is_signed_by_one_of(token, keys);
            if (fits && now.within(FRESH, *at)) || (!fits && now.within(KEYS_AGAIN, *at)) {
                return Some(Ok(Arc::clone(keys)));
            }
        }
        let fault = recent(self.keys_failed.as_ref(), now)?;
        Some(self.stale_keys(now).ok_or_else(|| fault.clone()))
    }

    fn stale_keys(&self, now: Timestamp) -> Option<Arc<[Jwk]>> {
        let kept = self.keys.as_ref().filter(|(_, at)| now.within(STALE, *at));
        kept.map(|(keys, _)| Arc::clone(keys))
    }

    fn stale_endpoints(&self, now: Timestamp) -> Option<Arc<Endpoints>> {
        let kept = self.endpoints.as_ref().filter(|(_, at)| now.within(STALE, *at));
        kept.map(|(endpoints, _)| Arc::clone(endpoints))
    }

    fn reach(&self) -> Reach {
        if self.is_public { Reach::Public } else { Reach::Anywhere }
    }
}

/// A failure that is answered to everybody, also to those who waited for the try that failed.
fn recent(failed: Option<&(Fault, Timestamp)>, now: Timestamp) -> Option<&Fault> {
    failed.filter(|(_, at)| now < at.plus(FAILED)).map(|(fault, _)| fault)
}

/// Asks the issuer for its discovery document. Says whether it is on the public internet.
async fn discover(provider: &Provider) -> Result<(Endpoints, bool), Fault> {
    let issuer = &provider.settings.issuer;
    let url = discovery::document_url(issuer);
    let (body, is_public) = fetch(provider, &url, "discovery", Reach::Anywhere).await?;
    let reach = if is_public { Reach::Public } else { Reach::Anywhere };
    Ok((discovery::read(&body, issuer, reach)?, is_public))
}

async fn fetch(
    provider: &Provider,
    url: &str,
    what: &'static str,
    reach: Reach,
) -> Result<(Bytes, bool), Fault> {
    let request = Request::get(url).header(ACCEPT, "application/json").body(Bytes::new());
    let answer = provider.asks.sent(request, what, reach).await?;
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        return Err(Fault::Unavailable(format!("the {what} endpoint answers {status}")));
    }
    Ok((answer.body, is_public(answer.peer)))
}
