//! How many bytes are allocated.

use std::{hint::black_box, sync::Once};

use stats_alloc::INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now, by everybody: no other thread may be at work.
pub(crate) fn allocated() -> usize {
    static COUNTS: Once = Once::new();
    COUNTS.call_once(|| {
        let before = now();
        let kept = black_box(vec![0_u8; 1_000]);
        assert_eq!(
            now() - before,
            kept.capacity(),
            "the allocator does not count"
        );
    });
    now()
}

fn now() -> usize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
