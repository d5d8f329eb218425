//! The random generator that is passed in as an argument, so that tests can seed it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand_core::CryptoRng;

/// A shared random generator; callers take turns. In production it is the operating system's, in
/// tests a seeded one.
#[derive(Clone)]
pub struct SharedRng(Arc<Mutex<dyn CryptoRng + Send>>);

impl SharedRng {
    /// Wraps `rng`.
    pub fn new(rng: impl CryptoRng + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    /// Runs `draw` with exclusive use of the generator.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut dyn CryptoRng) -> T) -> T {
        // A panic in `draw` cannot corrupt the generator, so a poisoned lock is safe to use.
        draw(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for SharedRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance(…)")
    }
}
