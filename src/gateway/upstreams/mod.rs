//! Where calls go that have no route: which of several upstreams, and with whose credentials.

mod choose;
mod config;
mod credentials;
mod known;
mod url;

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) use choose::{Chosen, nowhere, shows_google_key};
pub use config::{BadUpstream, Unmetered, UpstreamConfig};
pub(super) use credentials::{Shown, is_query_key, show, strip, without};
pub use url::{Upstream, UpstreamError};

use self::credentials::{is_credential, strip_callers};
use crate::failover::{Auth, hide};

/// All upstreams.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstreams {
    named: Vec<Place>,
    /// Where everything goes that has no other.
    default: Option<Place>,
}

/// One upstream.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its name, and the first part of paths that lead to it; none of the one that is only an address.
    pub(super) name: Option<Arc<str>>,
    /// How limits and prices know it; where nothing is said it is known by the API that is spoken.
    pub(super) provider: Option<Arc<str>>,
    pub(super) url: Upstream,
    auth: Auth,
    /// Its key, in the form of its header; without one callers' own go to it.
    key: Option<HeaderValue>,
    /// Whether it is a provider of models, as far as its name, its `provider` or its host say.
    pub(super) is_provider: bool,
    /// Whether calls go to it that are metered by nothing but their number.
    pub(super) unmetered: Unmetered,
}

impl Upstreams {
    /// Of a configuration: those with a name, and the one that is an address alone.
    pub(super) fn of(
        named: &BTreeMap<String, UpstreamConfig>,
        bare: Option<Upstream>,
    ) -> Result<Self, BadUpstream> {
        let mut default = bare.map(Place::bare);
        let mut all = Vec::new();
        for (name, config) in named {
            let place = config.place(name)?;
            if config.default {
                let other = default.replace(place.clone());
                if let Some(other) = other {
                    return Err(BadUpstream::two_defaults(name, other.name.as_deref()));
                }
            }
            all.push(place);
        }
        if let (None, [only]) = (&default, &*all) {
            default = Some(only.clone());
        }
        Ok(Upstreams {
            named: all,
            default,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.default.is_none()
    }

    /// The headers that any of them takes its key in.
    pub(super) fn key_headers(&self) -> Vec<HeaderName> {
        let all = self.named.iter().filter(|place| place.has_key());
        all.map(|place| place.auth.name().clone()).collect()
    }

    /// In words, for whoever has come to none of them.
    pub(super) fn names(&self) -> Vec<&str> {
        let names = self.named.iter().filter_map(|place| place.name.as_deref());
        names.collect()
    }
}

impl Place {
    fn bare(url: Upstream) -> Self {
        Place {
            name: None,
            provider: None,
            is_provider: known::is_host(url.host()),
            url,
            auth: Auth::Bearer,
            key: None,
            unmetered: Unmetered::default(),
        }
    }

    /// Whose it is, as far as that is said or can be seen by where it is.
    pub(super) fn known_as(&self) -> Option<&str> {
        let host = self.url.host();
        let is_azure = host.ends_with(".openai.azure.com");
        let by_host = [("openai", host == "api.openai.com"), ("azure", is_azure)];
        let seen = by_host
            .into_iter()
            .find_map(|(name, is)| is.then_some(name));
        self.provider.as_deref().or(seen)
    }

    /// Whether it has a key of its own.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether its key is somewhere in there.
    pub(super) fn is_key_in(&self, text: &[u8]) -> bool {
        let key = self.key.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        // Its header may have a scheme in front.
        let key = key.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        !key.is_empty() && text.windows(key.len()).any(|window| window == key)
    }

    /// Puts the upstream's own credentials in place of all others, where it has some. On the way to a provider of models
    /// (`is_known`) all goes that may be one; what headers of other APIs are for, only they know.
    pub(super) fn authorize(&self, headers: &mut HeaderMap, is_known: bool) {
        if let Some(key) = &self.key {
            match is_known {
                true => hide(headers, &[]),
                false => strip_callers(headers),
            }
            headers.insert(self.auth.name().clone(), key.clone());
        }
    }

    /// Whether callers may show in a query, by this name, what its own key is there for.
    pub(super) fn takes_in_query(&self, name: &str) -> bool {
        let own = self.auth.name().as_str();
        // Google takes its keys in both.
        let is_googles = own == "x-goog-api-key" && name == "key";
        is_googles || is_credential(name) || name.eq_ignore_ascii_case(own)
    }

    /// Where an answer sends the caller, as a path of this gateway; `None` where that is no place of this upstream: who
    /// went there would take its key along.
    pub(super) fn location(&self, said: &str) -> Option<String> {
        let rest = match said.strip_prefix(&self.url.to_string()) {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest,
            Some(_) => return None,
            None => said
                .strip_prefix(self.url.base())
                .filter(|rest| rest.starts_with('/'))?,
        };
        // Two slashes begin another host, and some read what leans the other way as one.
        if rest.starts_with("//") || rest.contains('\\') {
            return None;
        }
        let name = self.name.iter().map(|name| format!("/{name}"));
        Some(name.chain([rest.to_owned()]).collect())
    }
}
