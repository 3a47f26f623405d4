//! Memory follows what is in use, up to a cap: no tag value that a caller makes up passes it, and none is
//! unlimited because of it.

use std::{sync::Arc, time::Duration};

use tokio::time::{advance, timeout};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities},
    limiter::Call,
    store::{Answer, Claim, Decision, Grant, MemoryStore, NotNow, Settlement, Store as _},
};

const MINUTE: Duration = Duration::from_secs(60);

fn store(amount: u64, most: usize) -> MemoryStore {
    let limit = Limit::requests(amount).every(MINUTE).per(Tag::Agent);
    MemoryStore::new(Limits::new([limit]).unwrap()).max_counts(most)
}

fn agent(name: impl Into<Arc<str>>) -> Claim {
    Claim {
        quantities: Quantities::ADMISSION,
        ..Claim::new(Tags::new().with(Tag::Agent, name), Demand::default())
    }
}

/// A call that was sent and has ended.
fn claim(store: &MemoryStore, call: &Claim) -> Result<(), NotNow> {
    sent(store, call).map(|grant| end(store, grant))
}

fn end(store: &MemoryStore, grant: Grant) {
    let Answer::Now(Ok(())) = store.settle(grant, Settlement::Unknown) else {
        panic!("the memory answers at once");
    };
}

fn sent(store: &MemoryStore, claim: &Claim) -> Result<Grant, NotNow> {
    match store.claim(claim) {
        Answer::Now(Ok(Decision::Granted(mut grant))) => {
            store.date(&mut grant);
            Ok(grant)
        }
        Answer::Now(Ok(Decision::NotNow(refused))) => Err(refused),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_made_up_values_stay_within_the_cap_and_known_ones_keep_their_limit() {
    let store = store(2, 1_000);
    let known = agent("known");
    assert!(claim(&store, &known).is_ok());
    let mut granted = 0;
    for n in 0..1_000_000 {
        granted += u64::from(claim(&store, &agent(format!("made up {n}"))).is_ok());
    }
    assert_eq!(
        store.len(),
        1_001,
        "those counted apart, and the shared one"
    );
    assert!(
        store.bytes() < 1_000 * 256 + 64 * 1_024,
        "{}",
        store.bytes()
    );
    assert_eq!(
        granted,
        999 + 2,
        "one each, and as much as one may use for all others"
    );
    assert!(claim(&store, &known).is_ok(), "half of it was left");
    assert_eq!(
        &*claim(&store, &known).unwrap_err().key.values()[0],
        "known"
    );
    assert!(claim(&store, &agent("made up 3")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn values_of_a_megabyte_take_no_more_than_short_ones_and_are_counted_apart() {
    let store = store(1, 1_000);
    let long = |n: usize| agent("x".repeat(1 << 20) + &n.to_string());
    for n in 0..30 {
        assert!(claim(&store, &long(n)).is_ok(), "{n} has its own count");
    }
    assert!(claim(&store, &long(7)).is_err(), "and no second one");
    assert_eq!(store.len(), 30);
    assert!(store.bytes() < 30 * 1_024, "{}", store.bytes());
}

#[tokio::test(start_paused = true)]
async fn idle_counts_go_before_anything_is_shared() {
    let store = store(1, 10);
    for n in 0..10 {
        assert!(claim(&store, &agent(format!("old {n}"))).is_ok());
    }
    advance(MINUTE * 2).await;
    for n in 0..10 {
        assert!(claim(&store, &agent(format!("new {n}"))).is_ok());
    }
    assert_eq!(store.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_took_from_the_shared_count_has_no_second_limit_when_there_is_room_again() {
    let store = store(5, 2);
    assert!(claim(&store, &agent("a")).is_ok() && claim(&store, &agent("b")).is_ok());
    advance(MINUTE / 2).await;
    for _ in 0..5 {
        assert!(claim(&store, &agent("late")).is_ok());
    }
    let refused = claim(&store, &agent("late")).unwrap_err();
    assert!(refused.key.is_shared() && refused.key.values().is_empty());
    // Half a minute later a and b are idle; what was shared still counts.
    advance(MINUTE / 2 + Duration::from_secs(1)).await;
    assert!(claim(&store, &agent("late")).unwrap_err().key.is_shared());
    advance(MINUTE / 2).await;
    for _ in 0..5 {
        assert!(claim(&store, &agent("late")).is_ok());
    }
    assert!(!claim(&store, &agent("late")).unwrap_err().key.is_shared());
}

#[tokio::test(start_paused = true)]
async fn a_count_of_a_call_that_has_not_ended_stays_however_old_its_charge_is() {
    let store = store(1, 2);
    let (own, other) = (agent("own"), agent("other"));
    let (a, b) = (sent(&store, &own).unwrap(), sent(&store, &other).unwrap());
    let shared = sent(&store, &agent("late")).unwrap();
    for _ in 0..3 {
        advance(MINUTE * 2).await;
        assert!(
            claim(&store, &agent("later")).is_ok(),
            "what was dated has left"
        );
        let refused = claim(&store, &agent("later")).unwrap_err();
        assert!(refused.key.is_shared(), "none of the two was swept");
    }
    advance(MINUTE * 2).await;
    end(&store, a);
    end(&store, b);
    assert!(claim(&store, &agent("later")).is_ok());
    let refused = claim(&store, &agent("later")).unwrap_err();
    assert!(
        refused.key.is_shared(),
        "a call that shares it has not ended"
    );
    advance(MINUTE * 2).await;
    end(&store, shared);
    assert!(claim(&store, &agent("later")).is_ok());
    assert!(!claim(&store, &agent("later")).unwrap_err().key.is_shared());
}

#[tokio::test(start_paused = true)]
async fn the_count_of_a_limit_that_is_not_split_goes_when_it_is_idle_and_begins_anew() {
    let limits = [
        Limit::requests(2).every(MINUTE).when(Tag::Team, "red"),
        Limit::requests(1).every(MINUTE).per(Tag::Agent),
    ];
    let store = MemoryStore::new(Limits::new(limits).unwrap());
    let red = |n: usize| {
        let tags = Tags::new().with(Tag::Team, "red");
        let tags = Arc::new(tags.with(Tag::Agent, format!("red {n}")));
        Claim {
            tags,
            ..agent("red")
        }
    };
    let end_of = |n| end(&store, sent(&store, &red(n)).unwrap());
    end_of(0);
    end_of(1);
    assert_eq!(claim(&store, &red(2)).unwrap_err().key.limit(), 0);
    advance(MINUTE * 2).await;
    // So many that idle ones are looked for.
    for n in 0..2_000 {
        end(&store, sent(&store, &agent(format!("n {n}"))).unwrap());
    }
    advance(MINUTE * 2).await;
    for n in 2_000..5_000 {
        end(&store, sent(&store, &agent(format!("n {n}"))).unwrap());
    }
    assert!(store.len() <= 4_000, "{}", store.len());
    for n in 0..2 {
        assert!(claim(&store, &red(n)).is_ok());
    }
    assert_eq!(claim(&store, &red(2)).unwrap_err().key.limit(), 0);
}

#[tokio::test(start_paused = true)]
async fn grants_that_end_in_any_order_give_back_what_they_took_and_nothing_else() {
    let limits = [
        Limit::requests(100).every(MINUTE),
        Limit::tokens(1_000).every(MINUTE),
        Limit::concurrency(10),
    ];
    let store = MemoryStore::new(Limits::new(limits).unwrap());
    let of = |input: u64| Claim {
        demand: Demand {
            input,
            ..Demand::default()
        },
        ..agent("a")
    };
    let in_use = || {
        let Answer::Now(Ok(standings)) = store.peek(&of(0)) else {
            panic!("it answers at once");
        };
        let in_use = standings.iter().map(|standing| standing.in_use);
        in_use.collect::<Vec<_>>()
    };
    for round in 1..=3 {
        let mut grants: Vec<Grant> = (1..=10)
            .map(|n| sent(&store, &of(n * 10)).unwrap())
            .collect();
        assert_eq!(in_use(), [10 + (round - 1) * 5, 550 + (round - 1) * 5, 10]);
        // Some are refused at the last count, after they took from the first two.
        assert_eq!(claim(&store, &of(1)).unwrap_err().key.limit(), 2);
        while grants.len() > 5 {
            let Answer::Now(Ok(())) = store.release(grants.swap_remove(grants.len() / 2)) else {
                panic!("it answers at once");
            };
        }
        for mut grant in grants {
            store.date(&mut grant);
            let used = Settlement::Usage(Usage::new(1, 0));
            assert!(matches!(store.settle(grant, used), Answer::Now(Ok(()))));
        }
        assert_eq!(in_use(), [round * 5, round * 5, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_share_a_count_wait_for_each_other_and_the_message_says_so() {
    let limit = Limit::concurrency(1).per(Tag::Agent);
    let store = MemoryStore::new(Limits::new([limit]).unwrap()).max_counts(1);
    let limiter = Limiter::with_store(store);
    let call = |name: &str| Call::new().tags(Tags::new().with(Tag::Agent, name));
    let known = limiter.acquire(call("known")).await.unwrap();
    let one = limiter.acquire(call("one")).await.unwrap();
    let refused = limiter.try_acquire(call("two")).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "rate limited here: concurrency 1 for agent=(all others: too many values to count apart): \
         1 in use, this call needs 1 (would be 2)"
    );
    let waiting = tokio::spawn({
        let (limiter, call) = (limiter.clone(), call("two"));
        async move { limiter.acquire(call).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(limiter.waiting(), 1);
    let behind = limiter.try_acquire(call("three")).await.unwrap_err();
    assert_eq!(behind.to_string(), refused.to_string());
    let explanation = limiter.explain(&call("three")).await.unwrap();
    assert_eq!(explanation.limits[0].ahead, 1, "{explanation}");
    let apart = limiter.explain(&call("known")).await.unwrap();
    assert_eq!(apart.limits[0].ahead, 0, "{apart}");
    one.release();
    let two = timeout(MINUTE, waiting)
        .await
        .expect("woken")
        .unwrap()
        .unwrap();
    drop((two, known));
}

fn run(name: &str) -> Claim {
    Claim {
        tags: Arc::new(Tags::new().with(Tag::Run, name)),
        ..agent("a")
    }
}

fn runs(most: usize) -> MemoryStore {
    let limit = Limit::requests(2).every_run();
    MemoryStore::new(Limits::new([limit]).unwrap()).max_counts(most)
}

fn is_used_up(store: &MemoryStore, run: &Claim) -> bool {
    match store.claim(run) {
        Answer::Now(Ok(Decision::Never(_))) => true,
        Answer::Now(Ok(Decision::Granted(grant))) => {
            let Answer::Now(Ok(())) = store.release(grant) else {
                panic!("the memory answers at once")
            };
            false
        }
        other => panic!("{other:?}"),
    }
}

/// Nothing says that a run has ended: once there were as many as there may be counts, every new one shared a
/// count that never ended either, and was refused for ever.
#[tokio::test(start_paused = true)]
async fn runs_that_rest_make_room_for_new_ones_where_there_is_none() {
    let (store, day) = (runs(3), MINUTE * 60 * 24);
    let old = ["one", "two", "three"].map(run);
    for run in old.iter().chain(&old) {
        assert!(claim(&store, run).is_ok());
    }
    // As many as there may be: these two share what one may use, and the third of them is refused.
    assert!(claim(&store, &run("four")).is_ok() && claim(&store, &run("five")).is_ok());
    assert!(is_used_up(&store, &run("six")));
    advance(day - MINUTE).await;
    assert!(
        is_used_up(&store, &run("six")),
        "a day has not passed since"
    );
    assert!(old.iter().all(|run| is_used_up(&store, run)));
    advance(MINUTE * 2).await;
    for name in ["six", "seven", "six", "seven"] {
        assert!(
            claim(&store, &run(name)).is_ok(),
            "{name} has its own count"
        );
    }
    assert!(is_used_up(&store, &run("six")));
}

#[tokio::test(start_paused = true)]
async fn runs_that_have_rested_before_anybody_looked_make_room_at_once() {
    let store = runs(3);
    for name in ["one", "two", "three"] {
        assert!(claim(&store, &run(name)).is_ok());
    }
    advance(MINUTE * 60 * 24 * 30).await;
    for name in ["four", "five", "six", "four", "five", "six"] {
        assert!(
            claim(&store, &run(name)).is_ok(),
            "{name} has its own count"
        );
    }
    assert!(is_used_up(&store, &run("four")));
}

/// Where a new process begins each day, none of them sees a run rest for a day.
#[tokio::test(start_paused = true)]
async fn runs_rest_over_the_end_of_a_process_and_those_in_use_stay() {
    let (store, hour) = (runs(3), MINUTE * 60);
    for name in ["one", "two", "three", "two", "three", "four", "five"] {
        assert!(claim(&store, &run(name)).is_ok());
    }
    advance(hour * 23).await;
    assert!(is_used_up(&store, &run("six")));
    assert!(claim(&store, &run("one")).is_ok(), "it goes on");
    let limits = store.limits();
    let store = MemoryStore::restore(limits, &store.snapshot(), Duration::ZERO);
    let store = store.unwrap().max_counts(3);
    assert!(is_used_up(&store, &run("six")));
    advance(hour * 2).await;
    for _ in 0..2 {
        assert!(claim(&store, &run("six")).is_ok(), "it has its own count");
    }
    assert!(is_used_up(&store, &run("six")));
    assert!(is_used_up(&store, &run("one")), "what it used still counts");
}

#[tokio::test(start_paused = true)]
async fn runs_that_go_on_and_runs_for_which_there_is_room_are_counted_for_ever() {
    let (roomy, full, hour) = (runs(4), runs(3), MINUTE * 60);
    let names = ["one", "two", "three"].map(run);
    for run in names.iter().chain(&names) {
        assert!(claim(&roomy, run).is_ok() && claim(&full, run).is_ok());
    }
    // A call of the first is in flight, those of the others have ended.
    let open = Claim {
        demand: Demand {
            requests: 0,
            ..Demand::default()
        },
        ..run("one")
    };
    let flying = sent(&full, &open).unwrap();
    for _ in 0..100 {
        advance(hour).await;
        assert!(names.iter().all(|run| is_used_up(&roomy, run)));
        assert!(is_used_up(&full, &run("one")));
        // Somebody new comes, again and again.
        let _ = full.claim(&run("new"));
    }
    end(&full, flying);
    assert!(is_used_up(&full, &run("one")));
}

#[tokio::test(start_paused = true)]
async fn runs_that_come_and_go_find_room_for_months() {
    let store = runs(1_000);
    let (mut admitted, mut longest) = (0, 0);
    // 240 a day, each with its two requests.
    for number in 0..240 * 60 {
        let run = run(&format!("run {number}"));
        admitted += u64::from(claim(&store, &run).is_ok()) + u64::from(claim(&store, &run).is_ok());
        assert!(is_used_up(&store, &run));
        longest = longest.max(store.len());
        advance(MINUTE * 6).await;
    }
    assert_eq!(admitted, 2 * 240 * 60, "each run had its own count");
    assert!(longest <= 1_000, "{longest} counts");
}
