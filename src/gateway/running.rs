//! The gateway as a whole.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{Router, extract::Request, routing::get};
use http::StatusCode;
use rustls::ServerConfig;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use tower_layer::Layer;

#[cfg(feature = "sqlite")]
use super::retention;
use super::{
    BadUpstream, GatewayConfig, State, StateFileError, TlsConfig, TlsError, admin, alerts,
    answers::Answers,
    bodies::Bodies,
    calls::Calls,
    claims::{self, Claiming},
    client::{client, is_silent},
    found,
    minutes::Minutes,
    proxy::Proxy,
    server::{self, Certificate},
    state::keys::Difference,
    tls,
    upstreams::Upstreams,
};
#[cfg(feature = "sqlite")]
use crate::store::sqlite::{Retention, SqliteStore};
use crate::{
    alerts::{Alerts, Webhook},
    clock::time_of_day,
    config::ConfigError,
    error::{Rejection, StoreError},
    limiter::{Call, Limiter},
    metrics::Metrics,
    rate_limit::RateLimitLayer,
    recent::Recent,
    statistics::Statistics,
    tags::Tag,
};

/// A store that takes longer is none that calls can wait for.
const READY_IN: Duration = Duration::from_secs(2);

/// A gateway that takes calls. Clones are the same.
#[derive(Clone, Debug)]
pub struct Gateway {
    proxy: Arc<Proxy>,
    claiming: Claiming,
    metrics: Metrics,
    statistics: Statistics,
    /// When it began to record, in seconds since 1970.
    since: f64,
    minutes: Minutes,
    recent: Recent,
    alerts: Alerts,
    tls: Option<TlsConfig>,
    certificate: Certificate,
    /// How long the ledger is kept, and the file that has it.
    #[cfg(feature = "sqlite")]
    retention: Option<Retention>,
    #[cfg(feature = "sqlite")]
    file: Option<Arc<SqliteStore>>,
}

/// A certificate and a state that were read again and are valid.
#[derive(Debug)]
#[must_use]
pub struct Renewed {
    gateway: Gateway,
    certificate: Option<Arc<ServerConfig>>,
    /// Where they may be others.
    webhooks: Option<Vec<Webhook>>,
    gone: Option<StateFileError>,
}

impl Renewed {
    /// Returns why the keys stay as they are, if their file [is gone](StateFileError::Gone). All else is put in force.
    #[must_use]
    pub fn keys_gone(&self) -> Option<&StateFileError> {
        self.gone.as_ref()
    }

    /// Puts them in force. What others have changed in the file of keys is noted in the [audit log](Limiter::audit), and
    /// calls end that wait with a key that was disabled or deleted.
    ///
    /// # Errors
    /// If a change of the keys could not be noted. All is in force all the same.
    ///
    /// # Cancel safety
    /// All is in force, and those calls end, once the future has been polled. If it is dropped, some changes may
    /// not be noted.
    pub async fn take(self) -> Result<(), StoreError> {
        let proxy = self.gateway.proxy.clone();
        let found = self.put_in_force();
        found::heed(&found, &proxy.calls, &proxy.limiter).await
    }

    /// What others have changed in the file of keys.
    fn put_in_force(self) -> Vec<Difference> {
        self.gateway.certificate.set(self.certificate);
        if let Some(webhooks) = self.webhooks {
            self.gateway.alerts.set_webhooks(webhooks);
        }
        let state = self.gateway.proxy.state.as_ref();
        // It could be read just before. Should it be gone since, what was in force stays.
        let found = state.and_then(|state| state.find_changes().ok());
        found.unwrap_or_default()
    }
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// There is neither an upstream nor a route.
    #[error("there is neither an upstream nor a route: calls could go nowhere")]
    Nowhere,
    /// An upstream is invalid.
    #[error(transparent)]
    Upstream(#[from] BadUpstream),
    /// A webhook is invalid.
    #[error(transparent)]
    Webhook(#[from] ConfigError),
    /// The ledger cannot be kept for that long.
    #[error(transparent)]
    Retention(Box<ConfigError>),
    /// A certificate or an authority is invalid.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateFileError),
}

impl Gateway {
    /// Passes calls through `layer`: those for models with a route to the route's targets, all others to an upstream of
    /// the configuration. `limiter` is the limiter in that layer. The layer should read bodies up to its default of 32
    /// MB, because the memory that they take is counted by that length. The files that the configuration names are read
    /// here, so this is for the start of a program.
    ///
    /// # Errors
    /// [`GatewayError`] says what is missing or invalid.
    pub fn new(
        layer: &RateLimitLayer,
        limiter: &Limiter,
        config: &GatewayConfig,
    ) -> Result<Self, GatewayError> {
        let upstreams = Upstreams::of(&config.upstreams, config.upstream.clone())?;
        let upstreams = upstreams.beside_routes(layer.keys());
        if upstreams.is_empty() && !layer.has_routes() {
            return Err(GatewayError::Nowhere);
        }
        if let Some(retention) = &config.retention {
            let checked = retention.check();
            checked.map_err(|error| GatewayError::Retention(error.into()))?;
        }
        let layer = layer.clone().hiding(upstreams.key_headers());
        let layer = &layer.not_repeating(is_silent);
        let tags = config
            .metrics
            .tags
            .iter()
            .map(|tag| Tag::from(tag.as_str()));
        let metrics = Metrics::builder().tags(tags).build();
        let answers_within = Duration::from(config.answers_within);
        let client = client(
            tls::client(config.authorities.as_deref())?,
            (!answers_within.is_zero()).then_some(answers_within),
        );
        let alerts = Alerts::sent_by(
            alerts::post(client.clone()),
            alerts::webhooks(&config.alerts)?,
        );
        let (layer, statistics) = recorded(layer.clone());
        let (minutes, recent) = (Minutes::default(), Recent::new());
        let layer = metrics.attach(alerts.attach(layer, limiter), limiter);
        let layer = &layer.observe(minutes.clone()).observe(recent.clone());
        let counted = metrics.clone();
        alerts.on_outcome(move |told| {
            counted.alert_told(told.alert.kind.name(), told.outcome.name());
        });
        let state = config.state.as_ref().map(State::open).transpose()?;
        let proxy = Proxy {
            open: layer.layer(client.clone()),
            routed: layer
                .has_routes()
                .then(|| layer.clone().routed_only().layer(client)),
            upstreams,
            state,
            limiter: limiter.clone(),
            models: layer.models(),
            calls: Calls::default(),
            bodies: Bodies::of_mib(config.body_memory_mib),
            metrics: metrics.clone(),
            heartbeat: config.heartbeat.into(),
            repeats: layer.repeats(),
            keeps_bodies: layer.keeps_bodies(),
        };
        let (state, calls) = (proxy.state.clone(), proxy.calls.clone());
        let gateway = Gateway {
            claiming: Claiming::new(limiter.clone(), layer.clone(), state, calls),
            proxy: Arc::new(proxy),
            metrics,
            statistics,
            since: time_of_day()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            minutes,
            recent,
            alerts,
            tls: config.tls.clone(),
            certificate: Certificate::default(),
            #[cfg(feature = "sqlite")]
            retention: config.retention.map(|retention| retention.retention()),
            #[cfg(feature = "sqlite")]
            file: None,
        };
        // The keys were read just now.
        let _ = gateway.renewed()?.put_in_force();
        Ok(gateway)
    }

    /// Prunes the ledger in this file, which the limiter counts in, by [`GatewayConfig::retention`]: at the beginning of
    /// [`serve`](Self::serve), and from then on once a day. Without this, nothing is deleted. In a
    /// [`Stack`](crate::config::Stack) it is the `file`.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn pruning(mut self, file: Arc<SqliteStore>) -> Self {
        self.file = Some(file);
        self
    }

    /// Whether callers need keys.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.proxy.state.is_some()
    }

    /// The keys that operators have made, if a file keeps them.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.proxy.state.as_ref()
    }

    /// Reads the certificate and the state again, which others may have renewed or changed. They come into force when
    /// the result is [taken](Renewed::take). If the state's file is gone, its keys stay in force, and the result
    /// [says so](Renewed::keys_gone).
    ///
    /// # Errors
    /// If one of them cannot be read, and it is not that.
    pub fn renewed(&self) -> Result<Renewed, GatewayError> {
        let certificate = self.tls.as_ref().map(TlsConfig::server).transpose()?;
        let checked = self.proxy.state.as_ref().map(State::check_file);
        let gone = match checked.transpose() {
            Ok(_) => None,
            // A certificate that was renewed does not wait for that.
            Err(gone @ StateFileError::Gone { .. }) => Some(gone),
            Err(error) => return Err(error.into()),
        };
        Ok(Renewed {
            gateway: self.clone(),
            certificate,
            webhooks: None,
            gone,
        })
    }

    /// Like [`renewed`](Self::renewed), with the webhooks of a configuration that was read again.
    ///
    /// # Errors
    /// As [`renewed`](Self::renewed); and if a webhook is invalid.
    pub fn renewed_by(&self, config: &GatewayConfig) -> Result<Renewed, GatewayError> {
        let webhooks = Some(alerts::webhooks(&config.alerts)?);
        Ok(Renewed {
            webhooks,
            ..self.renewed()?
        })
    }

    /// Its metrics, for programs that push them.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Its alerts, for programs that log what becomes of them, or that serve the [router](Self::router) themselves and
    /// therefore have to [run](Alerts::run) them.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// `http` or `https`, whichever callers speak.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Everything that the gateway answers, as a router for a server of your own.
    pub fn router(&self) -> Router {
        let answers = self.answers();
        Router::new().fallback(move |request: Request| answers.clone().answer(request))
    }

    fn answers(&self) -> Answers {
        let proxy = &self.proxy;
        let limiter = proxy.limiter.clone();
        let operated = admin::Operated {
            state: proxy.state.clone(),
            limiter: proxy.limiter.clone(),
            layer: self.claiming.layer.clone(),
            calls: proxy.calls.clone(),
            metrics: self.metrics.clone(),
            statistics: self.statistics.clone(),
            since: self.since,
            minutes: self.minutes.clone(),
            recent: self.recent.clone(),
        };
        let own = admin::router(operated)
            .merge(claims::router(self.claiming.clone()))
            .route("/readyz", get(move || ready(limiter)))
            .route("/healthz", get(|| async { "ok" }));
        Answers::new(own, proxy.clone())
    }

    /// Serves until `stop` completes. Then it takes no more calls, and returns when the open ones are answered, streams
    /// included, and pending alerts are sent, which may take five seconds.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (served, ended) = oneshot::channel::<()>();
        // By itself: no webhook holds up a call.
        let telling = tokio::spawn(self.alerts.clone().run(async {
            // Dropping the other end is the word, too.
            let _ = ended.await;
        }));
        #[cfg(feature = "sqlite")]
        let pruning = self.file.clone().zip(self.retention);
        // By itself, too; it ends where this is dropped.
        #[cfg(feature = "sqlite")]
        let pruning = pruning.map(|(file, retention)| retention::begin(file, retention));
        server::serve(listener, self.answers(), self.certificate.clone(), stop).await;
        self.claiming.close();
        #[cfg(feature = "sqlite")]
        drop(pruning);
        drop(served);
        let _ = telling.await;
    }
}

/// What is recorded of calls, by these layers: where they record already, there. Teams have theirs apart.
fn recorded(layer: RateLimitLayer) -> (RateLimitLayer, Statistics) {
    let statistics = layer.recorded().cloned().unwrap_or_default();
    let of_teams = [Tag::Provider, Tag::Model, Tag::Agent, Tag::User];
    let statistics = of_teams.into_iter().fold(statistics, |statistics, tag| {
        statistics.by(&[Tag::Team, tag])
    });
    (layer.statistics(statistics.clone()), statistics)
}

/// Whether calls can be taken: the store of counts answers, and can keep what it grants.
async fn ready(limiter: Limiter) -> (StatusCode, String) {
    let asked = async {
        limiter.health().await?;
        limiter.peek(&Call::new()).await
    };
    let answer = timeout(READY_IN, asked).await;
    let not = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why);
    match answer {
        Err(_) => not("the store of counts does not answer".to_owned()),
        Ok(Err(rejection @ Rejection::StoreUnavailable(_))) => not(rejection.to_string()),
        Ok(_) => (StatusCode::OK, "ready".to_owned()),
    }
}
