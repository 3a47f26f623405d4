use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::Upstream;
use crate::config::{ConfigError, RateLimiting, from_yaml};

/// A configuration file of the gateway. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// The address to listen on: `127.0.0.1:8080`, which is the default. Port 0 is any free one.
    pub listen: SocketAddr,
    /// Where calls go. There is no default: callers' keys go there with them.
    pub upstream: Option<Upstream>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            upstream: None,
        }
    }
}

impl Config {
    /// Reads YAML, and so JSON, which is YAML as well.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], with line and column. Limits are checked by
    /// [`RateLimiting::build`].
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        from_yaml(text)
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
