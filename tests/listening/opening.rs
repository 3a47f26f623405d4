//! When a told wait is over: those who waited do not leave together.

use std::time::Duration;

use tower_quota::{Limiter, limit::Limits};

use crate::{later::LaterStore, upstream::*, work::*};

/// How many came at which of these milliseconds after the told instant.
fn groups(upstream: &Upstream, name: &str) -> Vec<(u128, usize)> {
    let mut groups: Vec<(u128, usize)> = Vec::new();
    for at in upstream.came_as(name) {
        let at = (at - secs(5)).as_millis();
        match groups.last_mut().filter(|(last, _)| *last == at) {
            Some((_, calls)) => *calls += 1,
            None => groups.push((at, 1)),
        }
    }
    groups
}

/// R3: those who are told the same do not come back together, also where they were told by another's answer.
#[tokio::test(start_paused = true)]
async fn those_who_waited_leave_in_groups_that_grow() {
    let limiters = [
        plenty(),
        Limiter::new(Limits::new([]).unwrap()),
        Limiter::with_store(LaterStore::new(Limits::new([]).unwrap())),
    ];
    for limiter in limiters {
        let upstream = Upstream::new();
        let service = upstream.behind("A", &limiter);
        send(&service, request("first", &[], Some(&five()))).await;
        tokio::time::sleep(secs(1)).await;
        let mut calls = Vec::new();
        for _ in 0..20 {
            calls.push(sent(&service, request("sibling", &[], None)).await);
        }
        tokio::time::sleep(Duration::from_millis(4_120)).await;
        for _ in 0..5 {
            calls.push(sent(&service, request("late", &[], None)).await);
        }
        for call in calls {
            assert_eq!(call.await.unwrap().status(), 200);
        }
        let expected = [(0, 1), (50, 2), (100, 4), (150, 8), (200, 5)];
        assert_eq!(groups(&upstream, "sibling"), expected);
        let behind = [(200, 5)];
        assert_eq!(groups(&upstream, "late"), behind, "nobody passes them");
        // Nobody waits any more: all leave as they come.
        for _ in 0..5 {
            let now = upstream.start.elapsed();
            send(&service, request("after", &[], None)).await;
            assert_eq!(upstream.came_as("after").pop(), Some(now));
        }
    }
}

/// What the first groups are told holds for those behind them, who begin again with one.
#[tokio::test(start_paused = true)]
async fn where_one_of_the_first_is_refused_the_others_wait_on() {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let service = upstream.behind("A", &limiter);
    send(&service, request("first", &[], Some(&five()))).await;
    let mut calls = Vec::new();
    for number in 0..40 {
        let again = (number == 4).then(|| Say {
            after: Duration::from_millis(20),
            ..five()
        });
        calls.push(sent(&service, request("sibling", &[], again.as_ref())).await);
    }
    for call in calls {
        call.await.unwrap();
    }
    let groups = groups(&upstream, "sibling");
    assert_eq!(groups[..3], [(0, 1), (50, 2), (100, 4)]);
    // The fifth left after 100 ms and heard 20 ms later.
    let opens = 5_120;
    let again = [(0, 1), (50, 2), (100, 4), (150, 8), (200, 16)];
    assert_eq!(groups[3..8], again.map(|(ms, calls)| (opens + ms, calls)));
}

/// A provider that always refuses is asked by all within a few told waits, not by one for each.
#[tokio::test(start_paused = true)]
async fn where_all_are_refused_nobody_waits_for_all_others() {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let service = upstream.behind("A", &limiter);
    send(&service, request("first", &[], Some(&five()))).await;
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(sent(&service, request("sibling", &[], Some(&five()))).await);
    }
    for call in calls {
        assert_eq!(call.await.unwrap().status(), 429);
    }
    let groups = groups(&upstream, "sibling");
    let expected = [(0, 1), (5_000, 2), (10_000, 4), (15_000, 8), (20_000, 16)];
    assert_eq!(groups[..5], expected);
    // Of larger groups the first hear that they are refused while the last have not left yet.
    assert!(groups.len() < 10, "{groups:?}");
}
