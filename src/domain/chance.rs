//! Where random bits come from: handed in, never called for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand_core::CryptoRng;

/// A generator that many may draw from, one at a time. The real one is the operating system's; a
/// test hands in one that it has seeded.
#[derive(Clone)]
pub struct Chance(Arc<Mutex<dyn CryptoRng + Send>>);

impl Chance {
    /// Draws from `rng`.
    pub fn new(rng: impl CryptoRng + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    /// Lets `draw` take what it needs.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut dyn CryptoRng) -> T) -> T {
        // A panic while drawing leaves a generator as good as before.
        draw(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance(…)")
    }
}
