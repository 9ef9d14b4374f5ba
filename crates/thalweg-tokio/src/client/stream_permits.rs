//! The peer's limit of concurrent streams, as permits that callers wait for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The driver's side. It changes the number of permits as the peer changes its limit.
#[derive(Debug)]
pub(crate) struct StreamPermits {
    semaphore: Arc<Semaphore>,
    limit: usize,
    /// Issued permits beyond the limit. They are dropped when they are released.
    excess: usize,
}

impl StreamPermits {
    /// Creates the permits that a client may assume before it receives the peer's SETTINGS.
    pub(crate) fn new() -> Self {
        Self { semaphore: Arc::new(Semaphore::new(LIMIT_INITIAL)), limit: LIMIT_INITIAL, excess: 0 }
    }

    /// Returns the callers' side.
    pub(crate) fn semaphore(&self) -> Arc<Semaphore> {
        Arc::clone(&self.semaphore)
    }

    /// Applies the peer's SETTINGS_MAX_CONCURRENT_STREAMS.
    pub(crate) fn set_limit(&mut self, limit: u32) {
        let limit = (limit as usize).min(LIMIT_MAX);
        if limit > self.limit {
            let more = limit - self.limit;
            let kept = more.min(self.excess);
            self.excess -= kept;
            self.semaphore.add_permits(more - kept);
        } else {
            let fewer = self.limit - limit;
            self.excess += fewer - self.semaphore.forget_permits(fewer);
        }
        self.limit = limit;
    }

    /// Returns the permit of a stream that has ended.
    pub(crate) fn release(&mut self, permit: OwnedSemaphorePermit) {
        if self.excess > 0 {
            self.excess -= 1;
            permit.forget();
        }
    }

    /// Closes the semaphore, which wakes all waiting callers with an error.
    pub(crate) fn close(&self) {
        self.semaphore.close();
    }
}

/// RFC 9113 §6.5.2 recommends a value no smaller than 100.
const LIMIT_INITIAL: usize = 100;
/// More than the number of stream identifiers.
const LIMIT_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_follow_the_limit_even_below_the_number_issued() {
        let mut permits = StreamPermits::new();
        let semaphore = permits.semaphore();
        permits.set_limit(3);
        let mut out: Vec<_> = (0..3).map(|_| Arc::clone(&semaphore).try_acquire_owned().unwrap()).collect();
        assert_eq!(semaphore.available_permits(), 0);
        permits.set_limit(1);
        permits.release(out.remove(0));
        permits.release(out.remove(0));
        assert_eq!(semaphore.available_permits(), 0, "one stream is open, and one is allowed");
        permits.release(out.remove(0));
        assert_eq!(semaphore.available_permits(), 1);

        let _out: Vec<_> = (0..1).map(|_| Arc::clone(&semaphore).try_acquire_owned().unwrap()).collect();
        permits.set_limit(0);
        permits.set_limit(2);
        assert_eq!(semaphore.available_permits(), 1, "one of two is out");
    }
}
