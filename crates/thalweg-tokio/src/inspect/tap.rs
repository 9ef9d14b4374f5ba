//! A connection's side of a watch: what its driver tells, and how it answers.
//!
//! Keeps true: without a watch nothing is told; frames are followed only from between two of them, and only while somebody
//! looks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use thalweg::Role;

use crate::error::End;
use crate::record::Connection;

use super::follow::Follow;
use super::{ConnectionView, Post, Watch};

/// What a driver tells. By default nobody listens.
#[derive(Default)]
pub struct Tap(Option<Box<Watched>>);

struct Watched {
    watch: Watch,
    post: Arc<Post>,
    follow: Option<Follow>,
    /// The task that the post can wake.
    task: Option<Waker>,
}

impl Tap {
    /// Shows a connection that is about to begin.
    pub fn new(watch: &Watch, peer: Option<SocketAddr>, is_client: bool) -> Self {
        let post = watch.begin(peer, is_client);
        let follow = watch.is_followed().then(|| Follow::from_the_first(is_client));
        Self(Some(Box::new(Watched { watch: watch.clone(), post, follow, task: None })))
    }

    /// These bytes were received.
    #[inline]
    pub fn heard(&mut self, bytes: &[u8]) {
        if let Some(watched) = &mut self.0 {
            watched.follow(false, bytes);
        }
    }

    /// These bytes are about to be sent.
    #[inline]
    pub fn said<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) {
        if let Some(watched) = &mut self.0 {
            pieces.for_each(|bytes| watched.follow(true, bytes));
        }
    }

    /// The task is about to sleep: who asked gets an answer.
    #[inline]
    pub fn turn<R: Role>(
        &mut self,
        cx: &Context<'_>,
        connection: &Connection<R>,
        unwritten_bytes: impl FnOnce() -> usize,
    ) {
        if let Some(watched) = &mut self.0 {
            watched.turn(cx, connection, unwritten_bytes);
        }
    }

    /// The connection has ended.
    pub fn end(&mut self, end: &End) {
        if let Some(watched) = self.0.take() {
            watched.watch.end(&watched.post, end.to_string(), end.is_warning());
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(watched) = self.0.take() {
            watched.watch.end(&watched.post, "dropped".to_owned(), false);
        }
    }
}

impl Watched {
    fn follow(&mut self, is_sent: bool, bytes: &[u8]) {
        if let Some(follow) = &mut self.follow {
            let shows_paths = self.watch.0.shows_paths.load(Ordering::Relaxed);
            follow.take(is_sent, bytes, self.post.label.began.elapsed(), shows_paths);
        }
    }

    fn turn<R: Role>(
        &mut self,
        cx: &Context<'_>,
        connection: &Connection<R>,
        unwritten_bytes: impl FnOnce() -> usize,
    ) {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
            self.post.lock().task = Some(cx.waker().clone());
        }
        match (self.watch.is_followed(), &self.follow) {
            (true, None) if connection.is_between_frames() => {
                let live = connection.streams().map(|view| view.stream.id());
                self.follow = Some(Follow::midway(R::IS_CLIENT, live));
            }
            (false, Some(_)) => self.follow = None,
            _ => {}
        }
        if self.post.is_asked.load(Ordering::SeqCst) {
            self.answer(connection, unwritten_bytes());
        }
    }

    #[cold]
    fn answer<R: Role>(&self, connection: &Connection<R>, unwritten_bytes: usize) {
        let askers = {
            let mut asked = self.post.lock();
            self.post.is_asked.store(false, Ordering::SeqCst);
            std::mem::take(&mut asked.askers)
        };
        let (notes, frames) = self.follow.as_ref().map(Follow::notes).unwrap_or_default();
        let view = ConnectionView {
            label: self.post.label,
            age: self.post.label.began.elapsed(),
            report: connection.report(),
            remote_settings: *connection.remote_settings(),
            local_settings: *connection.local_settings(),
            window: connection.window(),
            rate_limits: connection.rate_limits(),
            streams: connection.streams().collect(),
            heap_bytes: connection.heap_bytes(),
            unwritten_bytes,
            wants_read: connection.wants_read(),
            notes,
            frames,
            shows_fields: self.follow.as_ref().is_some_and(Follow::shows_fields),
        };
        for asker in askers {
            // Who does not wait any more does not mind.
            let _ = asker.send(view.clone());
        }
    }
}
