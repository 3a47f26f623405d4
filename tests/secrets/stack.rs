//! All layers around a client that speaks to sockets, with keys and callers that are marked.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    BudgetLayer, FailoverLayer, Limiter, Money, RateLimitLayer, Rejection, Statistics, Tag, Tags,
    failover::{ApiKey, Provider, Route, Routes, Target},
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    pricing::{Price, PriceTable},
    reqwest::Client,
    retry::Attempts,
    store::MemoryStore,
};

use tower_quota::{
    event::{Event, ObservedCall},
    metrics::Metrics,
};

use crate::outputs::{Outputs, secret};

/// Headers in which callers show who they are.
const CREDENTIALS: [&str; 13] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-goog-user-project",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "anthropic-workspace-id",
    "x-amz-security-token",
    "x-auth-token",
];
const IN_QUERY: [&str; 6] = [
    "key",
    "api_key",
    "api-key",
    "access_token",
    "subscription-key",
    "token",
];

/// A chat with a model by a caller that shows everything it has, and asks for a fault.
pub(crate) fn chat(base: &str, model: &str, fault: &str) -> Request<reqwest::Body> {
    let query: Vec<String> = IN_QUERY
        .iter()
        .map(|name| format!("{name}={}", secret(name)))
        .collect();
    let uri = format!("{base}/v1/chat/completions?{}", query.join("&"));
    let mut request = Request::post(uri).header("x-sim-fault", fault);
    for name in CREDENTIALS {
        request = request.header(name, format!("Bearer {}", secret(name)));
    }
    let body = format!(
        r#"{{"model":"{model}","max_tokens":10,"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    let body = reqwest::Body::from(body);
    request
        .extension(Tags::new().with(Tag::Agent, "scout"))
        .body(body)
        .unwrap()
}

fn prices() -> Arc<PriceTable> {
    let mut prices = PriceTable::built_in();
    let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
    prices.insert("azure", "gpt-4o-mini", price);
    Arc::new(prices)
}

fn provider(name: &str, base: &str) -> Provider {
    let key = |label: &str| ApiKey::new(label, secret(&format!("key-{name}-{label}"))).unwrap();
    Provider::new(name, &format!("{base}/v1"))
        .unwrap()
        .key(key("one"))
        .key(key("two"))
}

/// All layers, and what is seen of everything about them.
pub(crate) struct Stack {
    pub(crate) outputs: Outputs,
    limiter: Limiter,
    store: Arc<MemoryStore>,
    statistics: Statistics,
    metrics: Metrics,
    layer: RateLimitLayer,
}

impl Stack {
    /// A route for `routed` along these addresses.
    pub(crate) fn new(bases: &[(&str, String)]) -> Self {
        let outputs = Outputs::default();
        let minute = Duration::from_secs(60);
        let limits = Limits::new([
            Limit::requests(1_000).every(minute).per(Tag::ApiKey),
            Limit::requests(1).every(minute).when(Tag::Model, "scarce"),
            Limit::cost(Money::from_dollars(1))
                .every(minute)
                .thresholds([0.000_001]),
        ]);
        let store = Arc::new(MemoryStore::new(limits.unwrap()));
        let limiter = Limiter::build(store.clone(), QueueOptions::new());
        let heard = outputs.clone();
        limiter.on_event(move |event| {
            heard.debug("an event of a budget", event);
            heard.display("an event of a budget", event);
        });
        let providers: Vec<Provider> = bases
            .iter()
            .map(|(name, base)| provider(name, base))
            .collect();
        let target = |provider: &Provider| Target::new(provider, "gpt-4o-mini");
        let targets: Vec<Target> = providers.iter().map(target).collect();
        let route = Route::ordered(targets.clone());
        let routes = Routes::new([("routed", route.clone())]).unwrap();
        for provider in &providers {
            outputs.debug("a provider", provider);
        }
        outputs.debug("targets", &targets);
        outputs.debug("a route", &route);
        outputs.debug("routes", &routes);
        outputs.debug("a key", &ApiKey::new("main", secret("key")).unwrap());
        let heard = outputs.clone();
        let failover = FailoverLayer::new(routes).on_event(move |event| {
            heard.debug("an event of a target", event);
            heard.display("an event of a target", event);
        });
        outputs.debug("a failover layer", &failover);
        let statistics = Statistics::new();
        let layer = RateLimitLayer::new(limiter.clone())
            .failover(failover)
            .budget(BudgetLayer::new(limiter.clone(), prices()))
            .statistics(statistics.clone());
        // A caller's own words are labels where that is asked for; the tags of keys never are.
        let metrics = Metrics::builder().tags([Tag::Agent, Tag::ApiKey]).build();
        let heard = outputs.clone();
        let layer = metrics.attach(layer, &limiter).observe(
            move |call: &ObservedCall, event: &Event<'_>| {
                heard.debug("a call that is observed", call);
                heard.debug("an event of a call", event);
            },
        );
        outputs.debug("metrics", &metrics);
        outputs.debug("all layers", &layer);
        Stack {
            outputs,
            limiter,
            store,
            statistics,
            metrics,
            layer,
        }
    }

    /// What comes of a call; its status, or `None` for an error. The requests that are sent are seen as well, where they
    /// were `rewritten`.
    pub(crate) async fn call(
        &self,
        request: Request<reqwest::Body>,
        rewritten: bool,
    ) -> Option<u16> {
        let (client, seen) = (Client::new().unwrap(), self.outputs.clone());
        let client = tower::service_fn(move |request: Request<reqwest::Body>| {
            if rewritten {
                seen.debug("a request as it is sent", &request);
            }
            client.clone().call(request)
        });
        let service = self.layer.layer(client);
        let outputs = &self.outputs;
        let response = match service.oneshot(request).await {
            Ok(response) => response,
            Err(error) => {
                outputs.error("what a call fails with", &error);
                return None;
            }
        };
        let status = response.status().as_u16();
        let response = self.see(response).await;
        outputs.text("the body of a response", String::from_utf8_lossy(&response));
        Some(status)
    }

    async fn see<B>(&self, response: Response<B>) -> Bytes
    where
        B: http_body::Body<Data = Bytes> + std::fmt::Debug,
        B::Error: std::error::Error + 'static,
    {
        let outputs = &self.outputs;
        outputs.debug("a response", &response);
        outputs.debug("the extensions of a response", response.extensions());
        if let Some(attempts) = response.extensions().get::<Attempts>() {
            outputs.debug("attempts", attempts);
            outputs.json("attempts", attempts);
            for made in &attempts.made {
                outputs.display("a target", &made.target);
            }
        }
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            outputs.debug("a refusal", rejection);
            outputs.error("a refusal", rejection);
        }
        if let Some(error) = response
            .extensions()
            .get::<tower_quota::wire::ProviderError>()
        {
            outputs.debug("what a provider said", error);
        }
        match response.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                outputs.error("what a body breaks off with", &error);
                Bytes::new()
            }
        }
    }

    /// What is seen of all that is kept.
    pub(crate) async fn kept(&self) {
        let outputs = &self.outputs;
        let service = self.layer.layer(Client::new().unwrap());
        outputs.debug("all services", &service);
        outputs.debug("the limiter", &self.limiter);
        outputs.debug("the store", &self.store);
        outputs.debug("a snapshot of the store", &self.store.snapshot());
        outputs.json("a snapshot of the store", &self.store.snapshot());
        outputs.debug("statistics", &self.statistics);
        outputs.json("statistics", &self.statistics.snapshot());
        for label in ["one", "two"] {
            let tags = Tags::new()
                .with(Tag::Provider, "openai")
                .with(Tag::Model, "gpt-4o-mini")
                .with(Tag::ApiKey, label);
            outputs.debug("tags", &tags);
            let call = Call::new().tags(tags);
            let explained = self.limiter.explain(&call).await.unwrap();
            outputs.debug("an explanation", &explained);
            outputs.display("an explanation", &explained);
        }
        let budgets = self.limiter.budgets().await.unwrap();
        outputs.debug("budgets", &budgets);
        outputs.debug("counts", &self.limiter.counts(100).await.unwrap());
        let metrics = self.metrics.render().await;
        assert!(metrics.contains("tower_quota_calls_total{"), "{metrics}");
        outputs.text("the text of metrics", metrics);
    }
}
