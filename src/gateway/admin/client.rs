//! Asks a gateway that runs.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
    uri::PathAndQuery,
};
use http_body_util::{BodyExt as _, Full, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::timeout;
use tower_service::Service as _;

use super::super::{
    TlsError, Upstream,
    client::{Client, client},
    tls,
};
use crate::call::RequestBody;

/// What a gateway says is no longer.
const ANSWER_CAP: usize = 64 << 20;

/// Longer it does not take, with all of it.
const ANSWER_IN: Duration = Duration::from_secs(30);

/// Asks a gateway for what is under `/quota/`; see the [module](super) for what there is.
#[derive(Clone, Debug)]
pub struct AdminClient {
    client: Client,
    at: Upstream,
    key: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The gateway refuses.
    #[error("{detail}")]
    Refused {
        /// With this status.
        status: u16,
        /// In its words.
        detail: String,
    },
    /// It was not reached, or what answered is not a gateway.
    #[error("no gateway answers at {at}: {reason}")]
    NoGateway {
        /// Where.
        at: String,
        /// Why not.
        reason: String,
    },
}

impl AdminClient {
    /// A client for the gateway at this address, with this key. `authorities` is a PEM file of authorities to trust for
    /// its certificate, in addition to those that browsers trust.
    ///
    /// # Errors
    /// If the file cannot be read. A key that cannot be put into a header is treated as none.
    pub fn new(
        at: Upstream,
        key: Option<&SecretString>,
        authorities: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let key = key.and_then(|key| {
            let text = format!("Bearer {}", key.expose_secret());
            let mut value = HeaderValue::try_from(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let client = client(tls::client(authorities)?, None);
        Ok(AdminClient { client, at, key })
    }

    /// Asks for a path under `/quota/`, with or without a body.
    ///
    /// # Errors
    /// [`AdminError`] says why there is no answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AdminError> {
        let no_gateway = |reason: String| AdminError::NoGateway {
            at: self.at.to_string(),
            reason,
        };
        let uri = PathAndQuery::try_from(path).ok();
        let uri: Uri = uri
            .and_then(|path| self.at.uri(&path))
            .ok_or_else(|| no_gateway(format!("`{path}` is no path")))?;
        let bytes = body.map(|body| Bytes::from(body.to_string()));
        let mut request = Request::new(RequestBody::new(Full::new(bytes.unwrap_or_default())));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = &self.key {
            headers.insert(AUTHORIZATION, key.clone());
        }
        let answered = async {
            let answer = self.client.clone().call(request).await;
            let answer = answer.map_err(|error| said(&*error))?;
            let status = answer.status();
            let text = Limited::new(answer.into_body(), ANSWER_CAP).collect().await;
            let text = text.map_err(|error| error.to_string())?;
            Ok::<_, String>((status, text.to_bytes()))
        };
        let answered = timeout(ANSWER_IN, answered).await;
        let answered = answered.unwrap_or_else(|_| Err("it does not answer in time".to_owned()));
        let (status, text) = answered.map_err(no_gateway)?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if !value.is_object() {
            return Err(no_gateway(format!(
                "the answer is {status}, and no object in JSON"
            )));
        }
        if status.is_success() {
            return Ok(value);
        }
        match value["detail"].as_str() {
            Some(detail) => Err(AdminError::Refused {
                status: status.as_u16(),
                detail: detail.to_owned(),
            }),
            None => Err(no_gateway(format!("the answer is {status}"))),
        }
    }
}

/// An error with its causes.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
