use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    BadUpstream, GatewayError, RetentionConfig, TlsConfig, Upstream, UpstreamConfig, WebhookConfig,
    alerts, client::client, tls, upstreams::Upstreams,
};
use crate::{
    alerts::Alerts,
    call::BODY_CAP,
    config::{ConfigError, Format, RateLimiting, Root, Span, from_path, from_text, schema_of},
    store::StoreSetting,
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
    /// The address to listen on: `127.0.0.1:8080`, which is the default. Port 0 means any free port.
    #[schemars(with = "String", regex(pattern = r":[0-9]+$|\$\{[A-Za-z_]"))]
    pub listen: SocketAddr,
    /// The upstream for calls that have neither a route nor a named upstream. There is no default, because the callers'
    /// keys are sent there. It may be left out if there are routes or named upstreams.
    #[schemars(with = "Option<String>", regex(pattern = r"^https?://|\$\{[A-Za-z_]"))]
    pub upstream: Option<Upstream>,
    /// Named upstreams. A call goes to the one whose name its path begins with, else to the one whose API it speaks
    /// (`openai`, `anthropic`, `gemini`, `cohere`), else to the one that is `default`.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// The file that keeps the callers' keys, which operators make while the gateway runs. If it is set, callers need a
    /// key; otherwise only programs on this machine can call.
    pub state: Option<PathBuf>,
    /// The certificate that callers see; without one, they speak plain HTTP.
    pub tls: Option<TlsConfig>,
    /// How long a stream that waits for room stays silent. After that, a comment is sent in each such span, so that
    /// neither the caller nor a proxy in between takes it for dead. By then its status has been sent, so a refusal that
    /// comes later is its last event. Only for OpenAI's and Anthropic's APIs. `0s`: no comments.
    pub heartbeat: Span,
    /// How long `tower-quota serve` waits for open calls when it is told to end. What is still open after that is cut
    /// off, and counts as reserved. Whoever sends the signal should be as patient: Docker kills after ten seconds
    /// unless told otherwise.
    pub drain: Span,
    /// How long an upstream may take until its answer begins, from when a call is sent, connecting included; how long the answer
    /// takes is not bounded, nor is anything where a body of more than 32 MB, or of no known length, is passed on as it comes. After that the connection
    /// is closed and the attempt has failed: it counts as reserved, because it may be billed, and is not repeated at the same
    /// upstream. Routes go on to the next target if they repeat what is uncertain, and a target that fails often is passed
    /// over. The default, `15m`, is longer than the official SDKs wait for an answer. `0s`: as long as it likes.
    pub answers_within: Span,
    /// How much memory the bodies of all calls together may take, in MiB. Each body is kept until its call is answered,
    /// because it may have to be sent again. Calls for whose body there is no room are refused with 503, to come again
    /// later: with the default, 1024, some 17 000 calls of 60 KB each can wait. A body counts with the length in which
    /// its caller sends it; one that is rewritten for its target is in memory twice. It counts as soon as its length is
    /// declared, if that leaves half of the memory free, else as it arrives. At least 32, which is the longest body of
    /// one call. Where callers have keys, the calls of one key may take all but 32 while no other key has any, and half
    /// of it beside others, but never less than 32: the rest is for others.
    #[serde(deserialize_with = "body_memory")]
    #[schemars(range(min = 32))]
    pub body_memory_mib: u32,
    /// What `/metrics` shows.
    pub metrics: MetricsConfig,
    /// The webhooks that are told what happens to budgets, targets and keys. They may change when the configuration is
    /// read again.
    pub alerts: Vec<WebhookConfig>,
    /// How long the ledger is kept, if counts are in a file. Without this, it is kept forever.
    pub retention: Option<RetentionConfig>,
    /// A PEM file of authorities to trust for upstreams, in addition to those that browsers trust.
    pub authorities: Option<PathBuf>,
}

/// `gateway.metrics`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// The callers' tags that become labels: `[team, agent]`. Each label has at most 500 values; further ones are
    /// counted together. `run` is never a label.
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
            answers_within: Span::from_secs(900),
            body_memory_mib: 1_024,
            metrics: MetricsConfig::default(),
            alerts: Vec::new(),
            retention: None,
            authorities: None,
        }
    }
}

impl Config {
    /// Reads a file in the format that its ending names: `.yaml`, `.yml`, `.json` or `.toml`.
    ///
    /// # Errors
    /// [`ConfigError::File`] if it cannot be read or has another ending; otherwise as [`from_yaml`](Self::from_yaml).
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        from_path(path.as_ref())
    }

    /// Like [`from_path`](Self::from_path), for when nothing will be sent, as in a simulation: a key may name an
    /// environment variable that is unset or empty.
    ///
    /// # Errors
    /// As [`from_path`](Self::from_path).
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

    /// Reads JSON. Keys and values are the same as in YAML.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Json, |name| std::env::var(name).ok())
    }

    /// Reads TOML. Keys and values are the same as in YAML.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, Format::Toml, |name| std::env::var(name).ok())
    }

    /// Reads text in this format, taking variables from `environment` instead of the process's environment.
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
    /// Checks what reading it does not check. [`Gateway::new`](super::Gateway::new) does so too, and also reads its
    /// files.
    ///
    /// # Errors
    /// The first invalid value, with its path.
    pub fn check(&self) -> Result<(), ConfigError> {
        let upstreams = Upstreams::of(&self.upstreams, self.upstream.clone());
        let checked = upstreams.map(drop);
        checked.map_err(|BadUpstream { path, reason }| ConfigError::Value { path, reason })?;
        alerts::webhooks(&self.alerts)?;
        self.retention.map_or(Ok(()), |retention| retention.check())
    }

    /// Checks what depends on where counts are kept.
    ///
    /// # Errors
    /// If there is a [`retention`](Self::retention), and this store has no ledger.
    pub fn check_store(&self, store: &StoreSetting) -> Result<(), ConfigError> {
        match self.retention {
            Some(_) => RetentionConfig::check_store(store),
            None => Ok(()),
        }
    }

    /// This configuration without the parts that may change when it is read again.
    #[must_use]
    pub fn fixed(&self) -> GatewayConfig {
        GatewayConfig {
            alerts: Vec::new(),
            ..self.clone()
        }
    }
}

impl GatewayConfig {
    /// Its webhooks, for programs that want to [test](Alerts::test) them.
    ///
    /// # Errors
    /// If one is invalid, or the authorities cannot be read.
    pub fn webhooks(&self) -> Result<Alerts, GatewayError> {
        let client = client(tls::client(self.authorities.as_deref())?, None);
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

    fn providers(&self) -> Vec<String> {
        let upstreams = self.gateway.upstreams.iter();
        let names = upstreams.flat_map(|(name, upstream)| [Some(name), upstream.provider.as_ref()]);
        names.flatten().cloned().collect()
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
