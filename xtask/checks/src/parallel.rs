//! Guests side by side: an emulated one leaves much of its CPUs idle.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread::{self, available_parallelism};

/// Does `work` for each item, several at once, and begins them in their order. The
/// results are in that order too.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        loop {
            let _slot = slot();
            let Some((nth, item)) = take(items, &next) else {
                return;
            };
            let result = work(item);
            results
                .lock()
                .expect("no panic holds it")
                .push((nth, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once().min(items.len()) {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().expect("no panic held it");
    results.sort_by_key(|(nth, _)| *nth);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How many guests run at once: half as many again as there are CPUs.
pub(crate) fn at_once() -> usize {
    let cpus = available_parallelism().map_or(1, usize::from);
    cpus + cpus.div_ceil(2)
}

/// Waits until fewer guests run than may; those who wait come in turn.
pub(crate) fn slot() -> Slot {
    QUEUE.wait(at_once());
    Slot
}

/// The right to run one guest.
#[must_use = "who drops it has no guest to run"]
pub(crate) struct Slot;

impl Drop for Slot {
    fn drop(&mut self) {
        QUEUE.leave();
    }
}

static QUEUE: Queue = Queue::new();

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    running: usize,
    waiting: VecDeque<u64>,
    next_ticket: u64,
}

impl Queue {
    const fn new() -> Queue {
        Queue {
            state: Mutex::new(State {
                running: 0,
                waiting: VecDeque::new(),
                next_ticket: 0,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds it")
    }

    fn wait(&self, limit: usize) {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        let may_run =
            |state: &State| state.running < limit && state.waiting.front() == Some(&ticket);
        while !may_run(&state) {
            state = self.changed.wait(state).expect("no panic holds it");
        }
        state.waiting.pop_front();
        state.running += 1;
        // There may be room for the next one too.
        self.changed.notify_all();
    }

    fn leave(&self) {
        self.lock().running -= 1;
        self.changed.notify_all();
    }
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let nth = next.fetch_add(1, Ordering::Relaxed);
    Some((nth, items.get(nth)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_is_done_once_and_found_in_its_place() {
        let items: Vec<u64> = (0..20).rev().collect();
        let results = map(&items, |item| {
            thread::sleep(Duration::from_millis(*item));
            item * 2
        });
        let expected: Vec<u64> = items.iter().map(|item| item * 2).collect();
        assert_eq!(results, expected);
    }

    #[test]
    fn as_many_run_as_may_and_the_others_come_in_turn() {
        let queue = Queue::new();
        let order = Mutex::new(Vec::new());
        queue.wait(2);
        queue.wait(2);
        queue.leave();
        let early = thread::scope(|scope| {
            for nth in 0..6 {
                let (queue, order) = (&queue, &order);
                scope.spawn(move || {
                    queue.wait(1);
                    order.lock().unwrap().push((nth, queue.lock().running));
                    queue.leave();
                });
                while queue.lock().waiting.len() < nth + 1 && order.lock().unwrap().is_empty() {
                    thread::yield_now();
                }
            }
            let early = order.lock().unwrap().clone();
            queue.leave();
            early
        });
        assert_eq!(early, []);
        let expected: Vec<_> = (0..6).map(|nth| (nth, 1)).collect();
        assert_eq!(order.into_inner().unwrap(), expected);
        assert_eq!(queue.lock().running, 0);
    }
}
