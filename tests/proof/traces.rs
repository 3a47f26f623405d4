//! Straight on the memory store: every decision is right by the log.

use std::cell::Cell;

use crate::{prove, said::Seen, world::World};

#[test]
fn every_decision_is_right_by_a_naive_log_of_everything() {
    let all = Cell::new(Seen::default());
    prove("decisions of the memory store", 840, async |seed| {
        // Half of them with providers that tell to wait.
        let mut world = if seed % 2 == 0 {
            World::told(seed)
        } else {
            World::new(seed)
        };
        for _ in 0..400 {
            world.step().await;
        }
        world.finish().await;
        let mut seen = all.get();
        seen += world.seen;
        all.set(seen);
        world.seen.admissions
    });
    let seen = all.get();
    println!("{seen:?}");
    assert!(seen.refusals > 0 && seen.never > 0 && seen.exact > 0 && seen.debts > 0);
    assert!(seen.streamed > 0 && seen.told > 0 && seen.held_back > 0);
}
