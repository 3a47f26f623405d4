//! What two drivers do to one queue, step by step.

use std::time::Duration;

use super::*;
use crate::{
    limit::{Demand as Asked, Limit, Quantities},
    limiter::{comer::Wants, keep::behind},
    store::Claim,
    tags::Tags,
};

fn comer(order: u64, needs: Box<[u64]>) -> Comer {
    Comer {
        priority: 0,
        arrival: 0,
        order,
        start: None,
        agent: "a".into(),
        size: 1,
        needs,
        shares: None,
        below: false,
        version: 0,
    }
}

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
        let comer = comer(order, vec![1; keys.len()].into());
        let claim = Claim {
            quantities: Quantities::ADMISSION,
            ..Claim::new(Arc::default(), Asked::default())
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
        self.queue.refused(waiter, &by, Tick::default(), false);
    }

    /// One was tried, and refused by this count until an instant.
    fn refused_until(&mut self, waiter: &Arc<Waiter>, by: u32, at: Tick) {
        let by = NotNow {
            not_before: Some(at),
            ..behind(self.key(by), Some(at))
        };
        self.queue.refused(waiter, &by, Tick::default(), false);
    }

    /// One was tried, and refused by this count, where enough leaves by itself at an instant, and may be given back before.
    fn refused_unless_given_back(&mut self, waiter: &Arc<Waiter>, by: u32, at: Tick) {
        let by = behind(self.key(by), Some(at));
        self.queue.refused(waiter, &by, Tick::default(), false);
    }

    /// Two of three limits have this margin from now on.
    fn change_margin(&mut self, margin: Duration) {
        let changed = self.limits.iter().cloned().map(|limit| {
            let slots = limit.quantity == Quantity::Concurrency;
            if slots { limit } else { limit.margin(margin) }
        });
        let changed = Limits::new(changed).unwrap();
        self.limits = self.limits.changed_to(&changed);
        self.queue.go_by(&self.limits);
    }

    /// One needs these from now on, of limits of this version.
    fn stands_for(&mut self, waiter: &Arc<Waiter>, places: &[u32], version: u32) {
        let keys: Vec<_> = places.iter().map(|place| self.key(*place)).collect();
        let wants = Wants {
            needs: vec![1; keys.len()].into(),
            most: Vec::new(),
            shares: None,
            version,
            keys,
        };
        self.queue.stand_for(waiter, wants);
    }

    /// The counts of which one that comes now has to leave room.
    fn kept(&mut self, places: &[u32]) -> Vec<LimitKey> {
        self.kept_at(places, Tick::default())
    }

    /// The same at this instant.
    fn kept_at(&mut self, places: &[u32], now: Tick) -> Vec<LimitKey> {
        let keys: Vec<_> = places.iter().map(|place| self.key(*place)).collect();
        let needs = vec![1; keys.len()];
        let comer = comer(u64::MAX, needs.into());
        match self.queue.ahead_of(&keys, &comer, now) {
            Ahead::Kept(kept) => kept.into_iter().map(|kept| kept.key).collect(),
            Ahead::On(key) => panic!("somebody waits on {key}"),
        }
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

/// Room that is kept for one stays kept where it needs more than before, and is not where it needs it no more.
#[test]
fn what_one_pins_goes_with_what_it_needs() {
    let mut scene = Scene::new();
    let large = scene.comes(0, &[0, 1]);
    scene.refused(&large, 1);
    scene.refused(&large, 0);
    assert_eq!(scene.kept(&[1]), [scene.key(1)]);
    scene.stands_for(&large, &[0, 1, 2], 1);
    assert_eq!(large.stand().keys.len(), 3);
    assert_eq!(scene.kept(&[1]), [scene.key(1)]);
    scene.stands_for(&large, &[0], 2);
    assert_eq!(scene.kept(&[1]), []);
    assert!(scene.queue.gave_up(&large));
    assert_eq!((scene.queue.len(), scene.kept(&[0, 1, 2])), (0, vec![]));
}

/// A pin that sleeps wakes a period before its waiter is due. It is found again when that period was another one.
#[test]
fn a_pin_that_sleeps_goes_with_its_waiter_whatever_became_of_the_limits() {
    let at = |seconds: u64| Tick::from_micros(seconds * 1_000_000);
    let mut scene = Scene::new();
    let sleeps = scene.comes(0, &[0, 1]);
    scene.refused_until(&sleeps, 1, at(200));
    scene.refused_until(&sleeps, 0, at(200));
    assert_eq!(scene.kept_at(&[1], at(0)), []);
    assert_eq!(scene.kept_at(&[1], at(150)), [scene.key(1)]);
    let again = scene.comes(1, &[0, 1]);
    assert!(scene.queue.gave_up(&sleeps));
    scene.refused_until(&again, 1, at(200));
    scene.refused_until(&again, 0, at(200));
    assert_eq!(scene.kept_at(&[1], at(0)), []);
    scene.change_margin(Duration::ZERO);
    assert!(scene.queue.gave_up(&again));
    assert!(!scene.queue.pins.hold(&scene.key(1)), "nobody pins it");

    let awake = scene.comes(2, &[0, 1]);
    scene.refused_until(&awake, 1, at(150));
    scene.refused_until(&awake, 0, at(150));
    assert_eq!(scene.kept_at(&[1], at(150)), [scene.key(1)]);
}

/// It may be earlier, and is then as well. What comes to be later again and again pins nothing for ever.
#[test]
fn one_is_due_when_enough_leaves_by_itself_though_it_may_be_given_back_before() {
    let at = |seconds: u64| Tick::from_micros(seconds * 1_000_000);
    let mut scene = Scene::new();
    let waits = scene.comes(0, &[1, 0]);
    scene.refused(&waits, 0);
    scene.refused_unless_given_back(&waits, 1, at(200));
    assert_eq!(scene.kept_at(&[0], at(0)), []);
    assert_eq!(scene.kept_at(&[0], at(150)), [scene.key(0)]);
    scene.refused_unless_given_back(&waits, 1, at(100));
    scene.refused_unless_given_back(&waits, 1, at(300));
    assert_eq!(scene.kept_at(&[0], at(99)), [scene.key(0)]);
    assert_eq!(scene.kept_at(&[0], at(165)), []);
}

/// What was found out under earlier limits is passed over, and so is what comes for one that has gone.
#[test]
fn one_stands_by_the_latest_limits_or_not_at_all() {
    let mut scene = Scene::new();
    let waits = scene.comes(0, &[0]);
    scene.stands_for(&waits, &[1], 2);
    scene.stands_for(&waits, &[2], 1);
    assert_eq!(*waits.stand().keys, [scene.key(1)]);
    assert!(scene.queue.gave_up(&waits));
    scene.stands_for(&waits, &[2], 3);
    assert_eq!(scene.queue.len(), 0);
    assert!(!scene.queue.gave_up(&waits));
}
