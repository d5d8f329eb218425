//! A thread that has made something, and waits until it may free it.
//!
//! The allocator keeps memory for each thread. If another thread frees what this one has made, the
//! system gets it back late or never. If this one frees it, and ends, the system gets it back at once.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// The thread that has made a `T`. It ends when this is dropped, or has freed the `T`.
#[derive(Debug)]
pub(super) struct Keeper<T>(Sender<T>);

impl<T: Send + 'static> Keeper<T> {
    /// What `copy` makes of `original` on a new thread with this name, and that thread. If there can be
    /// none, it is the original.
    pub(super) fn copies(
        name: &str,
        original: T,
        copy: impl FnOnce(&T) -> T + Send + 'static,
    ) -> (T, Option<Self>)
    where
        T: Clone + Sync,
    {
        let original = Arc::new(original);
        let from = Arc::clone(&original);
        let (tell, told) = channel();
        let (give, returned) = channel();
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        let keeps = move || {
            let copied = copy(&from);
            drop(from);
            if tell.send(copied).is_ok() {
                drop(returned.recv());
            }
        };
        match thread.spawn(keeps).ok().and_then(|_| told.recv().ok()) {
            Some(copied) => (copied, Some(Self(give))),
            None => (Arc::unwrap_or_clone(original), None),
        }
    }

    /// Lets the thread free `kept` once nobody else uses it.
    pub(super) async fn frees(self, mut kept: Arc<T>) {
        loop {
            match Arc::try_unwrap(kept) {
                Ok(kept) => {
                    // It is freed here if the thread has panicked.
                    self.0.send(kept).ok();
                    return;
                }
                Err(used) => kept = used,
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }
}

/// In bytes; as large as that of the main thread.
const STACK: usize = 8 << 20;
/// How often something that is still used is looked at.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    /// Tells which thread drops it.
    #[derive(Clone, Debug)]
    struct Told(Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).ok();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_copied_is_freed_where_it_was_made_once_nobody_uses_it() {
        let (here, original) = channel();
        let (there, copied) = channel();
        let (made, maker) = channel();
        let (kept, keeper) = Keeper::copies("keeper", Told(here), move |_| {
            made.send(thread::current().id()).unwrap();
            Told(there)
        });
        assert_eq!(original.try_recv(), Ok(thread::current().id()), "nothing keeps the original");
        let kept = Arc::new(kept);
        let used = Arc::clone(&kept);
        let frees = tokio::spawn(keeper.unwrap().frees(kept));
        tokio::time::sleep(LOOK_AGAIN_AFTER * 3).await;
        assert!(copied.try_recv().is_err(), "it is still used");
        drop(used);
        frees.await.unwrap();
        assert_eq!(copied.recv(), maker.recv());
    }
}
