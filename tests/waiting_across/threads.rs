//! Two runtimes of several threads each, and limiters on both: nobody is lost, and nothing is kept for the gone.
//!
//! Nothing here asks a clock. A hang is found by counting polls.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use tokio::task::{JoinSet, yield_now};
use tower_quota::{Limiter, Tag, Tags, limit::Limit, limiter::Call};

use crate::{limits, server::Server};

const ROUNDS: usize = 60;
const CALLS: usize = 60;
/// More polls than any round needs by a factor of thousands.
const HANGS: usize = 20_000_000;

async fn polled<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// The output of what ends before it was polled more often than it can need.
async fn ends<F: Future>(what: &str, future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..HANGS {
        if let Poll::Ready(output) = polled(future.as_mut()).await {
            return output;
        }
        std::thread::yield_now();
        yield_now().await;
    }
    panic!("{what}: hangs");
}

/// A call that holds one of two places for a moment, or goes away.
async fn call(limiter: Limiter, number: usize, inside: Arc<AtomicUsize>) {
    let tags = Tags::new().with(Tag::Agent, (number % 3).to_string());
    let mut acquire = pin!(limiter.acquire(Call::new().tags(tags)));
    if number.is_multiple_of(5) {
        for _ in 0..number % 7 {
            if polled(acquire.as_mut()).await.is_ready() {
                return;
            }
            yield_now().await;
        }
        return;
    }
    let permit = acquire.await.unwrap();
    assert!(inside.fetch_add(1, SeqCst) < 2, "three in two places");
    yield_now().await;
    inside.fetch_sub(1, SeqCst);
    if number.is_multiple_of(2) {
        permit.release();
    }
}

async fn round(limiters: [Limiter; 2], inside: Arc<AtomicUsize>) {
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let limiter = limiters[number % 2].clone();
        calls.spawn(call(limiter, number, inside.clone()));
    }
    calls.join_all().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn two_runtimes_and_two_limiters_lose_nobody() {
    let runtimes = [runtime(), runtime()];
    let server = Server::new(limits([
        Limit::concurrency(2),
        Limit::concurrency(1).per(Tag::Agent),
    ]));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                if !server.answer_one() {
                    std::thread::yield_now();
                }
            }
        });
        for number in 0..ROUNDS {
            let limiters = [0, 1].map(|process| Limiter::with_store(server.handle(process)));
            let inside = Arc::new(AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for runtime in &runtimes {
                    let work = round(limiters.clone(), inside.clone());
                    scope.spawn(move || {
                        runtime.block_on(ends(&format!("round {number}"), work));
                    });
                }
            });
            // What is on its way still comes to its end.
            runtimes[0].block_on(ends(&format!("the end of round {number}"), async {
                while server.registered() > 0 || server.log_open() > 0 {
                    yield_now().await;
                }
            }));
            assert_eq!(limiters.map(|limiter| limiter.waiting()), [0, 0]);
        }
        stop.store(true, SeqCst);
    });
}
