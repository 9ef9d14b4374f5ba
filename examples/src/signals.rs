//! The signals at which a server on tokio shuts down gracefully.

/// Registers for Ctrl-C and SIGTERM immediately; the future completes at the first of them.
///
/// # Errors
/// The system refuses to register the handlers.
#[cfg(unix)]
pub fn shutdown() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    use std::future::poll_fn;
    use tokio::signal::unix::{SignalKind, signal};

    let register = |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
    let (mut interrupt, mut terminate) =
        (register(SignalKind::interrupt())?, register(SignalKind::terminate())?);
    Ok(poll_fn(move |cx| {
        let is_interrupted = interrupt.poll_recv(cx).is_ready();
        // Polled in any case, so that both wake the task.
        let is_terminated = terminate.poll_recv(cx).is_ready();
        if is_interrupted || is_terminated { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
}

/// Waits for Ctrl-C, the only signal on this platform.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn shutdown() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
