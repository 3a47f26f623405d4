//! Who goes first, and for whom room is kept.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_quota::{Tag, Tags, limit::Limit, limiter::Call};

use crate::{MINUTE, at_once, change, limiter, requests, settle_down, tokens, waits};

/// One that is below a share which is new goes first from then on; one whose share is gone does not any more.
#[tokio::test(start_paused = true)]
async fn shares_that_come_and_go_say_who_is_first() {
    let plain = || Limit::concurrency(2);
    let shared = || plain().share(Tag::Team, "owner", 0.5);
    let team = |name: &str| Call::new().tags(Tags::new().with(Tag::Team, name));
    for (before, after, first) in [
        (vec![plain()], vec![shared()], "owner"),
        (vec![shared()], vec![plain()], "other"),
        (
            vec![shared(), requests(50)],
            vec![requests(50), shared()],
            "owner",
        ),
    ] {
        let limiter = limiter(before);
        let mut held = vec![
            limiter.acquire(team("other")).await.unwrap(),
            limiter.acquire(team("other")).await.unwrap(),
        ];
        let other = waits(&limiter, team("other")).await;
        let owner = waits(&limiter, team("owner")).await;
        change(&limiter, after).await;
        settle_down().await;
        assert_eq!(limiter.waiting(), 2);
        drop(held.pop());
        settle_down().await;
        let owner_went = owner.is_finished();
        assert_eq!(
            (owner_went, other.is_finished()),
            (first == "owner", first == "other")
        );
        drop(held);
        drop(at_once(owner).await.unwrap());
        drop(at_once(other).await.unwrap());
    }
}

/// Room that is kept for one that was sent to and fro stays kept: those behind it do not take it because limits change.
#[tokio::test(start_paused = true)]
async fn what_is_kept_for_one_stays_kept() {
    let dated = |amount, tag: &str| tokens(amount).when(Tag::from(tag), "yes");
    let tags = |names: &[&str]| {
        let all = names.iter();
        all.fold(Tags::new(), |tags, name| tags.with(Tag::from(*name), "yes"))
    };
    let set = || [dated(100, "g"), dated(100, "k")];
    let limiter = limiter(set());
    let start = Instant::now();
    // Small calls come to both without end.
    let feed = |name: &'static str, offset: u64| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(offset)).await;
            loop {
                let call = Call::new().tags(tags(&[name])).tokens(30, 0);
                drop(limiter.acquire(call).await.unwrap());
            }
        })
    };
    let feeds = [feed("g", 0), feed("k", 25)];
    sleep(Duration::from_secs(50)).await;
    let large = Call::new().tags(tags(&["g", "k"])).tokens(90, 0);
    let large = waits(&limiter, large).await;
    for round in 0..40_u64 {
        sleep(Duration::from_secs(7)).await;
        if large.is_finished() {
            break;
        }
        // Every seven seconds something comes or goes beside them.
        let more = (round % 2 == 0).then(|| Limit::concurrency(1_000));
        change(&limiter, set().into_iter().chain(more)).await;
    }
    assert!(
        large.is_finished(),
        "it has waited for {:?}",
        start.elapsed()
    );
    assert!(start.elapsed() <= MINUTE * 4, "{:?}", start.elapsed());
    drop(large.await.unwrap().unwrap());
    feeds.iter().for_each(tokio::task::JoinHandle::abort);
}
