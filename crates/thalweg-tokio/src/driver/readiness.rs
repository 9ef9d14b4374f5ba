//! Whether the runtime has looked for input since a timeout expired.
//!
//! A tokio transport is readable only once the runtime has polled the operating system. A handler
//! that blocks its worker thread, or a suspended process, leaves input in the transport that
//! `poll_read` does not find yet. So before a timeout fires, the driver sleeps until the runtime
//! has polled once.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::task;

/// A request to the runtime to poll for input before it wakes the task.
#[derive(Debug)]
pub(crate) struct RuntimePoll(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    is_complete: AtomicBool,
    task: Waker,
}

impl RuntimePoll {
    /// Requests it. The runtime wakes the task after it has polled.
    pub(crate) fn request(cx: &Context<'_>) -> Self {
        let shared = Arc::new(Shared { is_complete: AtomicBool::new(false), task: cx.waker().clone() });
        let waker = Waker::from(Arc::clone(&shared));
        // `yield_now` wakes a task after the runtime has polled its I/O driver.
        if let Poll::Ready(()) = pin!(task::yield_now()).poll(&mut Context::from_waker(&waker)) {
            shared.is_complete.store(true, Ordering::Release);
        }
        Self(shared)
    }

    /// Returns whether the runtime has polled.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.is_complete.load(Ordering::Acquire)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.is_complete.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}
