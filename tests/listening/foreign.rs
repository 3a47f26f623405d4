//! Others use the same account: the provider's counters say so, and room is left for them.
//!
//! Each test prints what the ledger says of our attempts. `refused` counts those that came after our first answer.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep_until, timeout};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Charge, Limit},
    limiter::Call,
    sim::{SimCharge, SimLimit, SimQuantity, SimShape},
    store::Observation,
    wire::rate_limits,
};

use crate::work::*;

const SHAPES: [SimShape; 3] = [SimShape::Sliding, SimShape::Fixed, SimShape::Bucket];
const PACED: Demand = Demand::Every(millis(500));
const BACKLOG: Demand = Demand::Backlog(1_000);
const TEN_MINUTES: Duration = secs(600);

fn requests() -> Limit {
    Limit::requests(100).every(MINUTE).when(Tag::Model, "m")
}

fn asked(shape: SimShape) -> SimLimit {
    SimLimit::requests(100, MINUTE).shape(shape)
}

/// Others call after each of these spans, for a while before we come and as long as we stay.
async fn beside(
    shape: SimShape,
    demand: Demand,
    spans: impl IntoIterator<Item = Duration> + Send + 'static,
    absorb: bool,
) -> (usize, usize) {
    let simulator = provider([asked(shape)]);
    others(&simulator, "m", 10, spans);
    tokio::time::sleep(secs(65)).await;
    let (limiter, _) = limiter([requests()], absorb);
    // What not absorbing does is seen sooner.
    let span = if absorb { TEN_MINUTES } else { secs(300) };
    let ledger = work(&limiter, &simulator, demand, "m", 10, span).await;
    let (ok, refused) = judged(&ledger);
    let theirs = ledger
        .entries()
        .iter()
        .filter(|a| &*a.key == THEIRS && a.arrival > secs(65));
    let lost = theirs.filter(|a| a.status == Some(429)).count();
    println!(
        "{shape:?} {demand:?} absorb {absorb}: {ok} ok, {refused} refused; others lost {lost}"
    );
    (ok, refused)
}

#[tokio::test(start_paused = true)]
async fn room_is_left_for_a_steady_load_and_what_it_leaves_is_used() {
    for shape in SHAPES {
        let (ok, refused) = beside(shape, PACED, [secs(1); 700], true).await;
        assert_eq!(refused, 0, "{shape:?}");
        assert!(ok >= 370, "{ok} of the 400 that others leave: {shape:?}");
        let (_, refused) = beside(shape, PACED, [secs(1); 700], false).await;
        assert!(refused > 0, "without absorbing only {refused}: {shape:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_does_not_come_all_at_once_when_news_is_old() {
    for shape in [SimShape::Sliding, SimShape::Fixed] {
        let (ok, refused) = beside(shape, BACKLOG, [secs(1); 700], true).await;
        assert_eq!(refused, 0, "{shape:?}");
        assert!(ok >= 380, "{ok}: {shape:?}");
        let (_, refused) = beside(shape, BACKLOG, [secs(1); 700], false).await;
        assert!(refused > 20, "without absorbing only {refused}: {shape:?}");
    }
}

/// A bucket that was full when we came tells nothing of others until we come again: then one goes ahead.
#[tokio::test(start_paused = true)]
async fn a_full_bucket_tells_of_others_once_it_is_not() {
    let (ok, refused) = beside(SimShape::Bucket, BACKLOG, [secs(1); 700], true).await;
    assert_eq!(refused, 0);
    assert!(
        ok >= 440,
        "{ok} of a full bucket and the 400 that others leave"
    );
    let (_, refused) = beside(SimShape::Bucket, BACKLOG, [secs(1); 700], false).await;
    assert!(refused > 150, "without absorbing only {refused}");
}

/// From 6 a minute to 60 in eight minutes.
#[tokio::test(start_paused = true)]
async fn room_is_left_for_a_load_that_grows() {
    let growing = || {
        let pauses =
            (0..).map(|n| Duration::from_secs_f64((10.0 / (1.0 + 0.1 * f64::from(n))).max(1.0)));
        pauses.take(700)
    };
    for (shape, demand) in [
        (SimShape::Sliding, PACED),
        (SimShape::Sliding, BACKLOG),
        (SimShape::Bucket, PACED),
    ] {
        let (ok, refused) = beside(shape, demand, growing(), true).await;
        assert_eq!(refused, 0, "{shape:?} {demand:?}");
        assert!(ok >= 400, "{ok}: {shape:?} {demand:?}");
        let (_, refused) = beside(shape, demand, growing(), false).await;
        assert!(
            refused > 20,
            "without absorbing {refused}: {shape:?} {demand:?}"
        );
    }
}

/// Thirty at once, and again after each pause.
fn bursts(pause: Duration) -> impl Iterator<Item = Duration> + Send {
    let burst = move |_| [pause].into_iter().chain([Duration::ZERO; 29]);
    (0..30).flat_map(burst)
}

#[tokio::test(start_paused = true)]
async fn room_is_left_for_bursts_that_come_and_go() {
    for (pause, demand, least) in [
        (secs(20), BACKLOG, 100),
        (secs(30), PACED, 370),
        (secs(30), BACKLOG, 370),
        (secs(60), PACED, 670),
        (secs(90), PACED, 650),
    ] {
        let (ok, refused) = beside(SimShape::Sliding, demand, bursts(pause), true).await;
        assert_eq!(refused, 0, "{pause:?} {demand:?}");
        assert!(ok >= least, "{ok}: {pause:?} {demand:?}");
    }
    let (_, refused) = beside(SimShape::Sliding, PACED, bursts(secs(90)), false).await;
    assert!(refused > 50, "without absorbing only {refused}");
}

/// Two bursts need more together than each of them showed. The first that finds nothing left tells so, and from
/// then on there is room for what others may have wanted.
#[tokio::test(start_paused = true)]
async fn room_is_left_for_a_burst_on_top_of_another() {
    let (ok, refused) = beside(SimShape::Sliding, PACED, bursts(secs(50)), true).await;
    assert_eq!(refused, 0);
    assert!(ok >= 590, "{ok}");
}

/// The same with tokens, of which a call takes as many as it may answer.
#[tokio::test(start_paused = true)]
async fn counters_of_tokens_leave_room_as_those_of_requests_do() {
    for shape in SHAPES {
        let simulator = provider([SimLimit::tokens(100_000, MINUTE).shape(shape)]);
        others(&simulator, "m", 990, [secs(1); 700]);
        tokio::time::sleep(secs(65)).await;
        let tokens = Limit::tokens(100_000).every(MINUTE).when(Tag::Model, "m");
        let requests = Limit::requests(100_000).every(MINUTE).when(Tag::Model, "m");
        let (limiter, store) = limiter([tokens.charge(Charge::openai()), requests], true);
        let ledger = work(&limiter, &simulator, PACED, "m", 990, TEN_MINUTES).await;
        let (ok, refused) = judged(&ledger);
        println!("{shape:?}: {ok} ok, {refused} refused");
        assert_eq!(refused, 0, "{shape:?}");
        assert!(ok >= 370, "{ok} of the 400 that others leave: {shape:?}");
        let learnt = store.learnt();
        let limits: Vec<&str> = learnt.iter().map(|learnt| &*learnt.limit).collect();
        assert_eq!(limits, ["tokens 100000/min for model=m"], "not of requests");
    }
}

fn anthropic(shape: SimShape) -> [SimLimit; 3] {
    let actual = |quantity, amount| {
        let limit = SimLimit::new(quantity, amount, MINUTE);
        limit.charge(SimCharge::Actual).shape(shape)
    };
    [
        SimLimit::requests(1_000, MINUTE).shape(shape),
        actual(SimQuantity::InputTokens, 100_000),
        actual(SimQuantity::OutputTokens, 20_000),
    ]
}

/// Output that is charged when it is there, in counters that are rounded to thousands.
#[tokio::test(start_paused = true)]
async fn counters_of_what_is_charged_at_completion_leave_room_and_cost_nothing() {
    let mut ok = Vec::new();
    for (beside, absorb) in [(true, true), (true, false), (false, true), (false, false)] {
        let simulator = provider(anthropic(SimShape::Bucket));
        if beside {
            others_as(&simulator, message(THEIRS, "m", 2_000), [secs(1); 700]);
        }
        tokio::time::sleep(secs(65)).await;
        let output = Limit::output_tokens(20_000).every(MINUTE);
        let input = Limit::input_tokens(100_000).every(MINUTE);
        let limits = [
            Limit::requests(1_000).every(MINUTE),
            input.when(Tag::Model, "m"),
            output.when(Tag::Model, "m"),
        ];
        let (limiter, _) = limiter(limits, absorb);
        let one = || message(OURS, "m", 2_000);
        let ledger = work_as(&limiter, &simulator, PACED, one, TEN_MINUTES).await;
        let (good, refused) = judged(&ledger);
        println!("beside {beside} absorb {absorb}: {good} ok, {refused} refused");
        ok.push((good, refused));
    }
    let [(left, few), (_, many), (alone, none), (unheard, _)] = ok[..] else {
        unreachable!()
    };
    // What others generate just now is in no counter yet, and rounding hides the little that they took before; that it
    // is a bucket shows in the resets.
    assert!(
        few == 0 && many > 100,
        "{few} refused, {many} without absorbing"
    );
    assert!(left >= 380, "{left} of the 400 that others leave");
    assert_eq!((alone, none), (unheard, 0), "alone it costs nothing");
}

/// The counters of a model that has nothing left are no news of another.
#[tokio::test(start_paused = true)]
async fn counters_of_another_model_hold_nothing_back() {
    let per_model = SimLimit::requests(100, MINUTE).per_model();
    let simulator = provider([per_model]);
    others(&simulator, "other", 10, [millis(600); 1_100]);
    tokio::time::sleep(secs(65)).await;
    let limit = |model| Limit::requests(100).every(MINUTE).when(Tag::Model, model);
    let all = Limit::requests(10_000).every(MINUTE);
    let (limiter, store) = limiter([limit("m"), limit("other"), all], true);
    let both = limiter.clone();
    let other = simulator.clone();
    tokio::spawn(async move {
        loop {
            call(&both, &other, chat("beside", "other", 10)).await;
            tokio::time::sleep(secs(5)).await;
        }
    });
    let ledger = work(&limiter, &simulator, BACKLOG, "m", 10, TEN_MINUTES).await;
    let (ok, refused) = judged(&ledger);
    println!("{ok} ok, {refused} refused; {:?}", store.learnt());
    assert_eq!((ok, refused), (1_000, 0), "ten windows of a hundred");
    let learnt = store.learnt();
    assert!(
        learnt
            .iter()
            .all(|learnt| learnt.limit.ends_with("model=other"))
    );
    assert!(
        learnt.iter().any(|learnt| learnt.others >= 90),
        "{learnt:?}"
    );
}

/// Nobody else is there: absorbing costs nothing that counts.
#[tokio::test(start_paused = true)]
async fn without_others_absorbing_costs_no_goodput() {
    for shape in SHAPES {
        for demand in [BACKLOG, PACED, Demand::Every(millis(601))] {
            let mut ok = [0, 0];
            for absorb in [false, true] {
                let simulator = provider([asked(shape)]);
                let (limiter, store) = limiter([requests()], absorb);
                let ledger = work(&limiter, &simulator, demand, "m", 10, secs(300)).await;
                let (good, refused) = judged(&ledger);
                assert_eq!(refused, 0, "{shape:?} {demand:?}");
                assert_eq!(store.learnt(), [], "{shape:?} {demand:?}");
                ok[usize::from(absorb)] = good;
            }
            let cost = 1.0 - ok[1] as f64 / ok[0] as f64;
            println!("{shape:?} {demand:?}: {ok:?}, {:.2} %", 100.0 * cost);
            assert!(cost <= 0.02, "{shape:?} {demand:?}: {ok:?}");
        }
    }
}

/// Many at once and then some now and then: what left together with a reading is ours, too.
#[tokio::test(start_paused = true)]
async fn what_left_together_is_nobody_elses() {
    for (shape, many) in [
        (SimShape::Bucket, 40),
        (SimShape::Bucket, 60),
        (SimShape::Bucket, 80),
    ] {
        let simulator = provider([asked(shape)]);
        let (limiter, store) = limiter([requests()], true);
        work(
            &limiter,
            &simulator,
            Demand::Backlog(many),
            "m",
            10,
            secs(2),
        )
        .await;
        let span = secs(50);
        let ledger = work(&limiter, &simulator, Demand::Every(secs(2)), "m", 10, span).await;
        let (_, refused) = judged(&ledger);
        println!("{shape:?} {many}: {refused} refused, {:?}", store.learnt());
        assert_eq!(
            (refused, store.learnt()),
            (0, Vec::new()),
            "{shape:?} {many}"
        );
    }
}

/// One call to the model.
fn one() -> Call {
    Call::new().tags(Tags::new().with(Tag::Model, "m"))
}

/// A call is let in and ends at once. Its answer tells how many of the hundred requests remain.
async fn told(limiter: &Limiter, remaining: u64) {
    let permit = limiter.acquire(one()).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-ratelimit-limit-requests",
        HeaderValue::from_static("100"),
    );
    headers.insert(
        "x-ratelimit-remaining-requests",
        HeaderValue::from(remaining),
    );
    permit.observe(&Observation::Counters {
        shown: rate_limits("openai", &headers, SystemTime::now()),
        refused: false,
    });
}

/// Others used much more from one answer to the next, so there may be no room. Nothing of ours is in flight that could
/// bring news of it.
#[tokio::test(start_paused = true)]
async fn who_waits_alone_because_others_used_more_and_more_goes_when_our_last_charge_has_left() {
    let (limiter, store) = limiter([requests()], true);
    let start = Instant::now();
    sleep_until(start + secs(100)).await;
    told(&limiter, 98).await;
    sleep_until(start + secs(104)).await;
    told(&limiter, 32).await;
    assert_eq!(store.learnt()[0].others, 66);
    sleep_until(start + secs(111)).await;
    let waits = timeout(TEN_MINUTES, limiter.acquire(one())).await;
    drop(waits.expect("somebody looks again").unwrap());
    assert_eq!(start.elapsed(), millis(164_500));
}

/// What the provider grants is less than what we were told it does.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lower_than_ours_is_kept() {
    let simulator = provider([SimLimit::requests(60, MINUTE)]);
    let (limiter, store) = limiter([requests()], true);
    let ledger = work(&limiter, &simulator, PACED, "m", 10, TEN_MINUTES).await;
    let (ok, refused) = judged(&ledger);
    println!("{ok} ok, {refused} refused; {:?}", store.learnt());
    assert_eq!(refused, 0);
    assert!(ok >= 540, "{ok} of 600");
}
