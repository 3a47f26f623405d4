//! Where alerts go.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
    uri::Scheme,
};

use super::{Alert, Kind, form, kind::Kinds};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const US: &str = concat!("tower-quota/", env!("CARGO_PKG_VERSION"));

/// A webhook, and what it is told. Its address and its headers are never shown.
#[derive(Clone, PartialEq)]
#[must_use]
pub struct Webhook {
    pub(super) name: Arc<str>,
    url: Uri,
    form: Form,
    pub(super) kinds: Kinds,
    headers: HeaderMap,
    pub(super) again_after: Duration,
    pub(super) timeout: Duration,
    pub(super) tries: u32,
    pub(super) first_wait: Duration,
}

/// The form in which a webhook takes alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// An [`Alert`] as it is.
    #[default]
    Json,
    /// A Slack message, which Mattermost, Rocket.Chat and those of Discord's addresses that end in `/slack` take too.
    Slack,
}

/// Why something is not a webhook. It does not contain what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWebhook {
    /// Its address is invalid.
    #[error("is no address of a webhook: write it as https://host/path, without a user in it")]
    Url,
    /// A header cannot be sent.
    #[error("`{0}` is no name of a header, or its value cannot be in one")]
    Header(String),
    /// A header is one that is always set here.
    #[error("`{0}` is set by itself")]
    Taken(String),
    /// No client can be made.
    #[error("no client for webhooks can be had: {0}")]
    Client(String),
}

impl Webhook {
    /// The webhook at this address. By default it takes all kinds as JSON, and is told again after an hour. An alert is
    /// sent at most eight times, each time waiting up to ten seconds for an answer; the second try is at most two
    /// seconds after the first.
    ///
    /// # Errors
    /// If that is not an address.
    pub fn new(url: &str) -> Result<Self, BadWebhook> {
        let url: Uri = url.trim().parse().map_err(|_| BadWebhook::Url)?;
        let spoken = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&url.scheme());
        let host = url
            .authority()
            .filter(|at| !at.as_str().contains('@') && !at.host().is_empty());
        if !spoken || host.is_none() {
            return Err(BadWebhook::Url);
        }
        Ok(Webhook {
            name: "webhook".into(),
            url,
            form: Form::default(),
            kinds: Kinds::of(Kind::ALL),
            headers: HeaderMap::new(),
            again_after: Duration::from_secs(3_600),
            timeout: Duration::from_secs(10),
            tries: 8,
            first_wait: Duration::from_secs(2),
        })
    }

    /// What outcomes call it; `webhook` by default.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The form in which it takes alerts.
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// It is told of these kinds only.
    pub fn on(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = Kinds::of(kinds);
        self
    }

    /// A header that is sent with each alert, such as `Authorization`.
    ///
    /// # Errors
    /// If it cannot be a header, or is `content-type`, `user-agent` or `idempotency-key`.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BadWebhook> {
        let wrong = || BadWebhook::Header(name.to_owned());
        let header = HeaderName::try_from(name).map_err(|_| wrong())?;
        if [CONTENT_TYPE, USER_AGENT, IDEMPOTENCY_KEY].contains(&header) {
            return Err(BadWebhook::Taken(header.to_string()));
        }
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        self.headers.insert(header, value);
        Ok(self)
    }

    /// After how long it is told again of what still happens and was not over in between.
    pub fn again_after(mut self, span: Duration) -> Self {
        self.again_after = span;
        self
    }

    /// How long it may take to answer.
    pub fn timeout(mut self, span: Duration) -> Self {
        self.timeout = span;
        self
    }

    /// How often an alert is sent at most; at least 1.
    pub fn tries(mut self, number: u32) -> Self {
        self.tries = number.max(1);
        self
    }

    /// The longest wait before the second try; it doubles with each further try, up to two minutes.
    pub fn first_wait(mut self, span: Duration) -> Self {
        self.first_wait = span;
        self
    }

    /// Whether it is the same, whatever it is told and however long that may take.
    pub(super) fn is_at(&self, other: &Webhook) -> bool {
        (&self.url, self.form, &self.headers) == (&other.url, other.form, &other.headers)
    }

    pub(super) fn request(&self, alert: &Alert) -> Request<Bytes> {
        let body = form::body(self.form, alert).to_string();
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(US));
        if let Ok(id) = HeaderValue::from_str(&alert.id) {
            headers.insert(IDEMPOTENCY_KEY, id);
        }
        *request.headers_mut() = headers;
        request
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_webhook_is_not_repeated_to_whoever_reads_why() {
        for wrong in [
            "",
            "hooks.example",
            "ftp://h/s3cret",
            "https://me:s3cret@h/x",
            "/s3cret",
            "https://",
            "http://h/ s3cret",
        ] {
            let error = Webhook::new(wrong).unwrap_err();
            assert_eq!(error, BadWebhook::Url, "{wrong}");
            assert!(!error.to_string().contains("s3cret"));
        }
        let good = Webhook::new("https://h/s3cret?key=s3cret").unwrap();
        let error = good.clone().header("x-token", "s3cret\n").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(good.clone().header("Content-Type", "x").is_err());
        let good = good.header("x-token", "s3cret").unwrap();
        let alert = Alert::now(Kind::Test, "a", false, "b");
        let request = good.request(&alert);
        assert!(!format!("{good:?} {:?}", request.headers()).contains("s3cret"));
        assert_eq!(request.headers()["idempotency-key"], *alert.id);
    }
}
