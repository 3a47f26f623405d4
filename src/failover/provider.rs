//! Where calls can go: a provider's address and its keys.

use std::{fmt, sync::Arc};

use http::{
    HeaderName, Uri,
    header::AUTHORIZATION,
    uri::{Authority, Scheme},
};

use super::{ApiKey, RouteError};

/// A provider, or another account or region of one: where its API is, how it takes keys, and which keys there are.
///
/// ```
/// use tower_quota::failover::{ApiKey, Pool, Provider};
///
/// let openai = Provider::new("openai", "https://api.openai.com/v1")?
///     .key(ApiKey::new("team-a", "sk-a")?.weight(3))
///     .key(ApiKey::new("team-b", "sk-b")?)
///     .pool(Pool::Weighted);
/// # Ok::<(), tower_quota::failover::RouteError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Provider {
    pub(super) name: Arc<str>,
    pub(super) base: Base,
    pub(super) auth: Auth,
    pub(super) keys: Vec<ApiKey>,
    pub(super) pool: Pool,
    /// What its targets have in place of a key's label where it has no keys.
    pub(super) label: Option<Arc<str>>,
}

/// A base URL, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Empty, or with a slash before and none behind.
    pub(super) path: String,
    /// What goes into every query: Azure's `api-version`.
    pub(super) query: Option<String>,
}

/// How a provider takes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// As `Authorization: Bearer …`, as most do.
    Bearer,
    /// In a header of its own: `x-api-key`, `api-key`, `x-goog-api-key`.
    Header(HeaderName),
}

/// The order in which the keys of a provider are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pool {
    /// As they were given: the first, as long as it can be used.
    #[default]
    Ordered,
    /// Each is first in turn.
    RoundRobin,
    /// Each is first as often as its weight says.
    Weighted,
    /// The key with the most room left under the limits of the [watched](super::FailoverLayer::watch) limiter is first.
    MostHeadroom,
}

impl Provider {
    /// Creates a provider from the name that limits and prices have for it (`openai`, `anthropic`, `azure`) and its
    /// base URL, as its SDK is given it.
    ///
    /// Examples of base URLs are `https://api.openai.com/v1`, `https://api.anthropic.com/v1`,
    /// `https://generativelanguage.googleapis.com/v1beta`, and Azure's
    /// `https://mine.openai.azure.com/openai/deployments/mine?api-version=2026-10-01`. The name decides how keys are
    /// sent: to `anthropic` in `x-api-key`, to `azure` in `api-key`, to `gemini` in `x-goog-api-key`, to all others as
    /// `Bearer`.
    ///
    /// # Errors
    /// If the name is empty, or the URL is not a base URL.
    pub fn new(name: impl Into<Arc<str>>, base_url: &str) -> Result<Self, RouteError> {
        let name = name.into();
        if name.is_empty() {
            return Err(RouteError::Provider {
                name: String::new(),
                reason: "it has no name; limits and prices know it by `openai`, `anthropic`, …"
                    .to_owned(),
            });
        }
        let base = Base::read(base_url).map_err(|reason| RouteError::Provider {
            name: name.to_string(),
            reason,
        })?;
        let auth = match &*name {
            "anthropic" => Auth::Header(HeaderName::from_static("x-api-key")),
            "azure" => Auth::Header(HeaderName::from_static("api-key")),
            "gemini" => Auth::Header(HeaderName::from_static("x-goog-api-key")),
            _ => Auth::Bearer,
        };
        Ok(Provider {
            name,
            base,
            auth,
            keys: Vec::new(),
            pool: Pool::Ordered,
            label: None,
        })
    }

    /// Adds a key. If there is none, calls that came for exactly this address keep their own credentials, and all
    /// others are sent without any, as to a server of one's own.
    pub fn key(mut self, key: ApiKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets what tells the provider from others of its name if it has no keys: its targets have this as their tag `api_key`,
    /// though no key is sent. Without a label, the limits and the told waits of one model are the same for all of these
    /// providers. An empty label is none.
    ///
    /// ```
    /// use tower_quota::failover::Provider;
    ///
    /// let east = Provider::new("vllm", "http://east:8000/v1")?.label("east");
    /// let west = Provider::new("vllm", "http://west:8000/v1")?.label("west");
    /// # Ok::<(), tower_quota::failover::RouteError>(())
    /// ```
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        let label = label.into();
        self.label = (!label.is_empty()).then_some(label);
        self
    }

    /// Sets how the provider takes its keys, if its name does not say.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the order in which its keys are tried.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Base {
    fn read(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            // Not repeated: there may be a password in it.
            return Err("its base URL names a user; a key belongs into `key`".to_owned());
        }
        // Without its query, which some put a key into.
        let shown = text.split(['?', '#']).next().unwrap_or_default();
        let wrong = |reason: &str| {
            format!("`{shown}` {reason}; write its base URL as https://api.openai.com/v1")
        };
        if text.contains('#') {
            return Err(wrong("has a fragment"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|error| wrong(&format!("is no URL ({error})")))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong("lacks http:// or https:// at its beginning"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("is neither http:// nor https://"));
        }
        let (path, query) = match &parts.path_and_query {
            Some(rest) => (rest.path(), rest.query()),
            None => ("", None),
        };
        Ok(Base {
            scheme,
            authority,
            path: path.trim_end_matches('/').to_owned(),
            query: query.filter(|query| !query.is_empty()).map(str::to_owned),
        })
    }

    /// Whether a call to this address comes here: several may share a host, and be told apart by its paths.
    pub(super) fn is_origin_of(&self, uri: &Uri) -> bool {
        let rest = uri.path().strip_prefix(self.path.as_str());
        uri.scheme() == Some(&self.scheme)
            && uri.authority() == Some(&self.authority)
            && rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

impl Base {
    /// Whether this is the very URL of the API with this end here, with nothing asked besides.
    pub(super) fn is_address_of(&self, uri: &Uri, end: &str) -> bool {
        let rest = uri.path().strip_prefix(self.path.as_str());
        rest == Some(end)
            && self.query.is_none()
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| {
                // As a rule letter by letter; in whatever case it is the same.
                authority.as_str() == self.authority.as_str() || *authority == self.authority
            })
            && uri.scheme() == Some(&self.scheme)
    }
}

impl Auth {
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Auth::Bearer => &AUTHORIZATION,
            Auth::Header(name) => name,
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Auth::Bearer => "Bearer ",
            Auth::Header(_) => "",
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base {
            scheme,
            authority,
            path,
            ..
        } = &self.base;
        f.debug_struct("Provider")
            .field("name", &self.name)
            // Without its query, which some put a key into.
            .field("base", &format_args!("{scheme}://{authority}{path}"))
            .field("keys", &self.keys)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
