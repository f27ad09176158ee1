//! What the measuring programs share: an allocator that counts.
//!
//! The library forbids `unsafe`; an allocator cannot be written without.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering},
};

/// The system's allocator, with a counter of its calls that give memory.
#[derive(Debug)]
pub struct Counting {
    calls: AtomicU64,
    bytes: AtomicU64,
    freed: AtomicU64,
}

impl Counting {
    /// Returns an allocator that has given nothing.
    pub const fn new() -> Self {
        Counting { calls: AtomicU64::new(0), bytes: AtomicU64::new(0), freed: AtomicU64::new(0) }
    }

    /// Returns how often it gave memory, growing included, and how many bytes in all.
    pub fn given(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Returns how many bytes were given and not taken back.
    pub fn held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) - self.freed.load(Ordering::Relaxed)
    }

    fn count(&self, bytes: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Default for Counting {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count(size.saturating_sub(layout.size()));
        self.freed.fetch_add(layout.size().saturating_sub(size) as u64, Ordering::Relaxed);
        // SAFETY: `block` came from `System` with this `layout`, because everything does.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.freed.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
