//! A disk that forgets what was not synced.
//!
//! `Forgetful` is the file of a machine whose power fails at a chosen write. Up to then it behaves;
//! from then on every call fails. What is found afterwards is what was synced, and of what was
//! written since, as random numbers decide: nothing, all, or some writes and parts of writes
//! in any order, as a disk with a cache of its own may leave it.

use std::io;
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

/// One disk; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Forgetful(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    synced: Vec<u8>,
    seen: Vec<u8>,
    unsynced: Vec<Change>,
    steps: usize,
    cut_at: Option<usize>,
    rng: StdRng,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Forgetful {
    /// An empty disk whose accidents follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self::holding(Vec::new(), seed)
    }

    fn holding(bytes: Vec<u8>, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            synced: bytes.clone(),
            seen: bytes,
            unsynced: Vec::new(),
            steps: 0,
            cut_at: None,
            rng: StdRng::seed_from_u64(seed),
        })))
    }

    /// Writes, resizings and syncs so far.
    pub(crate) fn steps(&self) -> usize {
        self.0.lock().unwrap().steps
    }

    /// Cuts the power in the middle of the step that comes after `steps` more.
    pub(crate) fn cut_after(&self, steps: usize) {
        let mut disk = self.0.lock().unwrap();
        disk.cut_at = Some(disk.steps + steps);
    }

    /// Whether the power is off.
    pub(crate) fn is_off(&self) -> bool {
        self.0.lock().unwrap().is_off()
    }

    /// The disk as it is found after the power has come back.
    pub(crate) fn found_again(&self) -> Self {
        let mut disk = self.0.lock().unwrap();
        let bytes = disk.what_survives();
        let seed = disk.rng.random();
        drop(disk);
        Self::holding(bytes, seed)
    }
}

impl Disk {
    fn is_off(&self) -> bool {
        self.cut_at.is_some_and(|cut| self.steps > cut)
    }

    /// Counts a step; an error once the power is off.
    fn step(&mut self) -> io::Result<()> {
        self.power()?;
        self.steps += 1;
        Ok(())
    }

    fn power(&self) -> io::Result<()> {
        if self.is_off() { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn make(&mut self, change: Change) -> io::Result<()> {
        self.step()?;
        // The write during which the power fails is among those that may survive.
        change.apply(&mut self.seen);
        self.unsynced.push(change);
        self.power()
    }

    fn what_survives(&mut self) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let share = [0.0, 0.2, 0.5, 0.8, 1.0][self.rng.random_range(0..5)];
        for change in self.unsynced.clone() {
            match change {
                Change::Length(_) => {
                    if self.rng.random_bool(share) {
                        change.apply(&mut bytes);
                    }
                }
                // Disks write sectors whole, and in an order of their own.
                Change::Write(offset, data) => {
                    for (nth, sector) in data.chunks(SECTOR).enumerate() {
                        if self.rng.random_bool(share) {
                            let piece = Change::Write(offset + nth * SECTOR, sector.to_vec());
                            piece.apply(&mut bytes);
                        }
                    }
                }
            }
        }
        bytes
    }
}

const SECTOR: usize = 512;

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Forgetful {
    fn len(&self) -> io::Result<u64> {
        let disk = self.0.lock().unwrap();
        disk.power()?;
        Ok(disk.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        disk.power()?;
        let stretch = disk.seen.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(stretch.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().make(Change::Length(place(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        // A sync during which the power fails has promised nothing.
        disk.power()?;
        let unsynced = std::mem::take(&mut disk.unsynced);
        for change in unsynced {
            change.apply(&mut disk.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().make(Change::Write(place(offset), data.to_vec()))
    }
}
