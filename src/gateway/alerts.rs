//! `gateway.alerts`

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use schemars::JsonSchema;
use serde::Deserialize;
use tower_service::Service as _;

use super::client::Client;
use crate::{
    alerts::{Form, Kind, Post, Webhook, causes},
    call::{ClientError, RequestBody},
    config::{ConfigError, Secret, Span},
};

/// A webhook that alerts are sent to; see [`alerts`](crate::alerts).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Its address: `"${SLACK_WEBHOOK}"`. It is never shown.
    #[schemars(with = "String", regex(pattern = r"^https?://|\$\{[A-Za-z_]"))]
    pub url: Secret,
    /// The form of its alerts: `json`, or `slack`, which other services understand too.
    #[serde(default)]
    pub form: FormName,
    /// The kinds of alerts it gets: `[circuit, spent, parked]`. Without this, all kinds.
    #[serde(default)]
    pub on: Option<Vec<KindName>>,
    /// Headers that are sent with each alert, such as `authorization`. Their values are never shown.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, Secret>,
    /// After how long it is told again of what still happens and was not over in between.
    #[serde(default = "an_hour")]
    pub again_after: Span,
    /// How long it may take to answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// How often an alert is sent at most, if the webhook cannot be reached, is busy or fails. The tries are seconds
    /// apart, later minutes.
    #[serde(default = "eight")]
    #[schemars(range(min = 1, max = 100))]
    pub tries: u32,
}

/// The form in which a webhook takes alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FormName {
    /// An object with id, kind, subject, text, is_over and at.
    #[default]
    Json,
    /// A Slack message.
    Slack,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KindName {
    /// A share of a budget is spent.
    Threshold,
    /// A budget stops calls until it is reset.
    Circuit,
    /// Calls are refused because a budget is spent.
    Spent,
    /// A target fails.
    Breaker,
    /// A key or an account is not used for a while.
    Parked,
    /// A budget will be spent before its period ends.
    Forecast,
}

fn an_hour() -> Span {
    Span::from_secs(3_600)
}

fn ten_seconds() -> Span {
    Span::from_secs(10)
}

fn eight() -> u32 {
    8
}

impl KindName {
    fn kind(self) -> Kind {
        match self {
            KindName::Threshold => Kind::Threshold,
            KindName::Circuit => Kind::Circuit,
            KindName::Spent => Kind::Spent,
            KindName::Breaker => Kind::Breaker,
            KindName::Parked => Kind::Parked,
            KindName::Forecast => Kind::Forecast,
        }
    }
}

/// The webhooks, each by the name of its place: `gateway.alerts[0]`.
pub(super) fn webhooks(configs: &[WebhookConfig]) -> Result<Vec<Webhook>, ConfigError> {
    let all = configs.iter().enumerate();
    all.map(|(at, config)| config.webhook(&format!("gateway.alerts[{at}]")))
        .collect()
}

impl WebhookConfig {
    fn webhook(&self, path: &str) -> Result<Webhook, ConfigError> {
        let wrong = |field: &str, reason: String| ConfigError::Value {
            path: format!("{path}.{field}"),
            reason,
        };
        let webhook = Webhook::new(self.url.expose());
        let mut webhook = webhook.map_err(|error| wrong("url", error.to_string()))?;
        for (name, value) in &self.headers {
            let with = webhook.header(name, value.expose());
            webhook = with.map_err(|error| wrong(&format!("headers.{name}"), error.to_string()))?;
        }
        for (field, span) in [("again_after", self.again_after), ("timeout", self.timeout)] {
            if Duration::from(span).is_zero() {
                return Err(wrong(field, "has to be longer than nothing".to_owned()));
            }
        }
        if !(1..=100).contains(&self.tries) {
            return Err(wrong("tries", "has to be from 1 to 100".to_owned()));
        }
        let webhook = match &self.on {
            None => webhook,
            Some(on) if on.is_empty() => {
                let reason = "is empty; leave it out for all, or name some";
                return Err(wrong("on", reason.to_owned()));
            }
            Some(on) => webhook.on(on.iter().map(|kind| kind.kind())),
        };
        Ok(webhook
            .named(path)
            .form(match self.form {
                FormName::Json => Form::Json,
                FormName::Slack => Form::Slack,
            })
            .again_after(self.again_after.into())
            .timeout(self.timeout.into())
            .tries(self.tries))
    }
}

/// By the client that speaks to upstreams: with its authorities, and through the proxy of the environment.
pub(super) fn post(client: Client) -> Post {
    Arc::new(move |request: Request<Bytes>| {
        let request = request.map(|body| RequestBody::new(Full::new(body)));
        let sent = client.clone().call(request);
        Box::pin(async move {
            let answer = sent
                .await
                .map_err(|error| match error.downcast_ref::<ClientError>() {
                    // It names the host itself.
                    Some(failed) => causes(&failed.source),
                    None => causes(&*error),
                })?;
            Ok(answer.map(drop))
        })
    })
}
