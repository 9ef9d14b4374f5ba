//! The wakers that a driver gives to the futures and bodies of its streams.
//!
//! A wake-up sets a bit, and wakes the driver's task if it sleeps. The driver then polls the woken
//! streams and no others. There is no lock, no queue, and no allocation after the first use of a
//! stream's index.
//!
//! Invariant: no wake-up is lost. Either the waker sees that the driver sleeps, and wakes it, or
//! the driver sees the bit before it sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

/// The driver's side.
#[derive(Debug, Default)]
pub struct WakerSet {
    task: Option<Arc<Task>>,
    words: Vec<Arc<Word>>,
    wakers: Vec<Waker>,
}

/// The place of a walk over the woken indices.
#[derive(Debug, Default)]
pub struct WokenCursor {
    next_word: usize,
    /// The indices of the word before `next_word` that the walk has taken and not returned.
    bits: u64,
}

/// The driver's task, shared with the wakers.
#[derive(Debug)]
struct Task {
    /// Whether the driver will check the bits before it sleeps.
    awake: AtomicBool,
    waker: Waker,
}

/// The bits of 64 indices.
#[derive(Debug)]
struct Word {
    woken: AtomicU64,
    task: Arc<Task>,
}

#[derive(Debug)]
struct BitWaker {
    word: Arc<Word>,
    bit: u64,
}

impl Wake for BitWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The order matters: the bit must be set before the driver's state is read.
        self.word.woken.fetch_or(self.bit, Ordering::SeqCst);
        let task = &self.word.task;
        if !task.awake.load(Ordering::SeqCst) {
            task.waker.wake_by_ref();
        }
    }
}

impl WakerSet {
    /// Registers the task that polls the driver. Returns whether it differs from the last one: then
    /// earlier wakers do nothing any more, and every stream must be polled with a new one.
    pub fn register_task(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(task) = &self.task
            && task.waker.will_wake(cx.waker())
        {
            task.awake.store(true, Ordering::SeqCst);
            return false;
        }
        let had_task = self.task.is_some();
        self.task = Some(Arc::new(Task { awake: AtomicBool::new(true), waker: cx.waker().clone() }));
        self.words.clear();
        self.wakers.clear();
        had_task
    }

    /// Returns the waker of an index. `register_task` was called before.
    pub fn waker(&mut self, index: usize) -> &Waker {
        while self.wakers.len() <= index {
            let next = self.wakers.len();
            if next == 64 * self.words.len() {
                let task =
                    self.task.clone().expect("the driver registers its task before it requests wakers");
                self.words.push(Arc::new(Word { woken: AtomicU64::new(0), task }));
            }
            let word = Arc::clone(&self.words[next / 64]);
            self.wakers.push(Waker::from(Arc::new(BitWaker { word, bit: 1 << (next % 64) })));
        }
        &self.wakers[index]
    }

    /// Takes the next index that was woken. Start with a new cursor; `None`: there is none left.
    pub fn next_woken(&mut self, cursor: &mut WokenCursor) -> Option<usize> {
        while cursor.bits == 0 {
            cursor.bits = self.take_woken(cursor.next_word)?;
            cursor.next_word += 1;
        }
        let bit = cursor.bits.trailing_zeros() as usize;
        cursor.bits &= cursor.bits - 1;
        Some(64 * (cursor.next_word - 1) + bit)
    }

    /// Takes 64 indices: returns the bits of those that were woken, and clears them.
    fn take_woken(&mut self, word: usize) -> Option<u64> {
        let word = self.words.get(word)?;
        // The plain load avoids the exclusive access if no bit is set.
        if word.woken.load(Ordering::SeqCst) == 0 {
            Some(0)
        } else {
            Some(word.woken.swap(0, Ordering::SeqCst))
        }
    }

    /// Prepares to sleep. Returns `false` if a waker was woken meanwhile.
    pub fn try_sleep(&mut self) -> bool {
        let Some(task) = &self.task else { return true };
        task.awake.store(false, Ordering::SeqCst);
        if self.words.iter().all(|word| word.woken.load(Ordering::SeqCst) == 0) {
            return true;
        }
        task.awake.store(true, Ordering::SeqCst);
        false
    }

    /// Frees memory. Wakers that still exist set bits that the driver does not read.
    pub fn shrink(&mut self) {
        self.words = Vec::new();
        self.wakers = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn woken(wakers: &mut WakerSet) -> Vec<usize> {
        let mut cursor = WokenCursor::default();
        std::iter::from_fn(|| wakers.next_woken(&mut cursor)).collect()
    }

    #[test]
    fn each_woken_index_is_returned_once_and_a_sleeping_task_is_woken_once() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut wakers = WakerSet::default();
        assert!(!wakers.register_task(&mut Context::from_waker(&waker)));
        let (first, last) = (wakers.waker(3).clone(), wakers.waker(130).clone());
        first.wake_by_ref();
        last.wake_by_ref();
        last.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "the driver is awake");
        assert!(!wakers.try_sleep());
        assert_eq!(woken(&mut wakers), [3, 130]);
        assert_eq!(woken(&mut wakers), [0; 0]);
        assert!(wakers.try_sleep());
        first.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(woken(&mut wakers), [3]);
    }

    #[test]
    fn another_task_invalidates_old_wakers_and_is_reported() {
        let (old, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (old_waker, new_waker) = (Waker::from(Arc::clone(&old)), Waker::from(Arc::clone(&new)));
        let mut wakers = WakerSet::default();
        wakers.register_task(&mut Context::from_waker(&old_waker));
        let dead = wakers.waker(0).clone();
        assert!(!wakers.register_task(&mut Context::from_waker(&old_waker)));
        assert!(wakers.register_task(&mut Context::from_waker(&new_waker)));
        let live = wakers.waker(0).clone();
        assert!(wakers.try_sleep());
        dead.wake();
        assert_eq!(woken(&mut wakers), [0; 0]);
        live.wake();
        assert_eq!(woken(&mut wakers), [0]);
        assert_eq!(new.0.load(Ordering::SeqCst), 1);
    }

    /// Four threads wake and one sleeps: the sleeper observes each wake-up, or a later one that
    /// covers it.
    #[test]
    fn no_wake_is_lost_between_the_check_and_the_sleep() {
        const ROUNDS: usize = 2000;
        const WAKING_THREADS: usize = 4;
        let observed: Arc<[AtomicUsize; WAKING_THREADS]> = Arc::default();
        let sent: Arc<[AtomicUsize; WAKING_THREADS]> = Arc::default();
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut wakers = WakerSet::default();
        wakers.register_task(&mut Context::from_waker(&waker));
        let threads: Vec<_> = (0..WAKING_THREADS)
            .map(|index| {
                let (waker, observed, sent) =
                    (wakers.waker(index).clone(), Arc::clone(&observed), Arc::clone(&sent));
                std::thread::spawn(move || {
                    for round in 1..=ROUNDS {
                        sent[index].store(round, Ordering::SeqCst);
                        waker.wake_by_ref();
                        while observed[index].load(Ordering::SeqCst) < round {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        while (0..WAKING_THREADS).any(|index| observed[index].load(Ordering::SeqCst) < ROUNDS) {
            wakers.register_task(&mut Context::from_waker(&waker));
            for index in woken(&mut wakers) {
                observed[index].store(sent[index].load(Ordering::SeqCst), Ordering::SeqCst);
            }
            if wakers.try_sleep() && (0..WAKING_THREADS).any(|i| observed[i].load(Ordering::SeqCst) < ROUNDS)
            {
                std::thread::park();
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
