//! How limits and budgets stand.

use tower_quota::{
    Limiter, Money, StoreError, Tag, Tags, Usage,
    limit::{Limit, Limits, Tick},
    limiter::Call,
    metrics::Metrics,
    store::{Answer, Claim, Correction, Decision, Grant, MemoryStore, Settlement, Standing, Store},
};

use super::{
    Text,
    support::{HOUR, MINUTE, limiter},
};

fn by(agent: &str) -> Tags {
    Tags::new().with(Tag::Agent, agent)
}

#[tokio::test(start_paused = true)]
async fn limits_show_what_is_used_of_them_and_what_is_not_any_more() {
    let limiter = limiter([
        Limit::tokens(1_000).every(MINUTE).when(Tag::Model, "m"),
        Limit::concurrency(4),
    ]);
    let metrics = Metrics::new();
    metrics.watch(&limiter);
    let tokens = ("tower_quota_limit", "tokens 1000/min for model=m");
    let said = Text::of(&metrics.render().await);
    assert_eq!(
        said.one("tower_quota_limit_used", &[tokens]),
        0.0,
        "nobody has come"
    );
    assert_eq!(said.one("tower_quota_limit_amount", &[tokens]), 1_000.0);

    let call = Call::new()
        .tags(Tags::new().with(Tag::Model, "m"))
        .tokens(200, 50);
    let permit = limiter.acquire(call).await.unwrap();
    let said = Text::of(&metrics.render().await);
    assert_eq!(
        said.one(
            "tower_quota_limit_used",
            &[tokens, ("tower_quota_quantity", "tokens")]
        ),
        250.0
    );
    assert_eq!(said.one("tower_quota_limit_utilization", &[tokens]), 0.25);
    let in_flight = [("tower_quota_quantity", "concurrency")];
    assert_eq!(said.one("tower_quota_limit_used", &in_flight), 1.0);
    assert_eq!(said.one("tower_quota_limit_reserved", &in_flight), 1.0);

    permit.settle(Usage::new(200, 10));
    tokio::time::sleep(HOUR).await;
    let said = Text::of(&metrics.render().await);
    assert_eq!(said.one("tower_quota_limit_used", &[tokens]), 0.0);
    assert_eq!(said.one("tower_quota_limit_used", &in_flight), 0.0);
}

#[tokio::test(start_paused = true)]
async fn budgets_are_in_dollars_and_tell_what_happens_to_them() {
    let budget = Limit::cost(Money::from_dollars(10))
        .every(HOUR)
        .thresholds([0.5]);
    let limiter = limiter([budget]);
    let metrics = Metrics::new();
    metrics.watch(&limiter);
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(6));
    limiter.record(&Tags::new(), usage).await.unwrap();
    limiter
        .correct(
            &Tags::new(),
            Correction::Less(Money::from_dollars(1)),
            "refunded",
        )
        .await
        .unwrap();
    let permit = limiter
        .acquire(Call::new().cost(Money::from_dollars(2)))
        .await
        .unwrap();
    let said = Text::of(&metrics.render().await);
    let of = [("tower_quota_limit", "cost $10.00/hour")];
    for (name, dollars) in [("spent", 5.0), ("reserved", 2.0), ("amount", 10.0)] {
        assert_eq!(
            said.one(&format!("tower_quota_budget_{name}_usd"), &of),
            dollars
        );
    }
    assert_eq!(said.one("tower_quota_budget_utilization", &of), 0.7);
    for change in ["passed", "corrected"] {
        let labels = [("tower_quota_change", change)];
        assert_eq!(said.one("tower_quota_budget_events_total", &labels), 1.0);
    }
    assert_eq!(said.names("tower_quota_limit_used"), [""; 0]);
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn values_are_labels_where_that_is_asked_for_and_else_the_fullest_is_shown() {
    let limiter = limiter([Limit::requests(10).every(HOUR).per(Tag::Agent)]);
    let (plain, named) = (
        Metrics::new(),
        Metrics::builder().tags([Tag::Agent]).build(),
    );
    plain.watch(&limiter);
    named.watch(&limiter);
    for agent in ["a", "b", "b", "b", "c"] {
        limiter
            .acquire(Call::new().tags(by(agent)))
            .await
            .unwrap()
            .settle(Usage::default());
    }
    let text = plain.render().await;
    assert_eq!(Text::of(&text).one("tower_quota_limit_used", &[]), 3.0);
    assert!(!text.contains("tower_quota_agent"));
    let said = Text::of(&named.render().await);
    for (agent, used) in [("a", 1.0), ("b", 3.0), ("c", 1.0)] {
        assert_eq!(
            said.one("tower_quota_limit_used", &[("tower_quota_agent", agent)]),
            used
        );
    }
}

/// It cannot be reached.
#[derive(Debug)]
struct Gone(MemoryStore);

impl Store for Gone {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn now(&self) -> Tick {
        self.0.now()
    }

    fn claim(&self, _: &Claim) -> Answer<Decision> {
        Answer::Now(Err(StoreError::new("gone")))
    }

    fn date(&self, _: &mut Grant) {}

    fn streamed(&self, _: &mut Grant, _: u64) {}

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.0.settle(grant, settlement)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.0.release(grant)
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.0.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.0.record(tags, usage)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_answer_is_counted_and_the_rest_is_shown() {
    use tower::{Layer as _, ServiceExt as _};

    let limits = Limits::new([Limit::requests(1).every(MINUTE)]).unwrap();
    let gone = Limiter::with_store(Gone(MemoryStore::new(limits)));
    let metrics = Metrics::new();
    metrics.watch(&limiter([Limit::requests(2).every(MINUTE)]));
    let layer = metrics.attach(tower_quota::RateLimitLayer::new(gone.clone()), &gone);
    let service = layer.layer(super::support::Upstream::new());
    let response = service.oneshot(super::request("a")).await.unwrap();
    assert_eq!(response.status(), 503);
    drop(response);
    let said = Text::of(&metrics.render().await);
    for asked in ["claim", "counts"] {
        assert_eq!(
            said.one(
                "tower_quota_store_errors_total",
                &[("tower_quota_asked", asked)]
            ),
            1.0
        );
    }
    assert_eq!(said.one("tower_quota_limit_amount", &[]), 2.0);
}
