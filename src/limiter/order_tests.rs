//! Who goes first, by plain lists.

use std::collections::VecDeque;

use super::*;
use crate::{
    limit::{Limit, LimitKey},
    tags::Tags,
};

const AGING: i64 = 10;

fn comer(order: u64, agent: &str, size: u64) -> Comer {
    Comer {
        priority: 0,
        arrival: 0,
        order,
        start: None,
        agent: agent.into(),
        size,
        needs: Box::default(),
        shares: None,
        below: false,
        version: 0,
    }
}

/// Takes everybody in, in this order, and says in which order they go.
fn goes(comers: &[Comer]) -> Vec<u64> {
    let mut order = Order::new(AGING);
    let mut ranks: Vec<Rank> = comers.iter().map(|comer| order.join(comer)).collect();
    let mut went = Vec::new();
    while !ranks.is_empty() {
        let first = (1..ranks.len()).fold(0, |best, i| {
            if order.before(ranks[i], ranks[best]) {
                i
            } else {
                best
            }
        });
        let rank = ranks.remove(first);
        let agent = comers[usize::try_from(rank.seat.order).unwrap()]
            .agent
            .clone();
        order.granted(rank, &agent);
        went.push(rank.seat.order);
    }
    assert!(
        order.classes.is_empty(),
        "nothing is kept of those who went"
    );
    went
}

#[test]
fn calls_of_one_agent_go_in_the_order_they_came() {
    assert_eq!(
        goes(&(0..5).map(|i| comer(i, "a", WHOLE)).collect::<Vec<_>>()),
        [0, 1, 2, 3, 4]
    );
}

#[test]
fn an_agent_that_came_late_does_not_wait_behind_all_of_one_that_sent_much() {
    let mut comers: Vec<Comer> = (0..4).map(|i| comer(i, "much", WHOLE)).collect();
    comers.extend((4..6).map(|i| comer(i, "few", WHOLE)));
    assert_eq!(goes(&comers), [0, 4, 1, 5, 2, 3]);
}

#[test]
fn twice_the_weight_is_twice_the_share() {
    let mut comers: Vec<Comer> = (0..6).map(|i| comer(i, "light", WHOLE)).collect();
    comers.extend((6..12).map(|i| comer(i, "heavy", WHOLE / 2)));
    let first: Vec<u64> = goes(&comers).into_iter().take(6).collect();
    assert_eq!(
        first.iter().filter(|order| **order >= 6).count(),
        4,
        "{first:?}"
    );
}

#[test]
fn a_priority_goes_first_and_one_that_came_an_aging_span_before_goes_before_it() {
    let urgent = |order, arrival| Comer {
        priority: 1,
        arrival,
        ..comer(order, "b", WHOLE)
    };
    assert_eq!(goes(&[comer(0, "a", WHOLE), urgent(1, 0)]), [1, 0]);
    assert_eq!(goes(&[comer(0, "a", WHOLE), urgent(1, AGING)]), [1, 0]);
    assert_eq!(goes(&[comer(0, "a", WHOLE), urgent(1, AGING + 1)]), [0, 1]);
}

#[test]
fn one_that_queues_again_keeps_its_place() {
    let mut order = Order::new(AGING);
    let first = order.join(&comer(0, "a", WHOLE));
    let others: Vec<Rank> = (1..4).map(|i| order.join(&comer(i, "a", WHOLE))).collect();
    order.granted(first, "a");
    let again = Comer {
        start: Some(first.seat.start),
        ..comer(0, "a", WHOLE)
    };
    let again = order.join(&again);
    assert!(others.iter().all(|other| order.before(again, *other)));
}

/// Ninety calls of one agent are granted, and nobody waits. One of them comes back after others have come.
fn comes_back_when_nobody_waited(ninety: impl Fn(u64) -> Comer) {
    let mut order = Order::new(AGING);
    let first: Vec<Rank> = (0..90).map(|i| order.join(&ninety(i))).collect();
    first.iter().for_each(|rank| order.granted(*rank, "a"));
    assert!(order.classes.is_empty() && order.turns.is_empty());
    let others = [(90, "b"), (91, "c"), (92, "b"), (93, "c")];
    let others = others.map(|(i, agent)| order.join(&comer(i, agent, WHOLE)));
    assert_eq!(others[0].seat.start, others[1].seat.start);
    let again = Comer {
        start: Some(first[85].seat.start),
        ..comer(85, "a", WHOLE)
    };
    let again = order.join(&again);
    assert!(others.iter().all(|other| order.before(again, *other)));
    let next = order.join(&comer(94, "a", WHOLE));
    assert_eq!(
        next.seat.start, others[0].seat.start,
        "a newcomer of its agent begins where the others do"
    );
}

#[test]
fn one_that_queues_again_keeps_its_place_where_nobody_waited_meanwhile() {
    comes_back_when_nobody_waited(|i| comer(i, "a", WHOLE));
    // What is guaranteed goes out of turn, and moves nobody else's time.
    let share = LimitKey::of(0, &Limit::concurrency(2), &Tags::new());
    let owner = |i| Comer {
        shares: Some([share.clone()].into()),
        below: true,
        ..comer(i, "a", WHOLE)
    };
    comes_back_when_nobody_waited(owner);
    // Of another priority: it keeps its place in the class that it had.
    let urgent = |i| Comer {
        priority: 1,
        ..comer(i, "a", WHOLE)
    };
    let mut order = Order::new(AGING);
    let first: Vec<Rank> = (0..9).map(|i| order.join(&urgent(i))).collect();
    let waits = order.join(&comer(9, "b", WHOLE));
    first.iter().for_each(|rank| order.granted(*rank, "a"));
    let newcomer = order.join(&Comer {
        agent: "b".into(),
        ..urgent(10)
    });
    let again = order.join(&Comer {
        start: Some(first[8].seat.start),
        ..urgent(8)
    });
    assert!(order.before(again, newcomer) && order.before(newcomer, waits));
}

#[test]
fn nothing_is_kept_of_classes_that_are_gone() {
    let mut order = Order::new(AGING);
    for i in 0..10_000 {
        let agent = format!("agent {i}");
        let rank = order.join(&Comer {
            priority: i32::try_from(i).unwrap(),
            ..comer(i, &agent, WHOLE)
        });
        if i % 2 == 0 {
            order.granted(rank, &agent);
        } else {
            order.gave_up(rank, &agent);
        }
        assert!(order.classes.is_empty() && order.turns.is_empty());
    }
}

#[test]
fn one_that_came_first_and_joins_last_goes_before_those_of_its_agent() {
    let mut order = Order::new(AGING);
    let others: Vec<Rank> = (1..4).map(|i| order.join(&comer(i, "a", WHOLE))).collect();
    let other_agent = order.join(&comer(4, "b", WHOLE));
    let first = order.join(&comer(0, "a", WHOLE));
    assert!(others.iter().all(|other| order.before(first, *other)));
    assert!(
        order.before(other_agent, others[1]),
        "and takes nothing from another agent"
    );
}

#[test]
fn who_gives_up_leaves_its_agent_no_further_behind() {
    let mut order = Order::new(AGING);
    let stays = order.join(&comer(0, "a", WHOLE));
    let goes = order.join(&comer(1, "a", WHOLE * 100));
    order.gave_up(goes, "a");
    let next = order.join(&comer(2, "a", WHOLE));
    assert_eq!(next.seat.start, stays.seat.start + WHOLE);
}

#[test]
fn who_queues_again_and_gives_up_takes_no_place_from_others_of_its_agent() {
    let mut order = Order::new(AGING);
    let first = order.join(&comer(0, "a", WHOLE));
    let stays = order.join(&comer(1, "a", WHOLE));
    order.granted(first, "a");
    // Where it began it has been counted, and comes to no more this time: nothing is to be taken back either.
    let again = order.join(&Comer {
        start: Some(first.seat.start),
        ..comer(0, "a", WHOLE)
    });
    order.gave_up(again, "a");
    let next = order.join(&comer(2, "a", WHOLE));
    assert_eq!(next.seat.start, stays.seat.start + WHOLE);
}

#[test]
fn classes_pass_each_other_when_the_oldest_of_one_goes_and_not_when_one_is_new_or_ends() {
    let at = |order, arrival, priority| Comer {
        priority,
        arrival,
        ..comer(order, "a", WHOLE)
    };
    let mut order = Order::new(AGING);
    let first = order.join(&at(0, 0, 0));
    let urgent = order.join(&at(1, AGING / 2, 1));
    let second = order.join(&at(2, 0, 0));
    let last = order.join(&at(3, AGING, 0));
    assert!(!order.turned(), "the urgent one went first from the start");
    order.granted(urgent, "a");
    let urgent = order.join(&at(4, AGING + 5, 1));
    assert!(!order.turned());
    order.granted(first, "a");
    assert!(!order.turned(), "another is as old");
    assert!(order.before(second, urgent));
    order.granted(second, "a");
    assert!(order.turned() && !order.turned());
    assert!(order.before(urgent, last));
}

/// The classes in the order in which they go, by a plain list.
fn turns(waiting: &[Rank]) -> Vec<i32> {
    let mut classes: Vec<i32> = waiting.iter().map(|rank| rank.line.priority).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.sort_by_key(|class| {
        let of = waiting.iter().filter(|rank| rank.line.priority == *class);
        let oldest = of.map(|rank| rank.arrival).min().unwrap();
        (oldest - AGING * i64::from(*class), -class)
    });
    classes
}

#[test]
fn classes_turn_where_two_that_stay_change_places_and_nowhere_else() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut order = Order::new(AGING);
    let (mut waiting, mut turned): (Vec<Rank>, u64) = Default::default();
    for number in 0..4_000 {
        let before = turns(&waiting);
        if waiting.len() < 2 || (waiting.len() < 9 && random.bool()) {
            waiting.push(order.join(&Comer {
                priority: random.i32(-2..3),
                arrival: random.i64(0..40),
                ..comer(number, "a", WHOLE)
            }));
        } else {
            let rank = waiting.swap_remove(random.usize(..waiting.len()));
            order.granted(rank, "a");
        }
        let now = turns(&waiting);
        let stayed = before.iter().filter(|class| now.contains(class));
        let known = now.iter().filter(|class| before.contains(class));
        let passed = !stayed.eq(known);
        assert_eq!(order.turned(), passed, "{before:?} {now:?}");
        turned += u64::from(passed);
    }
    assert!(turned > 100, "{turned}");
}

#[test]
fn one_that_comes_after_another_gave_up_does_not_go_before_those_of_its_agent() {
    let mut order = Order::new(AGING);
    order.join(&comer(0, "a", WHOLE));
    let goes = order.join(&comer(1, "a", WHOLE * 100));
    let stays = order.join(&comer(2, "a", WHOLE));
    order.gave_up(goes, "a");
    let next = order.join(&comer(3, "a", WHOLE));
    assert!(order.before(stays, next));
    let again = order.join(&comer(4, "a", WHOLE));
    assert_eq!(again.seat.start, next.seat.start + WHOLE);
}

#[test]
fn agents_that_are_gone_are_forgotten() {
    let mut order = Order::new(AGING);
    let stays = order.join(&comer(0, "stays", 0));
    for i in 1..10_000 {
        let rank = order.join(&comer(i, &format!("agent {i}"), 1));
        order.granted(rank, &format!("agent {i}"));
        let seat = Seat {
            start: i + 2,
            ..stays.seat
        };
        order.classes.get_mut(&0).unwrap().now = seat.start;
    }
    assert!(
        order.classes[&0].parties.len() < 100,
        "{}",
        order.classes[&0].parties.len()
    );
}

#[test]
fn agents_that_come_once_are_forgotten_while_many_wait() {
    let mut order = Order::new(AGING);
    for i in 0..200 {
        order.join(&comer(i, &format!("stays {i}"), WHOLE));
    }
    for i in 200..20_000 {
        let rank = order.join(&comer(i, &format!("agent {i}"), WHOLE));
        order.granted(rank, &format!("agent {i}"));
        assert!(order.classes[&0].parties.len() <= 2 * 201 + 64);
    }
    let stay = |i| {
        order.classes[&0]
            .parties
            .contains_key(&*format!("stays {i}"))
    };
    assert!((0..200).all(stay));
}

#[test]
fn newcomers_without_end_do_not_starve_a_call_that_waits_further_on() {
    let mut order = Order::new(AGING);
    let first = order.join(&comer(0, "a", WHOLE));
    let second = order.join(&comer(1, "a", WHOLE));
    order.granted(first, "a");
    let mut waiting: VecDeque<(u64, Rank)> = (2..12)
        .map(|i| (i, order.join(&comer(i, &format!("agent {i}"), WHOLE))))
        .collect();
    // One comes, the first of them goes, again and again; until the second of `a` goes before all of them.
    let passed = (12..).take_while(|i| {
        waiting.push_back((*i, order.join(&comer(*i, &format!("agent {i}"), WHOLE))));
        let (number, rank) = waiting.pop_front().unwrap();
        let passed = order.before(rank, second);
        order.granted(rank, &format!("agent {number}"));
        passed && *i < 1_000
    });
    let passed = passed.count();
    assert!(
        (10..=24).contains(&passed),
        "{passed}: twice as many as wait"
    );
}
