//! Work that needs much memory for a moment, on a thread of its own.

use std::panic::resume_unwind;
use std::thread;

/// Does `work` on a new thread with this name, and waits for it. When the thread ends, the allocator
/// frees what `work` left behind; on a thread that goes on, it would be mixed with what that thread
/// uses later.
pub(super) fn on_own_thread<T: Send>(name: &str, work: impl Fn() -> T + Sync) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, &work) {
            Ok(working) => working.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // The system has no thread left; only memory depends on it.
            Err(_) => work(),
        }
    })
}

/// In bytes; as large as that of the main thread.
const STACK: usize = 8 << 20;
