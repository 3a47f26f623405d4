//! What the ledger says of a caller.

use http_body::Body;
use tower_quota::sim::{Billed, Dialect, Outcome, SimCharge, SimQuantity, SimShape};

use super::*;

/// A provider that only records.
fn recorder() -> Simulator {
    started(SimConfig {
        enforce: false,
        ..SimConfig::default()
    })
}

/// Sends calls at these instants, in milliseconds.
async fn at(simulator: &Simulator, call: &Call, instants: &[u64]) {
    for instant in instants {
        pass(ms(*instant) - simulator.now()).await;
        send(simulator, call).await;
    }
}

#[tokio::test(start_paused = true)]
async fn finds_the_planted_violations_of_each_shape_and_no_other() {
    let simulator = recorder();
    at(
        &simulator,
        &chat(),
        &[0, 900, 1_000, 1_800, 1_899, 1_900, 2_000],
    )
    .await;
    let two = SimLimit::requests(2, ms(1_000));
    let over = |limit: SimLimit| simulator.ledger().over_limit(&[limit]);
    // 1 800 and 1 899 come while 900 and 1 000 still count.
    assert_eq!(over(two.clone()), 2);
    // 1 899 and 1 900 are over the second window.
    assert_eq!(over(two.clone().shape(SimShape::Fixed)), 2);
    // One refilled each 500 ms: 2.0 at 0, 2.0 at 900, 1.2 at 1 000, 1.8 at 1 800, 0.998 at 1 899,
    // 1.0 at 1 900, 0.2 at 2 000.
    assert_eq!(over(two.clone().shape(SimShape::Bucket)), 2);
    // Slices with one each: 1 899 and 1 900 share theirs with 1 800.
    let sliced = SimShape::Sliced { slice: ms(500) };
    assert_eq!(over(two.shape(sliced)), 2);
    assert_eq!(over(SimLimit::requests(5, ms(1_000))), 0);
    assert_eq!(over(SimLimit::requests(0, ms(1_000))), 7);
}

#[tokio::test(start_paused = true)]
async fn finds_nothing_in_a_run_that_keeps_to_the_limit_exactly() {
    let simulator = recorder();
    let tokens = SimLimit::tokens(100, ms(1_000));
    at(
        &simulator,
        &chat().cap(50),
        &[0, 0, 1_000, 1_000, 2_500, 3_499, 3_500],
    )
    .await;
    assert_eq!(
        simulator.ledger().over_limit(std::slice::from_ref(&tokens)),
        0
    );
    at(&simulator, &chat().cap(50), &[4_498]).await;
    assert_eq!(simulator.ledger().over_limit(&[tokens]), 1);
}

#[tokio::test(start_paused = true)]
async fn agrees_with_the_provider_that_refused() {
    let sliced = SimShape::Sliced { slice: ms(250) };
    let shapes = [SimShape::Sliding, SimShape::Fixed, SimShape::Bucket, sliced];
    let mut random = fastrand::Rng::with_seed(3);
    for shape in shapes {
        let limits = [
            SimLimit::requests(8, ms(1_000)).shape(shape).per_key(),
            SimLimit::tokens(900, ms(1_000)).shape(shape),
            SimLimit::tokens(900, ms(700))
                .shape(shape)
                .charge(SimCharge::Sum)
                .per_model(),
            SimLimit::tokens(600, ms(900))
                .shape(shape)
                .charge(SimCharge::Actual),
            SimLimit::new(SimQuantity::OutputTokens, 90, ms(900))
                .shape(shape)
                .for_model("a"),
            SimLimit::concurrency(3),
        ];
        let simulator = limited(limits.clone());
        let mut open = Vec::new();
        for _ in 0..3_000 {
            pass(Duration::from_micros(random.u64(0..60_000))).await;
            let call = chat()
                .text(random.usize(0..60))
                .cap(random.u64(1..200))
                .key(["x", "y"][random.usize(0..2)])
                .model(["a", "b"][random.usize(0..2)]);
            open.push(begin(&simulator, &call).await.unwrap());
            while open.len() > random.usize(0..8) {
                let ended = open.swap_remove(random.usize(0..open.len()));
                if random.bool() {
                    read(ended).await;
                }
            }
        }
        open.clear();
        let ledger = simulator.ledger();
        let refused = ledger.refused();
        assert!((100..2_900).contains(&refused), "{shape:?}: {refused}");
        assert_eq!(ledger.over_limit(&limits), refused, "{shape:?}");
        for limit in &limits {
            let on_arrival =
                limit.charge != SimCharge::Actual && limit.quantity != SimQuantity::OutputTokens;
            let peak = ledger.peak(limit);
            assert!(peak > 0, "{limit:?}");
            if shape == SimShape::Sliding && on_arrival {
                assert!(peak <= limit.amount, "{limit:?}: {peak}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_out_of_the_count_what_a_fault_refused() {
    let simulator = recorder();
    let one = [SimLimit::requests(1, MINUTE)];
    send(&simulator, &chat().fault("status=429")).await;
    send(&simulator, &chat()).await;
    assert_eq!(simulator.ledger().over_limit(&one), 0);
    send(&simulator, &chat().fault("status=500")).await;
    assert_eq!(simulator.ledger().over_limit(&one), 1);
    assert_eq!(simulator.ledger().refused(), 1);
}

#[tokio::test(start_paused = true)]
async fn tells_the_busiest_interval_of_the_period() {
    let simulator = recorder();
    at(&simulator, &chat().cap(30), &[0, 100, 1_000, 1_050, 1_099]).await;
    at(&simulator, &chat().cap(10), &[2_049]).await;
    let ledger = simulator.ledger();
    assert_eq!(ledger.peak(&SimLimit::requests(1, ms(1_000))), 4);
    assert_eq!(ledger.peak(&SimLimit::tokens(1, ms(1_000))), 120);
    assert_eq!(ledger.peak(&SimLimit::tokens(1, ms(999))), 90);
    assert_eq!(
        ledger.peak(&SimLimit::tokens(1, ms(1_000)).for_model("other")),
        0
    );
    assert_eq!(ledger.peak(&SimLimit::concurrency(1)), 1);
}

#[tokio::test(start_paused = true)]
async fn tells_the_busiest_group_and_the_most_open_at_once() {
    let simulator = recorder();
    let mut open = Vec::new();
    for key in ["a", "a", "b"] {
        open.push(begin(&simulator, &chat().key(key).stream()).await.unwrap());
    }
    drop(open.pop());
    open.push(begin(&simulator, &chat().key("c").stream()).await.unwrap());
    let ledger = simulator.ledger();
    assert_eq!(ledger.peak(&SimLimit::concurrency(1)), 3);
    assert_eq!(ledger.peak(&SimLimit::concurrency(1).per_key()), 2);
    assert_eq!(ledger.peak(&SimLimit::requests(1, MINUTE)), 4);
    assert_eq!(ledger.peak(&SimLimit::requests(1, MINUTE).per_key()), 2);
}

#[tokio::test(start_paused = true)]
async fn knows_the_least_time_that_the_tightest_limit_allows() {
    let simulator = started(SimConfig {
        latency: ms(200),
        ..SimConfig::default()
    });
    at(
        &simulator,
        &chat().cap(30),
        &[500, 1_000, 2_000, 3_000, 4_000],
    )
    .await;
    send(&simulator, &chat().cap(30).fault("status=500")).await;
    let ledger = simulator.ledger();
    assert_eq!(ledger.makespan(), ms(3_900));
    let requests = |amount| SimLimit::requests(amount, ms(1_000));
    assert_eq!(ledger.least(&[requests(5)]), ms(200));
    assert_eq!(ledger.least(&[requests(2)]), ms(2_200));
    assert_eq!(ledger.least(&[requests(2), requests(1)]), ms(4_200));
    assert_eq!(
        ledger.least(&[requests(2).shape(SimShape::Bucket)]),
        ms(1_700)
    );
    assert_eq!(ledger.least(&[SimLimit::tokens(100, ms(1_000))]), ms(1_200));
    assert_eq!(ledger.least(&[SimLimit::concurrency(1)]), ms(200));
    assert_eq!(recorder().ledger().least(&[requests(1)]), Duration::ZERO);
    assert_eq!(recorder().ledger().makespan(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn writes_down_who_came_when_for_what() {
    let simulator = limited([
        SimLimit::requests(9, MINUTE),
        SimLimit::tokens(9_000, MINUTE),
    ]);
    pass(ms(70)).await;
    send(&simulator, &message().text(25).cap(300).key("k").stream()).await;
    let ledger = simulator.ledger();
    let attempt = &ledger.entries()[0];
    assert_eq!(
        (attempt.seq, attempt.arrival, attempt.finish),
        (0, ms(70), Some(ms(70)))
    );
    assert_eq!((&*attempt.model, &*attempt.key), ("claude", "k"));
    assert_eq!(
        (attempt.dialect, attempt.stream),
        (Dialect::Anthropic, true)
    );
    assert_eq!(
        (attempt.prompt, attempt.max_tokens, attempt.charged),
        (25, Some(300), 300)
    );
    assert_eq!(
        (attempt.status, attempt.outcome),
        (Some(200), Outcome::Completed)
    );
    assert_eq!(
        attempt.billed,
        Billed {
            input: 25,
            output: 30
        }
    );
    assert_eq!(
        (ledger.attempts(), ledger.ok(), ledger.refused()),
        (1, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn bills_a_stream_that_was_given_up_what_had_been_sent() {
    let simulator = started(SimConfig {
        chunk_delay: ms(100),
        chunks: 4,
        ..SimConfig::default()
    });
    let mut open = begin(&simulator, &chat().cap(400).stream()).await.unwrap();
    // The opening and two of four chunks.
    for _ in 0..3 {
        open.body_mut().frame().await.unwrap().unwrap();
    }
    let attempt = simulator.ledger().entries()[0].clone();
    assert_eq!((attempt.outcome, attempt.finish), (Outcome::Open, None));
    pass(ms(50)).await;
    drop(open);
    let attempt = simulator.ledger().entries()[0].clone();
    assert_eq!(
        attempt.billed,
        Billed {
            input: 10,
            output: 20
        }
    );
    assert_eq!(attempt.outcome, Outcome::Aborted);
    assert_eq!(attempt.finish, Some(ms(250)));
    assert_eq!(simulator.ledger().ok(), 0);
}

#[tokio::test(start_paused = true)]
async fn is_complete_once_the_last_frame_was_taken() {
    let simulator = limited([]);
    for call in [chat(), chat().stream()] {
        let mut open = begin(&simulator, &call).await.unwrap();
        while !open.body().is_end_stream() {
            open.body_mut().frame().await.unwrap().unwrap();
        }
        let last = simulator.ledger().entries().last().cloned().unwrap();
        assert_eq!(last.outcome, Outcome::Completed);
        simulator.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn judges_twenty_thousand_attempts_in_two_passes() {
    let simulator = recorder();
    let call = chat().cap(30);
    for _ in 0..20_000 {
        pass(ms(1)).await;
        send(&simulator, &call).await;
    }
    let ledger = simulator.ledger();
    let limit = SimLimit::requests(5_000, ms(10_000));
    assert_eq!(ledger.peak(&limit), 10_000);
    assert_eq!(ledger.over_limit(std::slice::from_ref(&limit)), 10_000);
    assert_eq!(ledger.least(&[limit]), ms(30_000));
}
