//! A disk that refuses what is written to it for a while: it is full, or broken.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// One disk; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Refusing(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    steps: usize,
    refuses: Option<(usize, How)>,
}

/// How a disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It takes the beginning of what is written, and syncs what it took.
    Full,
    /// It takes nothing, and cannot say what it took before.
    Broken,
}

impl Refusing {
    /// An empty disk that refuses nothing.
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Writes, resizings and syncs so far.
    pub(crate) fn steps(&self) -> usize {
        self.0.lock().unwrap().steps
    }

    /// Refuses everything after so many more steps.
    pub(crate) fn refuses_after(&self, steps: usize, how: How) {
        let mut disk = self.0.lock().unwrap();
        disk.refuses = Some((disk.steps + steps, how));
    }

    /// Refuses nothing any more.
    pub(crate) fn heals(&self) {
        self.0.lock().unwrap().refuses = None;
    }
}

impl Disk {
    /// Counts a step; how it is refused, if it is.
    fn step(&mut self) -> Option<How> {
        self.steps += 1;
        self.refuses.filter(|(after, _)| self.steps > *after).map(|(_, how)| how)
    }

    fn put(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(data);
    }
}

fn no_space() -> io::Error {
    io::Error::from_raw_os_error(28)
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Refusing {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let stretch = disk.bytes.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(stretch.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        match disk.step() {
            Some(How::Full) if place(len) > disk.bytes.len() => return Err(no_space()),
            Some(How::Broken) => return Err(broken()),
            _ => {}
        }
        disk.bytes.resize(place(len), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.0.lock().unwrap().step() {
            Some(How::Broken) => Err(broken()),
            _ => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        match disk.step() {
            None => disk.put(place(offset), data),
            // The head of the file has its place already.
            Some(How::Full) if offset == 0 => disk.put(0, data),
            Some(How::Full) => {
                disk.put(place(offset), &data[..data.len() / 2]);
                return Err(no_space());
            }
            Some(How::Broken) => return Err(broken()),
        }
        Ok(())
    }
}
