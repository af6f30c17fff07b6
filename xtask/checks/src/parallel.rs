//! Work side by side: an emulated guest leaves much of its CPUs idle.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

/// Does `work` for each item, as many at once as there are CPUs, and begins them in
/// their order. The results are in that order too.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while let Some((nth, item)) = take(items, &next) {
            let result = work(item);
            results
                .lock()
                .expect("no panic holds it")
                .push((nth, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().expect("no panic held it");
    results.sort_by_key(|(nth, _)| *nth);
    results.into_iter().map(|(_, result)| result).collect()
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
}
