//! Callers of one process, and what they saw.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::ServiceExt as _;
use tower_quota::{
    Limiter, Money, Rejection, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::Call,
    sim::{SimLimit, Simulator},
};

/// So many requests in so long, by the provider's count.
pub(crate) const REQUESTS: u64 = 12;
pub(crate) const PERIOD: Duration = Duration::from_millis(500);
/// So much later ours expire: a machine that does much else lets a call rest between its date and its arrival.
pub(crate) const MARGIN: Duration = Duration::from_millis(300);
pub(crate) const AT_ONCE: u64 = 6;
/// What a token in costs, and one out, in nano-dollars.
const RATES: (u64, u64) = (1_000, 10_000);
pub(crate) const OUTPUT: u64 = 20;
/// What "scout" may spend: it is spent to the end.
pub(crate) const SCOUT: u64 = 4 * OUTPUT * RATES.1;
pub(crate) const DEADLINE: Duration = Duration::from_millis(600);
/// Callers of one process; a fourth of them is "scout".
const CALLERS: usize = 8;

const BODY: &str =
    r#"{"model":"m","max_tokens":20,"messages":[{"role":"user","content":"and again"}]}"#;

pub(crate) fn limits() -> Limits {
    let day = Duration::from_secs(86_400);
    let all = [
        Limit::requests(REQUESTS).every(PERIOD).margin(MARGIN),
        Limit::concurrency(AT_ONCE),
        Limit::cost(Money::from_nanos(u64::MAX / 4)).every(day),
        Limit::cost(Money::from_nanos(SCOUT))
            .every(day)
            .when(Tag::Agent, "scout"),
        Limit::requests(1_000_000).every(day),
    ];
    Limits::new(all).unwrap()
}

pub(crate) fn provider_limits() -> [SimLimit; 2] {
    [
        SimLimit::requests(REQUESTS, PERIOD),
        SimLimit::concurrency(AT_ONCE),
    ]
}

pub(crate) fn cost(input: u64, output: u64) -> u64 {
    input * RATES.0 + output * RATES.1
}

/// What the callers of a process saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    pub(crate) ok: usize,
    /// Refused because of the store.
    pub(crate) store: usize,
    /// Refused by a limit.
    pub(crate) limits: usize,
    /// By how much calls waited longer than their deadlines.
    pub(crate) late: Vec<Duration>,
    /// When calls were let in.
    pub(crate) let_in: Vec<Instant>,
}

pub(crate) struct Process {
    pub(crate) seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(limiter: &Limiter, provider: &Simulator) -> Self {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let tasks = (0..CALLERS).map(|number| {
            let agent = if number % 4 == 0 { "scout" } else { "worker" };
            let caller = Caller {
                limiter: limiter.clone(),
                provider: provider.clone(),
                agent,
                seen: seen.clone(),
            };
            let stop = stop.clone();
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    caller.call().await;
                }
            })
        });
        let tasks = tasks.collect();
        Process { seen, stop, tasks }
    }

    /// Lets all calls come to their end.
    pub(crate) async fn end(self) -> Seen {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.seen.lock().clone()
    }
}

struct Caller {
    limiter: Limiter,
    provider: Simulator,
    agent: &'static str,
    seen: Arc<Mutex<Seen>>,
}

impl Caller {
    async fn call(&self) {
        let began = Instant::now();
        let call = Call::new()
            .tags(Tags::new().with(Tag::Agent, self.agent))
            .tokens(10, OUTPUT)
            .cost(Money::from_nanos(cost(10, OUTPUT)))
            .max_wait(DEADLINE);
        let permit = self.limiter.acquire(call).await;
        let waited = began.elapsed();
        {
            let seen = &mut *self.seen.lock();
            seen.calls += 1;
            seen.late.extend(waited.checked_sub(DEADLINE));
            match &permit {
                Ok(_) => seen.let_in.push(Instant::now()),
                Err(Rejection::StoreUnavailable(_)) => seen.store += 1,
                Err(_) => seen.limits += 1,
            }
        }
        let Ok(permit) = permit else {
            // So often is more than enough.
            sleep(Duration::from_millis(60)).await;
            return;
        };
        let usage = self.send().await;
        permit.settle(usage);
        self.seen.lock().ok += 1;
    }

    async fn send(&self) -> Usage {
        let request = Request::post("http://provider/v1/chat/completions")
            .header("authorization", format!("Bearer {}", self.agent))
            .body(Full::new(Bytes::from(BODY)))
            .unwrap();
        let response = self.provider.service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let tokens = |name: &str| answer["usage"][name].as_u64().unwrap();
        let mut usage = Usage::new(tokens("prompt_tokens"), tokens("completion_tokens"));
        usage.cost = Some(Money::from_nanos(cost(usage.input, usage.output)));
        usage
    }
}
