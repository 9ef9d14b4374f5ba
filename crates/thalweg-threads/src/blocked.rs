//! The mark of a thread that waits for a peer, so that its pool does not count it as busy.

use std::cell::RefCell;
use std::sync::Arc;

/// A pool of threads, as a thread that waits in it needs it.
pub(crate) trait WorkerPool {
    /// Counts the current thread as waiting. Wakes another thread if there is work.
    fn begin_wait(self: Arc<Self>);

    /// Counts the current thread as busy again.
    fn end_wait(&self);
}

/// Marks the current thread, if it belongs to a pool, as waiting for a peer while the guard lives.
pub(crate) struct Blocked {
    pool: Option<Arc<dyn WorkerPool>>,
}

impl Blocked {
    /// Marks the current thread.
    pub(crate) fn enter() -> Self {
        let pool = POOL.with_borrow(Clone::clone);
        if let Some(pool) = &pool {
            Arc::clone(pool).begin_wait();
        }
        Self { pool }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.end_wait();
        }
    }
}

/// Makes the current thread one of `pool`.
pub(crate) fn set_pool(pool: Arc<dyn WorkerPool>) {
    POOL.set(Some(pool));
}

thread_local! {
    static POOL: RefCell<Option<Arc<dyn WorkerPool>>> = const { RefCell::new(None) };
}
