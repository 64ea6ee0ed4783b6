//! Loops over independent items, on one thread or on all.

use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A slice that several threads write at places that do not overlap.
#[derive(Clone, Copy)]
pub struct Shared<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: a `Shared` only hands out places through unsafe methods whose callers promise that no two threads use the same one.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Wraps a slice. The slice must outlive the wrapper and not be used otherwise meanwhile.
    pub fn new(slice: &mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One place.
    ///
    /// # Safety
    /// No other reference to this place may be alive.
    #[allow(clippy::mut_from_ref, reason = "that is what it is for")]
    pub unsafe fn at<'a>(&self, i: usize) -> &'a mut T {
        assert!(i < self.len);
        // SAFETY: within the slice, and exclusive by the caller's promise.
        unsafe { &mut *self.start.add(i) }
    }

    /// A range of places.
    ///
    /// # Safety
    /// No other reference to any of them may be alive.
    #[allow(clippy::mut_from_ref, reason = "that is what it is for")]
    pub unsafe fn range<'a>(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from + len <= self.len);
        // SAFETY: within the slice, and exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

/// Calls `work(i, scratch)` for every i in 0..count, each exactly once. Every thread has one of the scratches; with a single scratch nothing leaves the calling thread.
pub fn each<S: Send>(count: usize, scratch: &mut [S], work: impl Fn(usize, &mut S) + Sync) {
    if let [only] = scratch {
        (0..count).for_each(|i| work(i, only));
        return;
    }
    // Blocks handed out as threads become free: results do not depend on who does what, because items are independent.
    let block = (count / (8 * scratch.len())).max(1);
    let next = AtomicUsize::new(0);
    scratch.par_iter_mut().for_each(|s| {
        loop {
            let from = next.fetch_add(block, Ordering::Relaxed);
            if from >= count {
                break;
            }
            (from..count.min(from + block)).for_each(|i| work(i, s));
        }
    });
}
