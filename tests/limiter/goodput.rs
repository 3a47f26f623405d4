//! Goodput: how much of a limit gets used, over 24 hours of more calls than fit, in virtual time.
//!
//! `cargo test --test limiter goodput -- --nocapture` prints the table: for each charge rule what was used of the limit, the
//! most that the rule allows, and the share of that. All windows are of 60 s with the usual margin of 0.5 s;
//! a call takes 1 to 120 s, reserves at most 2 % of the limit, and its output is a tenth of what it reserved.
//!
//! # The bound
//! A charge takes room: an amount, for as long as it counts. A limit of `A` has `A` times `T` of that in a time
//! `T`, and no rule can use more. So over any calls, with whatever latencies, what they take together is at most
//! `A * T`, and by the rule one call takes
//!
//! - charged at the send: the reservation `r` for the period and the margin, `r * (P + m)`, whatever the latency;
//! - charged at completion: the reservation while it is in flight, and then what it used, `r * L + a * (P + m)`.
//!
//! Goodput is what counts for the provider, `r` there and `a` here, by `A * T / P`. Calls whose sizes and latencies
//! are drawn from one distribution come to `A * T / E[room]` calls at most, hence to a goodput of
//! `P * E[r] / E[r * (P + m)]` or `P * E[a] / E[r * L + a * (P + m)]`. The means are taken over the calls that
//! were really made, so the bound is that of the actual latencies and not of the distribution they came from. With
//! one size and a mean latency it is the `a * P / (r * L + a * (P + m))` that is known from paper.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use tokio::time::{Instant, sleep_until};
use tower_quota::{
    Limiter, Usage,
    limit::{Charge, Limit, Limits},
    limiter::{Call, Permit},
};

const PERIOD: u64 = 60_000_000;
const MARGIN: u64 = 500_000;
const DAY: u64 = 24 * 3_600 * 1_000_000;
/// Tokens a minute.
const AMOUNT: u64 = 1_000_000;
/// The largest call: 2 %.
const LARGEST: u64 = AMOUNT / 50;

/// Requests a minute: each is 2 % of it, too.
const REQUESTS: u64 = 50;

/// One call, in microseconds and tokens.
#[derive(Clone, Copy)]
struct Sent {
    sent: u64,
    ended: u64,
    reserved: u64,
    used: u64,
}

#[derive(Clone)]
struct Rule {
    name: &'static str,
    limit: Limit,
    /// Input and output cap of a call that is to reserve so much.
    call: fn(u64) -> (u64, u64),
    at_send: bool,
}

fn rules() -> [Rule; 5] {
    let minute = Duration::from_micros(PERIOD);
    let tokens = |charge| Limit::tokens(AMOUNT).every(minute).charge(charge);
    [
        Rule {
            name: "openai: the larger, at the send",
            limit: tokens(Charge::openai()),
            call: |size| (size / 4, size),
            at_send: true,
        },
        Rule {
            name: "azure: both, at the send",
            limit: tokens(Charge::azure()),
            call: |size| (size / 4, size - size / 4),
            at_send: true,
        },
        Rule {
            name: "anthropic: output, at completion",
            limit: Limit::output_tokens(AMOUNT)
                .every(minute)
                .charge(Charge::anthropic()),
            call: |size| (size / 4, size),
            at_send: false,
        },
        Rule {
            name: "default: both, at completion",
            limit: Limit::tokens(AMOUNT).every(minute),
            call: |size| (0, size),
            at_send: false,
        },
        Rule {
            name: "requests, at the send",
            limit: Limit::requests(REQUESTS).every(minute),
            call: |_| (0, 0),
            at_send: true,
        },
    ]
}

/// A day of calls, one behind the other in the queue: there is always one that waits.
async fn a_day(limit: Limit, call: fn(u64) -> (u64, u64)) -> Vec<Sent> {
    let limits = Limits::new([limit]).unwrap();
    let limiter = Limiter::new(limits);
    let mut random = fastrand::Rng::with_seed(7);
    let start = Instant::now();
    let micros = || u64::try_from(start.elapsed().as_micros()).unwrap();
    let (mut flying, mut day) = (BTreeMap::new(), Vec::new());
    while micros() < DAY {
        let reserved = random.u64(LARGEST * 2 / 3..=LARGEST);
        let latency = Duration::from_millis(random.u64(1_000..=120_000));
        let (input, output) = call(reserved);
        let mut next = pin!(limiter.acquire(Call::new().tokens(input, output)));
        let permit = loop {
            let end = flying.first_key_value().map(|((at, _), _)| *at);
            tokio::select! {
                permit = &mut next => break permit.unwrap(),
                () = sleep_until(end.unwrap_or(start)), if end.is_some() => {
                    let (_, (permit, call)): (_, (Permit, Sent)) = flying.pop_first().unwrap();
                    permit.settle(Usage::new(0, call.used));
                    day.push(Sent { ended: micros(), ..call });
                }
            }
        };
        let (sent, used) = (micros(), reserved / 10);
        let sent = Sent {
            sent,
            ended: sent,
            reserved,
            used,
        };
        flying.insert(
            (Instant::now() + latency, day.len() + flying.len()),
            (permit, sent),
        );
    }
    day
}

/// By the plainest means: the most that any interval of the period's length holds.
fn most_in_a_period(mut charges: Vec<(u64, u64)>) -> u64 {
    charges.sort_unstable();
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (date, amount) in &charges {
        sum += amount;
        while charges[first].0 + PERIOD <= *date {
            sum -= charges[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// A21: charge rules as data.
#[test]
fn a_day_of_saturation_uses_what_each_charge_rule_allows() {
    println!(
        "{:<34} {:>7} {:>9} {:>9} {:>7} {:>6}",
        "charge rule", "calls", "goodput", "allowed", "share", "over"
    );
    let day = |rule: &Rule| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime
            .unwrap()
            .block_on(a_day(rule.limit.clone(), rule.call))
    };
    std::thread::scope(|threads| {
        let days = rules().map(|rule| {
            let of = rule.clone();
            (rule, threads.spawn(move || day(&of)))
        });
        for (rule, day) in days {
            judge(&rule, &day.join().unwrap());
        }
    });
}

fn judge(rule: &Rule, day: &[Sent]) {
    let requests = rule.limit.to_string().starts_with("requests");
    let amount = if requests { REQUESTS } else { AMOUNT };
    let charge = |call: &Sent| match (requests, rule.at_send) {
        (true, _) => (call.sent, 1),
        (_, true) => (call.sent, call.reserved),
        _ => (call.ended, call.used),
    };
    let most = most_in_a_period(day.iter().map(charge).collect());
    // From the time on at which as much ends as begins.
    let settled = |call: &&Sent| (4 * PERIOD..DAY).contains(&charge(call).0);
    let day: Vec<&Sent> = day.iter().filter(settled).collect();
    let sum = |of: &dyn Fn(&Sent) -> u128| day.iter().map(|call| of(call)).sum::<u128>() as f64;
    let used = sum(&|call| charge(call).1.into());
    let room = sum(&|call| {
        let counted = u128::from(charge(call).1) * u128::from(PERIOD + MARGIN);
        let flight = u128::from(call.reserved) * u128::from(call.ended - call.sent);
        if rule.at_send {
            counted
        } else {
            counted + flight
        }
    });
    let allowed = used * PERIOD as f64 / room;
    let goodput = used / (amount as f64 * (DAY - 4 * PERIOD) as f64 / PERIOD as f64);
    let share = goodput / allowed;
    println!(
        "{:<34} {:>7} {:>8.2}% {:>8.2}% {:>6.2}% {:>6}",
        rule.name,
        day.len(),
        goodput * 100.0,
        allowed * 100.0,
        share * 100.0,
        most.saturating_sub(amount),
    );
    assert!(most <= amount, "{most} in one minute");
    assert!(share >= 0.98, "{share} of what the rule allows");
    // What the first and the last minute hold may lie on either side of the edges.
    let edges = 2.0 * PERIOD as f64 / DAY as f64;
    assert!(
        share <= 1.0 + edges,
        "more than it allows: the bound is wrong"
    );
    assert!(!rule.at_send || goodput >= 0.98, "{goodput} of the limit");
}
