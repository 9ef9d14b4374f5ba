//! Who rang: the wakers that a driver gives to the futures and bodies of its streams.
//!
//! A ring sets a bit and wakes the driver's task if it sleeps; the driver then polls those who rang and nobody else.
//! No lock, no queue, and no allocation after a stream's first use of its index.
//!
//! Keeps true: a ring is never lost. Either the ringer sees that the driver sleeps, and wakes it, or the driver sees the bit
//! before it goes to sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

/// The driver's end.
#[derive(Debug, Default)]
pub struct Doorbell {
    task: Option<Arc<Task>>,
    words: Vec<Arc<Word>>,
    bells: Vec<Waker>,
}

/// The driver's task, as ringers see it.
#[derive(Debug)]
struct Task {
    /// Whether the driver will look at the bits before it sleeps.
    awake: AtomicBool,
    waker: Waker,
}

/// The bits of 64 indices.
#[derive(Debug)]
struct Word {
    rung: AtomicU64,
    task: Arc<Task>,
}

#[derive(Debug)]
struct Bell {
    word: Arc<Word>,
    bit: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The order matters: the bit first, then the look at the driver.
        self.word.rung.fetch_or(self.bit, Ordering::SeqCst);
        let task = &self.word.task;
        if !task.awake.load(Ordering::SeqCst) {
            task.waker.wake_by_ref();
        }
    }
}

impl Doorbell {
    /// The driver's task is polled. Returns whether it is another task than before: then the bells that were given out are dead,
    /// and everybody must be polled with a new one.
    pub fn wake_up(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(task) = &self.task
            && task.waker.will_wake(cx.waker())
        {
            task.awake.store(true, Ordering::SeqCst);
            return false;
        }
        let had_task = self.task.is_some();
        self.task = Some(Arc::new(Task { awake: AtomicBool::new(true), waker: cx.waker().clone() }));
        self.words.clear();
        self.bells.clear();
        had_task
    }

    /// The bell of an index. `wake_up` has been called before.
    pub fn bell(&mut self, index: usize) -> &Waker {
        while self.bells.len() <= index {
            let next = self.bells.len();
            if next == 64 * self.words.len() {
                let task = self.task.clone().expect("a driver wakes up before it asks for bells");
                self.words.push(Arc::new(Word { rung: AtomicU64::new(0), task }));
            }
            let word = Arc::clone(&self.words[next / 64]);
            self.bells.push(Waker::from(Arc::new(Bell { word, bit: 1 << (next % 64) })));
        }
        &self.bells[index]
    }

    /// Takes the indices that rang, 64 at a time: the first index of a word, and its bits.
    pub fn take(&mut self, word: usize) -> Option<u64> {
        let word = self.words.get(word)?;
        // The plain load spares the exclusive access where nobody rang.
        if word.rung.load(Ordering::SeqCst) == 0 {
            Some(0)
        } else {
            Some(word.rung.swap(0, Ordering::SeqCst))
        }
    }

    /// The driver wants to sleep. Returns whether it may: not if somebody rang meanwhile.
    pub fn may_sleep(&mut self) -> bool {
        let Some(task) = &self.task else { return true };
        task.awake.store(false, Ordering::SeqCst);
        if self.words.iter().all(|word| word.rung.load(Ordering::SeqCst) == 0) {
            return true;
        }
        task.awake.store(true, Ordering::SeqCst);
        false
    }

    /// Gives memory back. Bells that are still out ring unheard.
    pub fn rest(&mut self) {
        self.words = Vec::new();
        self.bells = Vec::new();
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

    fn rung(doorbell: &mut Doorbell) -> Vec<usize> {
        let mut indices = Vec::new();
        let mut word = 0;
        while let Some(bits) = doorbell.take(word) {
            indices.extend((0..64).filter(|bit| bits & (1 << bit) != 0).map(|bit| word * 64 + bit));
            word += 1;
        }
        indices
    }

    #[test]
    fn who_rang_is_told_once_and_a_sleeper_is_woken_once_per_ring() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut doorbell = Doorbell::default();
        assert!(!doorbell.wake_up(&mut Context::from_waker(&waker)));
        let (first, last) = (doorbell.bell(3).clone(), doorbell.bell(130).clone());
        first.wake_by_ref();
        last.wake_by_ref();
        last.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "the driver is awake");
        assert!(!doorbell.may_sleep());
        assert_eq!(rung(&mut doorbell), [3, 130]);
        assert_eq!(rung(&mut doorbell), [0; 0]);
        assert!(doorbell.may_sleep());
        first.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(rung(&mut doorbell), [3]);
    }

    #[test]
    fn another_task_makes_old_bells_dead_and_says_so() {
        let (old, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (old_waker, new_waker) = (Waker::from(Arc::clone(&old)), Waker::from(Arc::clone(&new)));
        let mut doorbell = Doorbell::default();
        doorbell.wake_up(&mut Context::from_waker(&old_waker));
        let dead = doorbell.bell(0).clone();
        assert!(!doorbell.wake_up(&mut Context::from_waker(&old_waker)));
        assert!(doorbell.wake_up(&mut Context::from_waker(&new_waker)));
        let live = doorbell.bell(0).clone();
        assert!(doorbell.may_sleep());
        dead.wake();
        assert_eq!(rung(&mut doorbell), [0; 0]);
        live.wake();
        assert_eq!(rung(&mut doorbell), [0]);
        assert_eq!(new.0.load(Ordering::SeqCst), 1);
    }

    /// Four threads ring, one sleeps and wakes: each of their rings is heard, or covered by a later one.
    #[test]
    fn no_ring_is_lost_between_the_look_and_the_sleep() {
        const ROUNDS: usize = 2000;
        const RINGERS: usize = 4;
        let heard: Arc<[AtomicUsize; RINGERS]> = Arc::default();
        let said: Arc<[AtomicUsize; RINGERS]> = Arc::default();
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut doorbell = Doorbell::default();
        doorbell.wake_up(&mut Context::from_waker(&waker));
        let threads: Vec<_> = (0..RINGERS)
            .map(|index| {
                let (bell, heard, said) =
                    (doorbell.bell(index).clone(), Arc::clone(&heard), Arc::clone(&said));
                std::thread::spawn(move || {
                    for round in 1..=ROUNDS {
                        said[index].store(round, Ordering::SeqCst);
                        bell.wake_by_ref();
                        while heard[index].load(Ordering::SeqCst) < round {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        while (0..RINGERS).any(|index| heard[index].load(Ordering::SeqCst) < ROUNDS) {
            doorbell.wake_up(&mut Context::from_waker(&waker));
            for index in rung(&mut doorbell) {
                heard[index].store(said[index].load(Ordering::SeqCst), Ordering::SeqCst);
            }
            if doorbell.may_sleep() && (0..RINGERS).any(|i| heard[i].load(Ordering::SeqCst) < ROUNDS) {
                std::thread::park();
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
