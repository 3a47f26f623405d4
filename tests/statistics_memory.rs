//! What statistics take at most, counted by the allocator: more values than are told apart, in every hour of years.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    alloc::System,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_quota::{Statistics, Tag, Tags, Usage};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// More than are told apart.
const VALUES: u64 = 510;

#[test]
fn memory_is_bounded_however_many_values_there_are_and_for_however_long() {
    let clock = Arc::new(AtomicU64::new(1_774_731_600));
    let shown = clock.clone();
    let region = Region::new(ALLOCATOR);
    let statistics = Statistics::new().wall_clock(move || {
        SystemTime::UNIX_EPOCH + Duration::from_secs(shown.load(Ordering::Relaxed))
    });
    let in_use = || {
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    let names = |tag: &str| -> Vec<Arc<str>> {
        let names = 0..VALUES;
        names
            .map(|number| format!("{tag}-{number:010}").into())
            .collect()
    };
    let by = [Tag::Provider, Tag::Model, Tag::Agent, Tag::User, Tag::Team];
    let names: Vec<(Tag, Vec<Arc<str>>)> = by
        .into_iter()
        .map(|tag| (tag.clone(), names(tag.name())))
        .collect();
    // Names that are kept are theirs, and are counted once.
    let base = in_use();
    let fill = |hours: u64, step: u64| {
        for _ in 0..hours {
            for number in 0..VALUES {
                let tags = names.iter().fold(Tags::new(), |tags, (tag, names)| {
                    let name = &names[usize::try_from(number).unwrap()];
                    tags.with(tag.clone(), name.clone())
                });
                statistics.record(&tags, &Usage::new(1, 1));
            }
            clock.fetch_add(step, Ordering::Relaxed);
        }
    };
    // Fourteen months of a busy minute a day, and two days of one an hour.
    fill(430, DAY);
    fill(50, HOUR);
    let full = in_use() - base;
    println!("{:.1} MB", full as f64 / 1e6);
    assert!(full < 100 << 20, "{full}");
    fill(40, DAY);
    fill(50, HOUR);
    let later = in_use() - base;
    assert!(later < full + full / 20, "{full}, and later {later}");
}
