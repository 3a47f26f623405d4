use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    BadUpstream, GatewayError, TlsConfig, Upstream, UpstreamConfig, WebhookConfig, alerts,
    client::client, tls, upstreams::Upstreams,
};
use crate::{
    alerts::Alerts,
    call::BODY_CAP,
    config::{ConfigError, Format, RateLimiting, Root, Span, from_path, from_text, schema_of},
};

/// A configuration file of the gateway. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The limits.
    pub rate_limiting: RateLimiting,
    /// Where to listen and where to send.
    #[serde(default)]
    pub gateway: GatewayConfig,
}

/// `gateway:`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// The address to listen on: `127.0.0.1:8080`, which is the default. Port 0 is any free one.
    #[schemars(with = "String", regex(pattern = r":[0-9]+$|\$\{[A-Za-z_]"))]
    pub listen: SocketAddr,
    /// Where calls go that have neither a route nor an upstream with a name. There is no default: callers' keys go there
    /// with them. It may be left out where there are routes, or upstreams with names.
    #[schemars(with = "Option<String>", regex(pattern = r"^https?://|\$\{[A-Za-z_]"))]
    pub upstream: Option<Upstream>,
    /// Upstreams with names. A call goes to the one whose name its path begins with, else to the one whose API it speaks
    /// (`openai`, `anthropic`, `gemini`, `cohere`), else to the one that is `default`.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// The file of what operators make while the gateway runs: keys for callers, pauses, other amounts of budgets. Where it
    /// is named, callers need a key; where not, only programs of this machine can call.
    pub state: Option<PathBuf>,
    /// The certificate that callers see; without it they speak plain HTTP.
    pub tls: Option<TlsConfig>,
    /// How long a stream that waits for room is silent: then comments begin, one in each such span, so that neither the
    /// caller nor a proxy between takes it for dead. Its status is told by then: a refusal that comes later is its last
    /// event. `0s`: no comments.
    pub heartbeat: Span,
    /// How long `tower-quota serve` waits for open calls when it is to end: what is open longer is cut off, and counts as
    /// reserved. Whoever sends the signal should be as patient: Docker kills after ten seconds where it is told nothing else.
    pub drain: Span,
    /// How much memory the bodies of calls may take that are here, all together, in MiB: each is kept until its call is
    /// answered, as it may have to be sent again. Calls beyond that are refused with 503, and come again: of 60 KB each some
    /// 17 000 can wait in what is the default, 1024. One counts as its caller sends it, from when it says how long it is, where
    /// less than half is taken; one that is rewritten for its target is there twice. At least 32, which is the longest body of one call.
    #[serde(deserialize_with = "body_memory")]
    #[schemars(range(min = 32))]
    pub body_memory_mib: u32,
    /// What `/metrics` shows.
    pub metrics: MetricsConfig,
    /// The webhooks that alerts go to: what happens to budgets, targets and keys. They may be others when the configuration is
    /// read again.
    pub alerts: Vec<WebhookConfig>,
    /// A PEM file of authorities by which upstreams are trusted, beside those that browsers trust.
    pub authorities: Option<PathBuf>,
}

/// `gateway.metrics`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// The tags of callers that are labels: `[team, agent]`. Each has at most 500 values, others are counted together. `run`
    /// never is one.
    pub tags: Vec<String>,
}

fn body_memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let mib = u32::deserialize(deserializer)?;
    match mib as usize >= BODY_CAP >> 20 {
        true => Ok(mib),
        false => Err(D::Error::custom(format!(
            "{mib} MiB are less than the longest body of one call: give it 32 at least"
        ))),
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            upstream: None,
            upstreams: BTreeMap::new(),
            state: None,
            tls: None,
            heartbeat: Span::from_secs(15),
            drain: Span::from_secs(600),
            body_memory_mib: 1_024,
            metrics: MetricsConfig::default(),
            alerts: Vec::new(),
            authorities: None,
        }
    }
}

impl Config {
    /// Reads a file in the format that its ending names: `.yaml`, `.yml`, `.json` or `.toml`.
    ///
    /// # Errors
    /// [`ConfigError::File`] where it cannot be read, or has another ending; else as [`from_yaml`](Self::from_yaml).
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        from_path(path.as_ref())
    }

    /// As [`from_path`](Self::from_path), where nothing will be sent, as in a simulation: a key may name a variable of the
    /// environment that is not set or empty.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "simulate")]
    pub fn from_path_without_keys(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        crate::config::from_path_without_keys(path.as_ref())
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], with line and column. Limits are checked by
    /// [`RateLimiting::build`].
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Yaml, |name| std::env::var(name).ok())
    }

    /// Reads JSON. Keys and values are those of YAML.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Json, |name| std::env::var(name).ok())
    }

    /// Reads TOML. Keys and values are those of YAML.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Toml, |name| std::env::var(name).ok())
    }

    /// Reads text in this format, with these variables in place of the environment's.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_text(
        text: &str,
        format: Format,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        from_text(text, format, &environment)
    }
}

impl GatewayConfig {
    /// Checks what reading it does not: [`Gateway::new`](super::Gateway::new) does it too, and reads its files.
    ///
    /// # Errors
    /// The first value that makes no sense, with its path.
    pub fn check(&self) -> Result<(), ConfigError> {
        let upstreams = Upstreams::of(&self.upstreams, self.upstream.clone());
        let checked = upstreams.map(drop);
        checked.map_err(|BadUpstream { path, reason }| ConfigError::Value { path, reason })?;
        alerts::webhooks(&self.alerts).map(drop)
    }

    /// The same but for what may be another when it is read again.
    #[must_use]
    pub fn fixed(&self) -> GatewayConfig {
        GatewayConfig {
            alerts: Vec::new(),
            ..self.clone()
        }
    }
}

impl GatewayConfig {
    /// Its webhooks, for whoever wants to [test](Alerts::test) them.
    ///
    /// # Errors
    /// Where one makes no sense, or the authorities cannot be read.
    pub fn webhooks(&self) -> Result<Alerts, GatewayError> {
        let client = client(tls::client(self.authorities.as_deref())?);
        let webhooks = alerts::webhooks(&self.alerts)?;
        Ok(Alerts::sent_by(alerts::post(client), webhooks))
    }
}

impl Config {
    /// The JSON Schema (draft 2020-12) of a file.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schema_of::<Self>()
    }
}

impl Root for Config {
    fn rate_limiting(&mut self) -> &mut RateLimiting {
        &mut self.rate_limiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_block_may_be_left_out() {
        let config = Config::from_yaml("rate_limiting: { global: { rpm: 60 } }").unwrap();
        assert_eq!(config.gateway.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.gateway.upstream, None);
    }

    #[test]
    fn what_does_not_belong_there_is_named_with_its_line() {
        for (wrong, word) in [
            (
                "rate_limiting: {}\ngateway:\n  upsteam: http://x",
                "upsteam",
            ),
            (
                "rate_limiting: {}\ngateway:\n  upstream: ftp://x",
                "ftp://x",
            ),
            (
                "rate_limiting: {}\ngateway:\n  listen: localhost",
                "socket address",
            ),
            (
                "rate_limiting: {}\ngateway:\n  body_memory_mib: 31",
                "32 at least",
            ),
        ] {
            let error = Config::from_yaml(wrong).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(error.contains("line 3"), "{error}");
        }
    }

    #[test]
    fn a_gateway_without_limits_has_to_say_so() {
        let error = Config::from_yaml("gateway: { upstream: http://x }").unwrap_err();
        assert!(error.to_string().contains("rate_limiting"), "{error}");
    }
}
