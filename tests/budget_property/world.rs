//! One load, run: real layers over the simulator, and a look at every count between any two steps.

use std::{
    future::{Future, poll_fn},
    ops::Add,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use tokio::time::{Instant, sleep_until, timeout};
use tower::{Layer as _, Service, ServiceExt as _, util::BoxCloneSyncService};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, Rejection, RetryLayer, Statistics,
    Tag, Tags,
    limit::{CalendarUnit, Demand, Limit, Limits, Quantities},
    limiter::QueueOptions,
    pricing::{Price, PriceTable, Rate},
    sim::{Attempt, SimConfig, SimError, Simulator},
    store::{Answer, Claim, MemoryStore, Store as _},
};

use super::{
    bill::{self, Charge},
    plan::{AGENTS, GiveUp, MODELS, Plan, Planned, Stack, WITHOUT_CAP, call_tag, name},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The places of the budgets among the limits.
const ALL: usize = 0;
const EACH_CALL: usize = 3;

/// What came of the calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) given_up: u64,
    pub(crate) refused: u64,
    pub(crate) waited: u64,
    /// Attempts that were not the first of their call.
    pub(crate) repeated: u64,
    pub(crate) reported: u64,
    pub(crate) estimated: u64,
    /// Streams among them that broke off, of models of which the length of tokens had been learnt.
    pub(crate) learnt: u64,
    pub(crate) unknown: u64,
    pub(crate) looks: u64,
}

impl Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            calls: self.calls + other.calls,
            given_up: self.given_up + other.given_up,
            refused: self.refused + other.refused,
            waited: self.waited + other.waited,
            repeated: self.repeated + other.repeated,
            reported: self.reported + other.reported,
            estimated: self.estimated + other.estimated,
            learnt: self.learnt + other.learnt,
            unknown: self.unknown + other.unknown,
            looks: self.looks + other.looks,
        }
    }
}

/// What a caller has seen.
struct Seen {
    number: usize,
    frames: u64,
    ended: End,
    waited: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Read,
    GivenUp,
    Refused,
}

type Body = UnsyncBoxBody<Bytes, SimError>;
type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, SimError>;

pub(crate) async fn run(plan: Plan) -> Tally {
    fastrand::seed(plan.seed);
    let simulator = Simulator::new(SimConfig {
        latency: ms(plan.latency),
        chunk_delay: ms(plan.chunk_delay),
        chunks: plan.chunks,
        output_share: plan.output_share,
        token_bytes: usize::try_from(plan.token_bytes).unwrap(),
        faults: vec![
            serde_json::from_value(serde_json::json!({
                "fault": "status=429;retry-after=2", "probability": plan.refuses,
            }))
            .unwrap(),
        ],
        seed: plan.seed,
        ..SimConfig::default()
    });
    let limits = limits(&plan);
    let amounts = limits.0.clone();
    let (start, noon) = (Instant::now(), SystemTime::UNIX_EPOCH + DAY / 2);
    // Twenty seconds before the hour turns.
    let store = MemoryStore::new(limits.1)
        .wall_clock(move || noon - Duration::from_secs(20) + start.elapsed());
    let store = Arc::new(store);
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let statistics = Statistics::new().wall_clock(move || noon + start.elapsed());
    let client = client(&plan, &limiter, &simulator, &statistics);
    let watch = Arc::new(Watch::new(store, amounts));
    let mut tasks = tokio::task::JoinSet::new();
    for (number, call) in plan.calls.iter().cloned().enumerate() {
        let (client, watch) = (client.clone(), watch.clone());
        tasks.spawn(async move {
            sleep_until(start + ms(call.comes)).await;
            one_call(&client, &call, number, &watch).await
        });
    }
    let mut seen = tasks.join_all().await;
    seen.sort_by_key(|seen| seen.number);
    watch.look();
    let tally = check(&plan, &simulator, &watch, &seen);
    // The statistics tell the same.
    let month = statistics
        .report(CalendarUnit::Month, &[Tag::Agent])
        .unwrap();
    let all = month.total();
    assert_eq!(all.requests, simulator.ledger().attempts() as u64);
    assert_eq!(all.cost.as_nanos(), watch.counts(Tags::new())[ALL].0);
    assert_eq!(all.estimated, tally.estimated + tally.unknown);
    tally
}

fn limits(plan: &Plan) -> (Vec<u64>, Limits) {
    let all = plan.calls.iter();
    let most: u64 = all
        .map(|call| bill::reserved(call, plan.prices[call.model]))
        .sum();
    let part = |thousandths: u64| (most / 1_000 * thousandths).max(1);
    let amounts = vec![
        part(plan.budgets.0),
        part(plan.budgets.1),
        part(plan.budgets.0 / 2),
        u64::MAX / 4,
    ];
    let cost = |place: usize| Limit::cost(Money::from_nanos(amounts[place]));
    let limits = Limits::new([
        // Longer than anything here takes: nothing leaves it.
        cost(ALL).every(DAY),
        cost(1).every(Duration::from_secs(10)).per(Tag::Agent),
        cost(2).every_calendar(CalendarUnit::Hour, "Europe/Berlin"),
        cost(EACH_CALL).every(DAY).per(call_tag()),
        Limit::concurrency(plan.places),
    ]);
    (amounts.clone(), limits.unwrap())
}

fn client(
    plan: &Plan,
    limiter: &Limiter,
    simulator: &Simulator,
    statistics: &Statistics,
) -> Client {
    let mut prices = PriceTable::new();
    for (model, (input, output)) in MODELS.iter().zip(&plan.prices) {
        let price = Price::new(Rate::from_nanos(*input), Rate::from_nanos(*output));
        prices.insert("openai", model, price.clone());
        prices.insert("anthropic", model, price);
    }
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(prices))
        .output_without_cap(WITHOUT_CAP)
        .statistics(statistics.clone());
    let admission = AdmissionLayer::new(limiter.clone());
    let inner = simulator.service();
    match plan.stack {
        Stack::Budget => erased(budget.layer(inner)),
        Stack::Paved => erased(
            RateLimitLayer::of(RetryLayer::new(), admission)
                .budget(budget)
                .layer(inner),
        ),
        Stack::RetryInside => erased(budget.layer(RetryLayer::new().layer(inner))),
        Stack::AdmissionOutside => erased(admission.layer(budget.layer(inner))),
    }
}

fn erased<S, R>(service: S) -> Client
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = SimError>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    R: http_body::Body<Data = Bytes, Error = SimError> + Send + 'static,
{
    BoxCloneSyncService::new(
        service.map_response(|response| response.map(|body| body.boxed_unsync())),
    )
}

async fn one_call(client: &Client, call: &Planned, number: usize, watch: &Watch) -> Seen {
    let (frames, came) = (AtomicU64::new(0), Instant::now());
    let read = async {
        let polls = match call.gives_up {
            GiveUp::AtPoll(polls) => Some(polls),
            _ => None,
        };
        let answer = client.clone().oneshot(call.request(number));
        let Some(answer) = watch.between(answer, polls).await else {
            return (End::GivenUp, false);
        };
        let waited = came.elapsed() > ms(10_000);
        let Ok(response) = answer else {
            return (End::Read, waited);
        };
        if response.extensions().get::<Rejection>().is_some() {
            return (End::Refused, waited);
        }
        let mut body = response.into_body();
        loop {
            if call.gives_up == GiveUp::AtFrame(frames.load(Ordering::Relaxed)) {
                return (End::GivenUp, waited);
            }
            match watch.between(body.frame(), None).await.flatten() {
                Some(Ok(_)) => frames.fetch_add(1, Ordering::Relaxed),
                Some(Err(_)) | None => return (End::Read, waited),
            };
        }
    };
    let (ended, waited) = match call.gives_up {
        GiveUp::AtTime(millis) => timeout(ms(millis), read)
            .await
            .unwrap_or((End::GivenUp, false)),
        _ => read.await,
    };
    watch.look();
    Seen {
        number,
        frames: frames.into_inner(),
        ended,
        waited,
    }
}

/// Looks at the counts.
struct Watch {
    store: Arc<MemoryStore>,
    amounts: Vec<u64>,
    looks: AtomicU64,
}

impl Watch {
    fn new(store: Arc<MemoryStore>, amounts: Vec<u64>) -> Self {
        Watch {
            store,
            amounts,
            looks: AtomicU64::new(0),
        }
    }

    /// What counts under each budget for these tags, and the part of it that is reserved.
    fn counts(&self, tags: Tags) -> Vec<(u64, u64)> {
        let claim = Claim {
            quantities: Quantities::BUDGET,
            ..Claim::new(tags, Demand::default())
        };
        let Answer::Now(Ok(standings)) = self.store.peek(&claim) else {
            panic!("a store in memory answers at once");
        };
        standings
            .iter()
            .map(|standing| (standing.in_use, standing.reserved))
            .collect()
    }

    /// Nothing is passed, and nothing is reserved that does not count.
    fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        for agent in AGENTS {
            let counts = self.counts(Tags::new().with(Tag::Agent, agent));
            assert_eq!(counts.len(), self.amounts.len());
            for ((in_use, reserved), amount) in counts.iter().zip(&self.amounts) {
                assert!(
                    in_use <= amount,
                    "{in_use} settled and reserved of {amount}"
                );
                assert!(reserved <= in_use);
            }
        }
    }

    /// Looks before and after each poll, and when the future is dropped, after so many of them at the latest.
    async fn between<F: Future>(&self, future: F, mut polls: Option<u32>) -> Option<F::Output> {
        let output = {
            let mut future = pin!(future);
            poll_fn(|cx| {
                self.look();
                match &mut polls {
                    Some(0) => return Poll::Ready(None),
                    Some(left) => *left -= 1,
                    None => {}
                }
                let polled = future.as_mut().poll(cx).map(Some);
                self.look();
                if polled.is_pending() && polls == Some(0) {
                    cx.waker().wake_by_ref();
                }
                polled
            })
            .await
        };
        self.look();
        output
    }
}

/// Holds what was charged against the bill.
fn check(plan: &Plan, simulator: &Simulator, watch: &Watch, seen: &[Seen]) -> Tally {
    let ledger = simulator.ledger();
    let mut tally = Tally {
        looks: watch.looks.load(Ordering::Relaxed),
        ..Tally::default()
    };
    let (mut all_charged, mut all_billed) = (0u64, 0u64);
    for (call, seen) in plan.calls.iter().zip(seen) {
        let name = name(seen.number);
        let attempts = ledger.entries().iter();
        let attempts: Vec<&Attempt> = attempts.filter(|one| *one.key == *name).collect();
        tally.calls += 1;
        tally.given_up += u64::from(seen.ended == End::GivenUp);
        tally.refused += u64::from(seen.ended == End::Refused);
        tally.waited += u64::from(seen.waited);
        tally.repeated += attempts.len().saturating_sub(1) as u64;
        let (charged, held) = watch.counts(Tags::new().with(call_tag(), name))[EACH_CALL];
        assert_eq!(held, 0);
        let price = plan.prices[call.model];
        let (mut least, mut most) = (0, 0);
        for attempt in &attempts {
            let truth = bill::cost(price, attempt.billed.input, attempt.billed.output);
            all_billed += truth;
            let words = || format!("{call:?}\n{attempt:?}\nbilled {truth}, charged {charged}");
            let known = bill::known(plan, ledger.entries(), attempt);
            let ranges: Vec<(u64, u64)> = bill::charges(plan, call, attempt, seen.frames)
                .into_iter()
                .map(|charge| match charge {
                    Charge::Reported(nanos) => {
                        assert_eq!(nanos, truth, "{}", words());
                        (nanos, nanos)
                    }
                    Charge::Unknown(nanos) => {
                        assert!(truth <= nanos, "{}", words());
                        (nanos, nanos)
                    }
                    Charge::Estimated {
                        learnt,
                        before,
                        beyond,
                    } => {
                        assert!(truth <= learnt && learnt <= beyond, "{}", words());
                        let from = if known == Some(false) { before } else { learnt };
                        let to = if known == Some(true) { learnt } else { beyond };
                        (from, to)
                    }
                })
                .collect();
            least += ranges.iter().map(|(from, _)| from).min().unwrap();
            most += ranges.iter().map(|(_, to)| to).max().unwrap();
            match bill::charges(plan, call, attempt, seen.frames)[0] {
                Charge::Reported(_) => tally.reported += 1,
                Charge::Unknown(_) => tally.unknown += 1,
                Charge::Estimated { .. } => {
                    tally.estimated += 1;
                    let streamed = attempt.billed.output > 0 && known == Some(true);
                    tally.learnt += u64::from(streamed);
                    if streamed && attempt.prompt >= LEAST_PROMPT {
                        // Both are rounded up to whole nano-dollars.
                        let bound = u128::from(truth) * 115 / 100 + 1;
                        assert!(u128::from(charged) <= bound, "{}", words());
                    }
                }
            }
        }
        assert!(
            (least..=most).contains(&charged),
            "{call:?}\ncharged {charged} and not {least} to {most}; {price:?}; {attempts:?}"
        );
        all_charged += charged;
    }
    assert_eq!(watch.counts(Tags::new())[ALL], (all_charged, 0));
    assert!(all_billed <= watch.amounts[ALL]);
    tally
}

/// From so many tokens on, the one that the word `user` comes to is less than 15 % of the prompt. A shorter one of
/// OpenAI, whose stream says its input at the end alone, may be charged up to twice what the simulator bills for it,
/// which counts no role: a prompt of one token is estimated at two.
const LEAST_PROMPT: u64 = 7;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
