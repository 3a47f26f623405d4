//! The most that comes through in any sixty seconds where a hundred a minute are allowed: what the provider
//! counts. Each limiter is asked by the same greedy callers, in time that is paused or made up.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, FakeRelativeClock, Reference},
};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};
use tower::{Service, ServiceExt, limit::RateLimit, service_fn};
use tower_layer::Layer;
use tower_quota::{
    Limiter,
    limit::{Limit, Limits},
    limiter::Call,
};
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};

use crate::{
    calls::MINUTE,
    measure::{Verdicts, beside},
};

const ALLOWED: u32 = 100;
/// How many calls a caller makes after its rest: enough for three windows and more.
const CALLS: u32 = 350;

/// One that asks at once for a few, rests, and then asks for as many as it gets.
#[derive(Clone, Copy)]
struct Greedy {
    first: u32,
    rest: Duration,
}

/// From no rest to one that ends just before a minute is over, with and without calls before it.
fn callers() -> impl Iterator<Item = Greedy> {
    let rests = (0..60).map(|second| Duration::from_secs(second).min(MINUTE));
    let rests = rests.chain([MINUTE - Duration::from_millis(1)]);
    rests.flat_map(|rest| [0, 1, ALLOWED / 2].map(|first| Greedy { first, rest }))
}

/// The most of these instants, in order, that lie within one minute.
#[derive(Default)]
struct Log {
    minute: VecDeque<Duration>,
    most: usize,
}

impl Log {
    fn note(&mut self, at: Duration) {
        while self
            .minute
            .front()
            .is_some_and(|first| at - *first >= MINUTE)
        {
            self.minute.pop_front();
        }
        self.minute.push_back(at);
        self.most = self.most.max(self.minute.len());
    }
}

fn ours(paused: &Runtime) -> usize {
    let worst = callers().map(|caller| {
        paused.block_on(async {
            let limit = Limit::requests(ALLOWED.into()).every(MINUTE);
            let limiter = Limiter::new(Limits::new([limit]).expect("a limit"));
            let (start, mut log) = (Instant::now(), Log::default());
            for call in 0..caller.first + CALLS {
                if call == caller.first {
                    sleep(caller.rest).await;
                }
                let permit = limiter.acquire(Call::new()).await;
                log.note(start.elapsed());
                drop(permit.expect("in the end there is room"));
            }
            log.most
        })
    });
    worst.max().expect("callers")
}

/// A tower service around one that does nothing.
fn of_service<S>(paused: &Runtime, limited: impl Fn() -> S) -> usize
where
    S: Service<(), Error: std::fmt::Debug>,
{
    let worst = callers().map(|caller| {
        paused.block_on(async {
            let mut service = limited();
            let (start, mut log) = (Instant::now(), Log::default());
            for call in 0..caller.first + CALLS {
                if call == caller.first {
                    sleep(caller.rest).await;
                }
                let ready = service.ready().await.expect("it never fails");
                ready.call(()).await.expect("it waits as long as it takes");
                log.note(start.elapsed());
            }
            log.most
        })
    });
    worst.max().expect("callers")
}

fn governor() -> usize {
    let worst = callers().map(|caller| {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(ALLOWED.try_into().expect("not zero"));
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        let (start, mut log) = (clock.now(), Log::default());
        for call in 0..caller.first + CALLS {
            if call == caller.first {
                clock.advance(caller.rest);
            }
            while let Err(until) = limiter.check() {
                clock.advance(until.wait_time_from(clock.now()));
            }
            log.note(clock.now().duration_since(start).into());
        }
        log.most
    });
    worst.max().expect("callers")
}

fn resilience(paused: &Runtime, window: WindowType) -> usize {
    of_service(paused, || {
        let layer = RateLimiterLayer::builder()
            .limit_for_period(ALLOWED as usize)
            .refresh_period(MINUTE)
            .timeout_duration(MINUTE * 10)
            .window_type(window)
            .build()
            .expect("it is right");
        layer.layer(nothing())
    })
}

fn nothing() -> impl Service<(), Response = (), Error = Infallible, Future: Send> + Clone + Send {
    service_fn(|()| async { Ok(()) })
}

pub(crate) fn run(verdicts: &mut Verdicts, paused: &Runtime) {
    let allowed = ALLOWED as usize;
    verdicts.exactly("worst count in any 60 s at 100/min", ours(paused), allowed);
    beside("the same, governor", governor());
    let tower = of_service(paused, || {
        RateLimit::new(
            nothing(),
            tower::limit::rate::Rate::new(ALLOWED.into(), MINUTE),
        )
    });
    beside("the same, tower RateLimit", tower);
    let windows = [
        ("fixed", WindowType::Fixed),
        ("sliding counter", WindowType::SlidingCounter),
        ("sliding log", WindowType::SlidingLog),
    ];
    for (name, window) in windows {
        let worst = resilience(paused, window);
        beside(&format!("the same, tower-resilience, {name}"), worst);
    }
}
