//! The keys that the running process uses, and the file in which they are kept.
//!
//! A change is written to the file first, and used once it is on disk. So a crash never leaves a
//! record, a name or a cookie whose key is lost.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use tokio::sync::{Mutex, MutexGuard};

use super::file::Keys;
use super::names::NameKeys;
use super::purpose::Purpose;
use super::ring::Ring;
use crate::domain::provider::StateKey;
use crate::domain::secret::Secret;
use crate::domain::signed::{Kind, Signer};
use crate::domain::time::Timestamp;
use crate::store::record::Kind as RecordKind;
use crate::store::sealing::Sealer;
use crate::store::state_folder::{StateError, StateFolder};
use crate::unavailable::Unavailable;

/// The keys of an installation, as they are now.
pub struct Keyring {
    /// `None`: they are kept nowhere, for tests.
    file: Option<StateFolder>,
    in_use: ArcSwap<InUse>,
    /// Held by whoever changes the keys.
    turn: Mutex<()>,
    /// How often a key that had signed cookies was dropped.
    dropped: AtomicU64,
}

/// What is made of the keys once, instead of for each use.
struct InUse {
    keys: Keys,
    sealer: Arc<Sealer>,
    names: Arc<NameKeys>,
    cookies: Option<Signer>,
    csrf: Option<Signer>,
}

impl InUse {
    fn new(keys: Keys) -> Self {
        let signer = |purpose| {
            let secrets = keys.secrets(purpose);
            Signer::new(secrets.iter().map(|(id, key)| (*id, key)))
        };
        Self {
            sealer: Arc::new(Sealer::new(&keys)),
            names: Arc::new(NameKeys::new(&keys)),
            cookies: signer(Purpose::Cookies),
            csrf: signer(Purpose::Csrf),
            keys,
        }
    }

    fn signer(&self, kind: Kind) -> Option<&Signer> {
        match kind {
            Kind::Csrf | Kind::Passkey => self.csrf.as_ref(),
            Kind::Session | Kind::Device | Kind::Known | Kind::Browser | Kind::Ask | Kind::Left => {
                self.cookies.as_ref()
            }
        }
    }
}

impl Keyring {
    /// The keys in `state`; see [`Keys::of`].
    ///
    /// # Errors
    /// Like [`Keys::of`].
    pub fn of(
        state: StateFolder,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let keys = Keys::of(&state, rng, now)?;
        Ok(Self { file: Some(state), ..Self::in_memory(keys) })
    }

    /// Keys that are kept nowhere.
    pub fn in_memory(keys: Keys) -> Self {
        let in_use = ArcSwap::from_pointee(InUse::new(keys));
        Self { file: None, in_use, turn: Mutex::new(()), dropped: AtomicU64::new(0) }
    }

    /// Changes when a key that had signed cookies is dropped: a cookie that was accepted before need
    /// not be any more.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    /// The keys for one purpose.
    pub fn ring(&self, purpose: Purpose) -> Ring {
        self.in_use.load().keys.ring(purpose).clone()
    }

    /// Signs `payload` for `host`; see [`Signer::sign`].
    pub fn sign(&self, kind: Kind, host: &str, payload: &[u8]) -> String {
        let in_use = self.in_use.load();
        in_use.signer(kind).map_or_else(String::new, |signer| signer.sign(kind, host, payload))
    }

    /// Verifies a signed value; see [`Signer::open`].
    pub fn open<const N: usize>(&self, kind: Kind, host: &str, text: &str) -> Option<[u8; N]> {
        self.in_use.load().signer(kind)?.open(kind, host, text)
    }

    /// Seals what a browser carries to an identity provider and back, for `host` and the state with
    /// this key. It can be opened until the next rotation of the sealing keys has ended.
    ///
    /// # Errors
    /// Like [`Sealer::seal`].
    pub fn seal_detour(
        &self,
        rng: &mut dyn CryptoRng,
        host: &str,
        state: &StateKey,
        body: &[u8],
    ) -> Result<Vec<u8>, Unavailable> {
        self.sealer().seal(rng, RecordKind::SpentState, &carried(host, state.as_ref()), body)
    }

    /// Opens it again; `None` if we did not seal it for this host and state.
    pub fn open_detour(&self, host: &str, state: &StateKey, sealed: &[u8]) -> Option<Secret> {
        self.sealer().open(RecordKind::SpentState, &carried(host, state.as_ref()), sealed).ok()
    }

    /// Seals the names of hosts that a browser carries past an identity provider when its user signs
    /// out, for `host`: the provider must not read them. The result is text for a URL. It can be
    /// opened for as long as a detour.
    ///
    /// # Errors
    /// Like [`Sealer::seal`].
    pub fn seal_left(
        &self,
        rng: &mut dyn CryptoRng,
        host: &str,
        hosts: &str,
    ) -> Result<String, Unavailable> {
        let place = carried(host, LEFT);
        let sealed = self.sealer().seal(rng, RecordKind::SpentState, &place, hosts.as_bytes())?;
        Ok(BASE64URL_NOPAD.encode(&sealed))
    }

    /// Opens it again; `None` if we did not seal it for this host.
    pub fn open_left(&self, host: &str, text: &str) -> Option<String> {
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let place = carried(host, LEFT);
        let hosts = self.sealer().open(RecordKind::SpentState, &place, &sealed).ok()?;
        String::from_utf8(hosts.expose().to_vec()).ok()
    }

    pub(in crate::store) fn keys(&self) -> Keys {
        self.in_use.load().keys.clone()
    }

    pub(in crate::store) fn sealer(&self) -> Arc<Sealer> {
        Arc::clone(&self.in_use.load().sealer)
    }

    pub(in crate::store) fn names(&self) -> Arc<NameKeys> {
        Arc::clone(&self.in_use.load().names)
    }

    /// Waits until nobody else changes the keys.
    pub(in crate::store) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Writes `keys` to the file. The caller has the [`Keyring::turn`].
    ///
    /// # Errors
    /// The system's error: then the keys in use are not changed, and the file has them, too.
    pub(in crate::store) async fn write(&self, keys: &Keys) -> io::Result<()> {
        let Some(state) = self.file.clone() else { return Ok(()) };
        let keys = keys.clone();
        // It waits for the disk.
        tokio::task::spawn_blocking(move || keys.write(&state)).await?
    }

    /// Uses `keys` from now on. They are in the file.
    pub(in crate::store) fn take_up(&self, keys: Keys) {
        let of_cookies = |keys: &Keys| {
            keys.ring(Purpose::Cookies).all().map(|held| held.id).collect::<BTreeSet<_>>()
        };
        let stays = of_cookies(&keys);
        let before = self.in_use.swap(Arc::new(InUse::new(keys)));
        if !of_cookies(&before.keys).is_subset(&stays) {
            self.dropped.fetch_add(1, Ordering::Release);
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}
/// Where something belongs that a browser carries: no record has such a key.
fn carried(host: &str, what: &[u8]) -> Vec<u8> {
    [b"carried by a browser\0", host.as_bytes(), b"\0", what].concat()
}

/// The names of hosts that were left. The key of a state is longer.
const LEFT: &[u8] = b"left";
