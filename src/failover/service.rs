use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hashbrown::HashMap;
use http::{HeaderName, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{candidate::Way, health::Health, run::Run, trigger::Triggers};
use crate::{
    body::{Out, ResponseBody, ResponseFuture, pass, refuse, send_once},
    call::{Entered, Entry, Inspect, Refusal},
    error::Rejection,
    limiter::Limiter,
    retry::{RetryBudget, classifier::Classifier},
    tags::Tag,
};

/// Sends a call to the first target of its route that can serve it; see the [module](super).
///
/// It is always ready. Each attempt is claimed for and settled by itself, under the tags of its target, whether the
/// gates are inside or outside this service.
#[derive(Clone, Debug)]
pub struct Failover<S> {
    inner: S,
    settings: Arc<Settings>,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(crate) inspect: Inspect,
}

impl Settings {
    /// The refusal of a call without a route, where it may not go on as it came. Observers are told.
    pub(crate) fn no_route(&self, entry: &Entry) -> Option<Rejection> {
        self.options.routed_only.then(|| {
            let no = self.shared.no_route(entry.tags().get(&Tag::Model));
            entry.tell_refusal(&no);
            no
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) patience: Duration,
    pub(super) longest_wait: Duration,
    pub(super) max_attempts: u32,
    pub(super) park_for: Duration,
    /// How often calls come back to a target that failed.
    pub(super) budget: Option<RetryBudget>,
    pub(super) triggers: Triggers,
    pub(super) repeats_uncertain: bool,
    /// Whether calls without a route are refused.
    pub(super) routed_only: bool,
    pub(super) classifier: Classifier,
    pub(super) limiter: Option<Limiter>,
}

/// What all calls share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ways: HashMap<Arc<str>, Way>,
    pub(super) health: Arc<Health>,
    /// The headers that any of the providers takes its keys in.
    pub(super) headers: Vec<HeaderName>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            patience: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            max_attempts: 10,
            park_for: Duration::from_secs(3_600),
            budget: Some(RetryBudget::default()),
            triggers: Triggers::default(),
            repeats_uncertain: true,
            routed_only: false,
            classifier: Classifier::default(),
            limiter: None,
        }
    }
}

impl Shared {
    fn no_route(&self, model: Option<&str>) -> Rejection {
        let mut models: Vec<&str> = self.ways.keys().map(|model| &**model).collect();
        models.sort_unstable();
        Rejection::NoRoute {
            model: model.map(str::to_owned),
            models: models.join(", "),
        }
    }
}

impl<S> Failover<S> {
    pub(super) fn new(inner: S, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Failover { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for Failover<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Failover { inner, settings } = self.clone();
        ResponseFuture::new(async move {
            if settings.inspect.off {
                return Box::pin(pass(inner, request)).await;
            }
            let mut entered = match Entered::enter(request, &settings.inspect).await {
                Ok(entered) => entered,
                Err(Refusal { dialect, rejection }) => return Ok(refuse(dialect, rejection)),
            };
            entered = entered.unfitted();
            if let Some(run) = Run::of(&settings, &entered) {
                let result = run.send(&mut Out(inner)).await;
                entered.entry.hands_on(&result);
                return result;
            }
            if let Some(no) = settings.no_route(&entered.entry) {
                let result = Ok(refuse(entered.entry.dialect(), no));
                entered.entry.hands_on(&result);
                return result;
            }
            // On the heap: calls with a route would be larger by it.
            entered = entered.fitted();
            let result = Box::pin(send_once(&mut entered, &mut Out(inner))).await;
            entered.entry.hands_on(&result);
            result
        })
    }
}
