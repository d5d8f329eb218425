//! Verifies a file while it is being read.
//!
//! redb verifies a whole file only in a mode in which it may also repair it, with nobody else using
//! it. So it gets a copy-on-write view (the picture): it reads the real content, and its writes
//! stay in memory. Meanwhile the file is guarded: nothing is written to it, not even what redb
//! writes itself when it closes a file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, Database, StorageBackend};

use super::disk::OnDisk;
use super::error::{OpenError, opened};

const BLOCK: usize = 4096;

type Block = Box<[u8; BLOCK]>;

/// A file that several users share. Clones refer to the same file.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    file: Arc<dyn StorageBackend>,
    on_disk: Option<Arc<OnDisk>>,
    guarded: Arc<AtomicBool>,
    kept_locked: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(file: impl StorageBackend) -> Self {
        Self {
            file: Arc::new(file),
            on_disk: None,
            guarded: Arc::default(),
            kept_locked: Arc::default(),
        }
    }

    /// A file in a file system, which allows more operations than redb uses.
    pub(super) fn on_disk(file: impl StorageBackend, on_disk: OnDisk) -> Self {
        Self { on_disk: Some(Arc::new(on_disk)), ..Self::new(file) }
    }

    /// The additional operations, if it is a file in a file system.
    pub(super) fn disk(&self) -> Option<&OnDisk> {
        self.on_disk.as_deref()
    }

    /// Sets whether the file stays locked when redb closes it. While it is reopened here, no other
    /// process may open it.
    pub(super) fn keep_locked(&self, kept: bool) {
        self.kept_locked.store(kept, Ordering::SeqCst);
    }

    fn is_kept_locked(&self) -> bool {
        self.kept_locked.load(Ordering::SeqCst)
    }

    /// Sets whether writes are refused.
    pub(super) fn guard(&self, guarded: bool) {
        self.guarded.store(guarded, Ordering::SeqCst);
    }

    fn unguarded(&self) -> io::Result<&dyn StorageBackend> {
        if self.guarded.load(Ordering::SeqCst) {
            return Err(io::Error::other("the file is read-only until it is verified"));
        }
        Ok(&*self.file)
    }
}

/// A copy-on-write view of a file. Nobody may write to the file while the view exists.
pub(super) struct Picture {
    file: Shared,
    drawn: Mutex<Drawn>,
    called_off: Arc<AtomicBool>,
}

/// The writes to the picture. Truncated and added ranges take no memory, because they read as
/// zeros; redb may truncate half of a file at once.
struct Drawn {
    length: u64,
    /// Below this offset, unwritten blocks show the file; above it, zeros.
    seen: u64,
    blocks: HashMap<u64, Block>,
}

impl Picture {
    /// A view of `file`. When `called_off` becomes true, reads fail.
    pub(super) fn of(file: Shared, called_off: Arc<AtomicBool>) -> io::Result<Self> {
        let length = file.len()?;
        let drawn = Drawn { length, seen: length, blocks: HashMap::new() };
        Ok(Self { file, drawn: Mutex::new(drawn), called_off })
    }

    /// Verifies every page.
    pub(super) fn verify(self) -> Result<(), OpenError> {
        opened(|| {
            Database::builder()
                .set_cache_size(CACHE)
                .set_check_integrity_on_open(true)
                .create_with_backend(self)
        })
        .map(drop)
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block that can be written; copied from the file at first use.
    fn block<'d>(&self, drawn: &'d mut Drawn, number: u64) -> io::Result<&'d mut Block> {
        Ok(match drawn.blocks.entry(number) {
            Entry::Occupied(block) => block.into_mut(),
            Entry::Vacant(place) => {
                let mut block = Box::new([0; BLOCK]);
                let (from, to) = overlap(number, 0, drawn.seen);
                if from < to {
                    self.file.read(number * BLOCK as u64, &mut block[from..to])?;
                }
                place.insert(block)
            }
        })
    }
}

/// The cache size in bytes. Verification reads each page only once or twice, so a larger cache
/// would not help.
const CACHE: usize = 1 << 20;

impl StorageBackend for Picture {
    fn len(&self) -> io::Result<u64> {
        Ok(self.drawn().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.called_off.load(Ordering::Relaxed) {
            return Err(io::Error::other("the check was cancelled"));
        }
        let drawn = self.drawn();
        let end = offset.saturating_add(out.len() as u64);
        if end > drawn.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (seen, unseen) = out.split_at_mut(usize_of(drawn.seen.clamp(offset, end) - offset));
        if !seen.is_empty() {
            self.file.read(offset, seen)?;
        }
        unseen.fill(0);
        for number in blocks(offset, end) {
            if let Some(block) = drawn.blocks.get(&number) {
                let (from, to) = overlap(number, offset, end);
                let place = usize_of(number * BLOCK as u64 + from as u64 - offset);
                out[place..place + to - from].copy_from_slice(&block[from..to]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut drawn = self.drawn();
        drawn.seen = drawn.seen.min(len);
        if len < drawn.length {
            drawn.blocks.retain(|number, _| number * (BLOCK as u64) < len);
            if let Some(last) = drawn.blocks.get_mut(&(len / BLOCK as u64)) {
                last[usize_of(len % BLOCK as u64)..].fill(0);
            }
        }
        drawn.length = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut drawn = self.drawn();
        let end = offset + data.len() as u64;
        for number in blocks(offset, end) {
            let (from, to) = overlap(number, offset, end);
            let place = usize_of(number * BLOCK as u64 + from as u64 - offset);
            self.block(&mut drawn, number)?[from..to]
                .copy_from_slice(&data[place..place + to - from]);
        }
        Ok(())
    }
}

/// The numbers of the blocks that overlap `start..end`.
fn blocks(start: u64, end: u64) -> std::ops::Range<u64> {
    let block = BLOCK as u64;
    if start < end { start / block..end.div_ceil(block) } else { 0..0 }
}

/// The part of a block that lies in `start..end`.
fn overlap(number: u64, start: u64, end: u64) -> (usize, usize) {
    let begins = number * BLOCK as u64;
    let within = |place: u64| usize_of(place.saturating_sub(begins).min(BLOCK as u64));
    (within(start), within(end))
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Picture(…)")
    }
}

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.unguarded()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.unguarded()?.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        if self.is_kept_locked() { Ok(()) } else { self.file.close() }
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.is_kept_locked() { Ok(()) } else { self.file.unlock_range(start, end) }
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use redb::backends::InMemoryBackend;

    use super::*;

    fn all_of(file: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; usize_of(file.len().unwrap())];
        file.read(0, &mut bytes).unwrap();
        bytes
    }

    fn scribble(file: &dyn StorageBackend, rng: &mut StdRng) {
        let length = file.len().unwrap();
        if rng.random_ratio(1, 5) {
            file.set_len(rng.random_range(0..60_000)).unwrap();
        } else if length > 0 {
            let start = rng.random_range(0..length);
            let data = vec![rng.random(); usize_of((length - start).min(9_000))];
            file.write(start, &data).unwrap();
        }
    }

    #[test]
    fn a_picture_is_like_the_file_and_nothing_drawn_on_it_reaches_the_file() {
        let mut rng = StdRng::seed_from_u64(7);
        for _ in 0..50 {
            let file = Shared::new(InMemoryBackend::new());
            (0..20).for_each(|_| scribble(&file, &mut rng));
            let (before, plain) = (all_of(&file), InMemoryBackend::new());
            plain.set_len(before.len() as u64).unwrap();
            plain.write(0, &before).unwrap();
            let picture = Picture::of(file.clone(), Arc::default()).unwrap();
            let seed = rng.random();
            for drawn_on in [&picture as &dyn StorageBackend, &plain] {
                let mut rng = StdRng::seed_from_u64(seed);
                (0..20).for_each(|_| scribble(drawn_on, &mut rng));
            }
            assert_eq!(all_of(&picture), all_of(&plain));
            assert_eq!(all_of(&file), before);
        }
    }

    #[test]
    fn what_is_cut_off_or_added_takes_no_memory() {
        let file = Shared::new(InMemoryBackend::new());
        file.set_len(9 << 20).unwrap();
        file.write(0, &vec![7; 9 << 20]).unwrap();
        let picture = Picture::of(file, Arc::default()).unwrap();
        for length in [(4 << 20) + 5, 9 << 20, 64 << 20, 5 << 20] {
            picture.set_len(length).unwrap();
        }
        let drawn = picture.drawn().blocks.len();
        assert!(drawn <= 1, "{drawn} blocks");
        let mut edge = [9; 9];
        picture.read(4 << 20, &mut edge).unwrap();
        assert_eq!(edge, [7, 7, 7, 7, 7, 0, 0, 0, 0]);
    }

    #[test]
    fn a_picture_that_was_called_off_cannot_be_read() {
        let called_off = Arc::new(AtomicBool::new(false));
        let file = Shared::new(InMemoryBackend::new());
        file.set_len(9).unwrap();
        let picture = Picture::of(file, Arc::clone(&called_off)).unwrap();
        assert!(picture.read(0, &mut [0; 9]).is_ok());
        called_off.store(true, Ordering::Relaxed);
        assert!(picture.read(0, &mut [0; 9]).is_err());
    }
}
