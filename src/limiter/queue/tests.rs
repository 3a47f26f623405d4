//! What two drivers do to one queue, step by step.

use std::time::Duration;

use super::*;
use crate::{
    limit::{Demand as Asked, Limit, Quantities},
    limiter::keep::behind,
    store::Claim,
    tags::Tags,
};

struct Scene {
    queue: Queue,
    limits: Limits,
}

impl Scene {
    /// Three limits: on requests, on tokens, on concurrency.
    fn new() -> Self {
        let minute = Duration::from_secs(60);
        let limits = [
            Limit::requests(10).every(minute),
            Limit::tokens(10).every(minute),
            Limit::concurrency(10),
        ];
        let limits = Limits::new(limits).unwrap();
        Scene {
            queue: Queue::new(0, limits.clone()),
            limits,
        }
    }

    fn key(&self, place: u32) -> LimitKey {
        let limit = &self.limits.rules()[place as usize].limit;
        LimitKey::of(place, limit, &Tags::new())
    }

    /// One that needs these and was refused by the first of them.
    fn comes(&mut self, order: u64, places: &[u32]) -> Arc<Waiter> {
        let keys: Vec<_> = places.iter().map(|place| self.key(*place)).collect();
        let comer = Comer {
            priority: 0,
            arrival: 0,
            order,
            start: None,
            agent: "a".into(),
            size: 1,
            needs: vec![1; keys.len()].into(),
            shares: None,
            below: false,
        };
        let claim = Claim {
            tags: Arc::default(),
            demand: Asked::default(),
            quantities: Quantities::ADMISSION,
            repeat: false,
            held: Vec::new(),
            attempt: 0,
        };
        let rank = self.queue.join(&comer);
        let refused = behind(keys[0].clone(), None);
        let on = keys[0].clone();
        let keys = self.queue.keys(keys);
        let waiter = Arc::new(Waiter::new(claim, keys, comer, rank, None, refused));
        self.queue.enter(&waiter, &on, None);
        waiter
    }

    /// One was tried, and refused by this count.
    fn refused(&mut self, waiter: &Arc<Waiter>, by: u32) {
        let by = behind(self.key(by), None);
        self.queue.refused(waiter, &by, Tick::default());
    }

    /// The counts that are to be looked at now.
    fn due(&mut self) -> Vec<LimitKey> {
        std::iter::from_fn(|| self.queue.due(Tick::default(), None)).collect()
    }
}

/// Two drivers try one waiter on one count. The first moves it; the answer that the second hears later moves it again,
/// away from others that waited behind it.
#[test]
fn whoever_waits_behind_one_that_two_drivers_move_is_looked_at() {
    let mut scene = Scene::new();
    let moved = scene.comes(0, &[0, 1, 2]);
    let behind = scene.comes(1, &[1]);
    assert_eq!(scene.due(), [scene.key(0), scene.key(1)]);
    scene.refused(&behind, 1);
    scene.refused(&moved, 1);
    assert_eq!(scene.due(), [scene.key(1)]);
    scene.refused(&moved, 1);
    assert_eq!(scene.due(), []);
    scene.refused(&moved, 2);
    let due = scene.due();
    assert!(
        due.contains(&scene.key(1)) && due.contains(&scene.key(2)),
        "{due:?}"
    );
}

/// One driver looks at those behind itself.
#[test]
fn one_that_a_single_driver_moves_has_nobody_looked_at_twice() {
    let mut scene = Scene::new();
    let moved = scene.comes(0, &[0, 1]);
    scene.comes(1, &[0]);
    assert_eq!(scene.due(), [scene.key(0)]);
    scene.refused(&moved, 1);
    assert_eq!(scene.due(), [scene.key(1)]);
}
