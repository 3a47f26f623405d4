//! Plays a load.

use std::{future::poll_fn, panic, sync::Arc, thread};

use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::{
    runtime::Builder,
    task::{JoinError, JoinSet},
    time::Instant,
};
use tower_layer::Layer as _;
use tower_service::Service as _;

use super::{
    Report, SimulateError, Simulation,
    gauge::Gauge,
    load::{Agent, Kind, ToCome, Trace},
    provider::Provider,
    reached::reached,
    report::BudgetUse,
    speech::{is_uncapped, request},
    tally::Tally,
};
use crate::{
    config::{RateLimiting, Stack},
    limit::Limits,
    limiter::Limiter,
    rate_limit::RateLimit,
    store::{BudgetStanding, MemoryStore},
};

/// So many budgets are told one by one.
const BUDGETS: usize = 100;

/// Who sends calls.
#[derive(Clone)]
struct Client {
    /// The layer, and what stands behind it.
    layer: RateLimit<Provider>,
    tally: Tally,
}

/// Runs it on a thread of its own: there time stands still by itself, and what is drawn is its own.
pub(super) fn on_a_thread(simulation: &Simulation) -> Result<Report, SimulateError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("simulate".to_owned());
        let thread = thread.spawn_scoped(scope, || here(simulation));
        let thread = thread.map_err(SimulateError::Thread)?;
        thread
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

fn here(simulation: &Simulation) -> Result<Report, SimulateError> {
    // The jitter of retries is drawn here.
    fastrand::seed(simulation.seeded());
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.map_err(SimulateError::Thread)?;
    runtime.block_on(play(simulation))
}

async fn play(simulation: &Simulation) -> Result<Report, SimulateError> {
    if !simulation.config.enabled {
        return Err(SimulateError::SwitchedOff);
    }
    if let Kind::Population(population) = &simulation.load.0
        && population.agents() == 0
    {
        return Err(SimulateError::NoAgent);
    }
    let (began, start) = (Instant::now(), simulation.began());
    let shown = move || start.checked_add(began.elapsed()).unwrap_or(start);
    let store = MemoryStore::new(simulation.config.limits()?);
    let stack = simulation.config.build_on(store.wall_clock(shown))?;
    let allows = simulation.provider.as_ref().map(allowed).transpose()?;
    let allows = allows.map(|limits| MemoryStore::new(limits).wall_clock(shown));
    let tally = Tally::new(&stack.limiter.limits(), stack.prices());
    let counts = stack.store.iter();
    let gauge = counts.map(|store| Gauge::new(store.clone(), tally.clone()));
    let gauge: Option<Arc<Gauge>> = gauge.map(Arc::new).next();
    let Some(gauge) = gauge else {
        unreachable!("a stack that is built on a memory store has it")
    };
    let looks = tokio::spawn({
        let gauge = gauge.clone();
        async move { gauge.go().await }
    });
    let provider = Provider {
        gauge,
        allows: allows.map(Limiter::with_store),
    };
    let client = Client {
        layer: stack.layer.clone().observe(tally.clone()).layer(provider),
        tally: tally.clone(),
    };
    match &simulation.load.0 {
        Kind::Trace(trace) => trace_comes(trace, began, &client).await,
        Kind::Population(population) => {
            let agents = population.all(simulation.seeded());
            agents_come(agents, began, &client).await;
        }
    }
    looks.abort();
    let mut report = finish(&tally, &stack).await;
    report.left_out = simulation.load.left_out();
    Ok(report)
}

/// What a provider allows: to the instant, where no margin is said. Ours is for what we do not know of it.
fn allowed(said: &RateLimiting) -> Result<Limits, SimulateError> {
    let mut said = said.clone();
    said.margin.get_or_insert_default();
    said.limits().map_err(SimulateError::Provider)
}

/// What the store says at the end.
async fn finish(tally: &Tally, stack: &Stack) -> Report {
    let mut report = tally.report();
    // The memory answers at once, and well.
    let mut budgets = stack.limiter.budgets().await.unwrap_or_default();
    let used = |one: &BudgetStanding| {
        let spent = u128::from(one.settled.as_nanos()) << 64;
        spent / u128::from(one.amount.as_nanos().max(1))
    };
    budgets.sort_by_key(|one| std::cmp::Reverse(used(one)));
    let told = budgets.iter().take(BUDGETS);
    report.budgets = told.map(BudgetUse::of).collect();
    let watching = stack
        .store
        .iter()
        .flat_map(|store| store.would_have_refused());
    for (words, claims) in watching {
        let limit = report.limits.iter_mut().find(|limit| limit.limit == words);
        limit
            .into_iter()
            .for_each(|limit| limit.would_have_refused = Some(claims));
    }
    report
}

/// Calls that come when they came.
async fn trace_comes(trace: &Trace, began: Instant, client: &Client) {
    let mut calls = JoinSet::new();
    for call in &trace.calls {
        if !reached(began, call.at).await {
            break;
        }
        calls.spawn(made(client.clone(), call.clone()));
        while let Some(done) = calls.try_join_next() {
            whole(done);
        }
    }
    all_of(calls).await;
}

/// Agents that go their own ways.
async fn agents_come(agents: impl Iterator<Item = Agent>, began: Instant, client: &Client) {
    let mut all = JoinSet::new();
    for agent in agents {
        let client = client.clone();
        all.spawn(async move {
            match (
                reached(began, agent.begins).await,
                agent.waits_for_answers(),
            ) {
                (true, true) => closed(agent, &client).await,
                (true, false) => open(agent, &client).await,
                (false, _) => {}
            }
        });
    }
    all_of(all).await;
}

/// The next call comes when the last was answered.
async fn closed(mut agent: Agent, client: &Client) {
    let began = Instant::now();
    while let Some(call) = agent.next(began.elapsed()) {
        let status = made(client.clone(), call).await;
        let refused = !status.is_success();
        reached(Instant::now(), agent.before_the_next(refused)).await;
    }
}

/// The next call comes whatever becomes of the last.
async fn open(mut agent: Agent, client: &Client) {
    let (began, mut calls) = (Instant::now(), JoinSet::new());
    let mut after = agent.before_the_first();
    loop {
        let is_reached = reached(began, after).await;
        let Some(call) = agent.next(after).filter(|_| is_reached) else {
            break;
        };
        calls.spawn(made(client.clone(), call));
        while let Some(done) = calls.try_join_next() {
            whole(done);
        }
        after = after.saturating_add(agent.before_the_next(false));
    }
    all_of(calls).await;
}

/// One call, until its answer was read.
async fn made(client: Client, call: ToCome) -> StatusCode {
    let Client { mut layer, tally } = client;
    if is_uncapped(&call) {
        tally.uncapped();
    }
    let request = request(&call);
    let response = async {
        poll_fn(|context| layer.poll_ready(context)).await?;
        layer.call(request).await
    };
    match response.await {
        Ok(response) => {
            let status = response.status();
            drop(response.into_body().collect().await);
            status
        }
        Err(never) => match never {},
    }
}

async fn all_of<T: 'static>(mut tasks: JoinSet<T>) {
    while let Some(done) = tasks.join_next().await {
        whole(done);
    }
}

/// What panicked goes on to do so.
fn whole<T>(done: Result<T, JoinError>) {
    if let Err(error) = done
        && let Ok(panic) = error.try_into_panic()
    {
        panic::resume_unwind(panic);
    }
}

impl BudgetUse {
    fn of(standing: &BudgetStanding) -> Self {
        BudgetUse {
            budget: standing.budget.clone(),
            amount: standing.amount,
            spent: standing.settled,
            left: standing.left(),
        }
    }
}
