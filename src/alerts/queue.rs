//! Who is told of what, and by whom.

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use tower_service::Service;

use super::{
    Alert, BadWebhook, Kind, NotDelivered, Told, Webhook,
    ahead::Ahead,
    circuits::Circuits,
    client::{self, Post},
    hook::Hook,
    kind::Kinds,
};
use crate::{clock::time_of_day, limiter::Limiter, rate_limit::RateLimitLayer};

/// How long what is still to be told may take when it is to end.
const LAST: Duration = Duration::from_secs(5);
/// How often it is looked which budgets stop calls, and whether the others last.
const LOOK: Duration = Duration::from_secs(60);

/// Sends alerts to webhooks; see the [module](super).
///
/// Cheap to clone: clones share everything.
#[derive(Clone)]
#[must_use]
pub struct Alerts {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    hooks: Mutex<Arc<[Arc<Hook>]>>,
    /// Those that are none any more, until somebody delivers what waits for them.
    leaving: Mutex<Vec<Arc<Hook>>>,
    /// What any of them is told of.
    wanted: AtomicU8,
    /// There are others.
    changed: Notify,
    pub(super) post: Post,
    listeners: Mutex<Vec<Arc<Listener>>>,
    limiters: Mutex<Vec<Limiter>>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Listener = dyn Fn(&Told) + Send + Sync;

impl Alerts {
    /// Alerts to these webhooks. Nothing is sent until this [runs](Self::run).
    ///
    /// # Errors
    /// If no client can be made.
    pub fn new(webhooks: impl IntoIterator<Item = Webhook>) -> Result<Self, BadWebhook> {
        Ok(Self::through(client::client()?, webhooks))
    }

    /// Like [`new`](Self::new) with a client of your own, such as one that knows a proxy or other authorities. It
    /// should not follow redirects.
    pub fn through<S, R>(client: S, webhooks: impl IntoIterator<Item = Webhook>) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        Self::sent_by(client::by(client), webhooks)
    }

    pub(crate) fn sent_by(post: Post, webhooks: impl IntoIterator<Item = Webhook>) -> Self {
        let alerts = Alerts {
            shared: Arc::new(Shared {
                hooks: Mutex::new(Arc::new([])),
                leaving: Mutex::default(),
                wanted: AtomicU8::new(Kinds::NONE.bits()),
                changed: Notify::new(),
                post,
                listeners: Mutex::default(),
                limiters: Mutex::default(),
            }),
        };
        alerts.set_webhooks(webhooks);
        alerts
    }

    /// Sends to these webhooks from now on. What those that stay were told is remembered; what is queued for those that
    /// go is still sent.
    pub fn set_webhooks(&self, webhooks: impl IntoIterator<Item = Webhook>) {
        let mut hooks = self.shared.hooks.lock();
        let mut known: Vec<Arc<Hook>> = hooks.to_vec();
        let webhooks: Vec<Webhook> = webhooks.into_iter().collect();
        // Those that are just the same first: no other may take theirs.
        let mut take = |is_it: &dyn Fn(&Webhook) -> bool| {
            let at = known.iter().position(|hook| is_it(&hook.to.webhook))?;
            Some(known.remove(at))
        };
        let same: Vec<_> = webhooks
            .iter()
            .map(|webhook| take(&|known| known == webhook))
            .collect();
        let new = webhooks.into_iter().zip(same).map(|(webhook, same)| {
            if let Some(same) = same {
                return same;
            }
            let Some(told_otherwise) = take(&|known| known.is_at(&webhook)) else {
                return Arc::new(Hook::new(webhook));
            };
            let changed = Arc::new(told_otherwise.changed(webhook));
            self.shared.leaving.lock().push(told_otherwise);
            changed
        });
        *hooks = new.collect();
        self.shared.leaving.lock().append(&mut known);
        let kinds = hooks.iter().map(|hook| hook.to.webhook.kinds);
        let wanted = kinds.fold(Kinds::NONE, Kinds::and);
        self.shared.wanted.store(wanted.bits(), Ordering::Relaxed);
        drop(hooks);
        self.shared.changed.notify_one();
    }

    /// Makes these layers report what happens to their targets and which attempts are refused because a budget is
    /// spent, and makes this limiter report what happens to its budgets.
    pub fn attach(&self, layer: RateLimitLayer, limiter: &Limiter) -> RateLimitLayer {
        self.watch(limiter);
        let alerts = self.clone();
        layer
            .observe(self.clone())
            .on_failover(move |event| alerts.target_changed(event))
    }

    /// Also reports what happens to the budgets of this limiter: from now on, and what no listener was told of yet.
    pub fn watch(&self, limiter: &Limiter) {
        self.shared.limiters.lock().push(limiter.clone());
        // The limiter keeps its listeners, and is kept here.
        let shared: Weak<Shared> = Arc::downgrade(&self.shared);
        limiter.on_event(move |event| {
            if let Some(shared) = shared.upgrade() {
                Alerts { shared }.budget_changed(event);
            }
        });
    }

    /// Calls the listener with the outcome of each alert at each webhook, also of those that are dropped. It is called
    /// by whoever finds out, with no lock held, and must neither block nor panic.
    pub fn on_outcome(&self, listener: impl Fn(&Told) + Send + Sync + 'static) {
        self.shared.listeners.lock().push(Arc::new(listener));
    }

    /// Delivers until `stop` completes, and then what is still queued, which may take five seconds. What has not been
    /// sent by then is dropped, and no more alerts are accepted. To be run once.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing more is delivered, and what is queued is lost.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stops) = watch::channel(false);
        let mut telling = JoinSet::new();
        let (mut circuits, mut ahead) = (Circuits::default(), Ahead::default());
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = pin!(stop);
        loop {
            let leaving = std::mem::take(&mut *self.shared.leaving.lock());
            for hook in self.hooks().iter().chain(&leaving) {
                if let Some(waiting) = hook.waiting() {
                    let (to, shared) = (hook.to.clone(), self.shared.clone());
                    telling.spawn(to.deliver_all(shared, waiting, stops.clone()));
                }
            }
            // Its queue ends when nobody can put anything into it.
            drop(leaving);
            tokio::select! {
                () = &mut stop => break,
                () = self.shared.changed.notified() => {}
                _ = look.tick() => {
                    // A store that does not answer keeps nothing up.
                    let looked = timeout(LAST, self.look(&mut circuits, &mut ahead));
                    tokio::select! {
                        () = &mut stop => break,
                        _ = looked => {}
                    }
                }
                // Of a webhook that is none any more.
                Some(_) = telling.join_next() => {}
            }
        }
        stopping.send_replace(true);
        let all = async { while telling.join_next().await.is_some() {} };
        // What is on its way then is dropped with its task, and says so.
        let _ = timeout(LAST, all).await;
        telling.shutdown().await;
    }

    /// Sends one alert to each webhook, once, whatever kinds it is for. Returns for each the status that it answered,
    /// or why it has not accepted the alert.
    pub async fn test(&self) -> Vec<(Arc<str>, Result<u16, NotDelivered>)> {
        let text = "this is a test: alerts come here";
        let alert = Alert::now(Kind::Test, "test", false, text);
        let hooks = self.hooks();
        let mut answers = Vec::new();
        for hook in hooks.iter() {
            let webhook = hook.to.webhook.clone().tries(1);
            let answer = webhook.deliver(&self.shared.post, &alert, |_| {}).await;
            answers.push((webhook.name.clone(), answer));
        }
        answers
    }

    fn hooks(&self) -> Arc<[Arc<Hook>]> {
        self.shared.hooks.lock().clone()
    }

    fn wants(&self, kind: Kind) -> bool {
        Kinds::from_bits(self.shared.wanted.load(Ordering::Relaxed)).has(kind)
    }

    /// Something happened. It waits for nothing.
    pub(super) fn tell(&self, kind: Kind, subject: &str, is_over: bool, text: impl Fn() -> String) {
        if !self.wants(kind) {
            return;
        }
        let mut made: Option<Arc<Alert>> = None;
        for hook in self.hooks().iter() {
            let alert = || {
                let alert = made
                    .get_or_insert_with(|| Arc::new(Alert::now(kind, subject, is_over, &text())));
                alert.clone()
            };
            if let Err(told) = hook.take((kind, subject, is_over), alert) {
                self.shared.say(&told);
            }
        }
    }

    /// Tells what can be seen of budgets, whenever that came about: whoever was told is not told again so soon.
    async fn look(&self, circuits: &mut Circuits, ahead: &mut Ahead) {
        if !self.wants(Kind::Circuit) && !self.wants(Kind::Forecast) {
            return;
        }
        let limiters = self.shared.limiters.lock().clone();
        let (mut budgets, mut are_all) = (Vec::new(), true);
        for limiter in &limiters {
            match limiter.budgets().await {
                Ok(standings) => budgets.extend(standings),
                // A store that cannot answer is told of elsewhere.
                Err(_) => are_all = false,
            }
        }
        // Of those that are missing nobody knows whether they are over.
        if are_all {
            let (open, over) = circuits.look(&budgets);
            over.iter().for_each(|name| self.circuit_closed(name));
            open.iter().for_each(|event| self.budget_changed(event));
        }
        if self.wants(Kind::Forecast) {
            let early = ahead.look(&budgets, Instant::now(), time_of_day());
            early.iter().for_each(|early| self.ends_early(early));
        }
    }
}

impl Shared {
    pub(super) fn say(&self, told: &Told) {
        let listeners = self.listeners.lock().clone();
        listeners.iter().for_each(|listener| listener(told));
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("webhooks", &self.hooks().len())
            .finish_non_exhaustive()
    }
}
