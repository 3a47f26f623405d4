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
use crate::failover::{ApiKey, Auth, hide, shows};

/// Whose APIs know Google's parameters.
const GOOGLE: [&str; 4] = ["gemini", "google", "vertex", "vertex_ai"];

/// All upstreams.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstreams {
    named: Vec<Place>,
    /// Where everything goes that has no other.
    default: Option<Place>,
    /// The keys that targets of routes are sent.
    routed_keys: Arc<[ApiKey]>,
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
            routed_keys: Arc::default(),
        })
    }

    /// The same where calls go to targets of routes as well, with these keys.
    pub(super) fn beside_routes<'k>(self, keys: impl Iterator<Item = &'k ApiKey>) -> Self {
        let routed_keys = keys.cloned().collect();
        Upstreams {
            routed_keys,
            ..self
        }
    }

    pub(super) fn routed_keys(&self) -> &Arc<[ApiKey]> {
        &self.routed_keys
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

    /// Whether it is Google's, or what is there passes for it.
    pub(super) fn is_googles(&self) -> bool {
        let named = [self.name.as_deref(), self.provider.as_deref()];
        let mut named = named.into_iter().flatten();
        named.any(|name| GOOGLE.contains(&name)) || known::is_googles(self.url.host())
    }

    /// Its key, without the scheme that its header may have in front.
    fn secret(&self) -> &[u8] {
        let key = self.key.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        key.rsplit(|byte| *byte == b' ').next().unwrap_or_default()
    }

    /// Whether its key is somewhere in there, though it be a mere word.
    pub(super) fn is_key_in(&self, text: &[u8]) -> bool {
        let key = self.secret();
        !key.is_empty() && text.windows(key.len()).any(|window| window == key)
    }

    /// Whether its key is somewhere in there, where that is a secret.
    pub(super) fn is_secret_in(&self, text: &[u8]) -> bool {
        shows(text, self.secret())
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
        // Two slashes begin another host, some read what leans the other way as one, and browsers leave out what is in between and
        // cannot be seen.
        let is_unseen = |byte: u8| byte.is_ascii_control();
        if rest.starts_with("//") || rest.contains('\\') || rest.bytes().any(is_unseen) {
            return None;
        }
        let name = self.name.iter().map(|name| format!("/{name}"));
        Some(name.chain([rest.to_owned()]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, url: &str, provider: Option<&str>) -> Place {
        let config = UpstreamConfig {
            url: Some(url.parse().unwrap()),
            provider: provider.map(str::to_owned),
            ..UpstreamConfig::default()
        };
        config.place(name).unwrap()
    }

    #[test]
    fn an_answer_sends_nobody_to_another_host() {
        let bare = Place::bare("http://up".parse().unwrap());
        let under = place("mine", "http://up/base", None);
        for (said, of_bare, of_named) in [
            ("/a?b", Some("/a?b"), None),
            ("/base/a", Some("/base/a"), Some("/mine/a")),
            ("http://up/base/a", Some("/base/a"), Some("/mine/a")),
            ("//evil.example", None, None),
            ("/\\evil.example", None, None),
            ("/\t/evil.example", None, None),
            ("/base\t//evil.example", None, None),
            ("/base/\t/evil.example", None, None),
            ("/base/a\u{7f}b", None, None),
            ("https://evil.example", None, None),
            ("http://up.evil.example", None, None),
            ("", None, None),
        ] {
            assert_eq!(bare.location(said).as_deref(), of_bare, "{said:?}");
            assert_eq!(under.location(said).as_deref(), of_named, "{said:?}");
        }
    }

    #[test]
    fn google_is_known_by_name_by_provider_and_by_host() {
        for (name, url, provider, is) in [
            ("gemini", "http://up", None, true),
            ("mine", "http://up", Some("vertex_ai"), true),
            ("mine", "https://x.googleapis.com", None, true),
            ("openai", "http://up", None, false),
            ("mine", "http://up", Some("openai"), false),
        ] {
            assert_eq!(place(name, url, provider).is_googles(), is, "{name} {url}");
        }
    }
}
