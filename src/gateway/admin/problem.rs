//! Answers that are errors.

use axum::{
    body::Body,
    extract::rejection::{JsonRejection, QueryRejection},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};

use super::super::state::{StateError, keys::BadKey};
use crate::{
    body::tell_help,
    error::{StoreError, help::kind},
    limit::LimitError,
    limiter::ChangeError,
    wire::{Dialect, error_body},
};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("show a key of this gateway, as `Authorization: Bearer tq-…`")]
    NoKey,
    #[error(transparent)]
    Key(#[from] super::super::state::keys::NotTaken),
    #[error("the key `{name}` may not do this: it wants the role {wanted}")]
    NoRight { name: String, wanted: &'static str },
    #[error(
        "the key `{0}` sees what has its tags, and this has none: it wants a viewer's key without tags, or an admin's"
    )]
    OwnOnly(String),
    #[error(
        "nobody can do this as long as there are no keys: name a file for them as gateway.state, and make the first with `tower-quota admin --state FILE key create NAME --role admin`"
    )]
    Unkeyed,
    #[error("there is nothing under this path; see the documentation of /quota/")]
    Unknown,
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it is done, but could not be noted in the audit log: {0}")]
    NotNoted(StoreError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error("there is nothing to end: it is not so that {0}")]
    NotPaused(String),
    #[error("there is nothing to take back: no target with {0} is parked")]
    NotParked(String),
    #[error("no call {0} is open")]
    NotOpen(u64),
    #[error("no call {0} is open, or was over lately")]
    Forgotten(u64),
    #[error("`{0}` is no tag and value, as in ?tag=team=blue")]
    Tag(String),
    #[error("{0}")]
    Body(String),
}

impl Problem {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Problem::NoKey | Problem::Key(_) => {
                (StatusCode::UNAUTHORIZED, kind!("invalid_api_key"))
            }
            Problem::NoRight { .. } | Problem::OwnOnly(_) | Problem::Unkeyed => {
                (StatusCode::FORBIDDEN, kind!("not_allowed"))
            }
            Problem::Change(ChangeError::Limits(LimitError::Unknown { .. }))
            | Problem::NotPaused(_)
            | Problem::NotParked(_)
            | Problem::NotOpen(_)
            | Problem::Forgotten(_)
            | Problem::Unknown
            | Problem::State(StateError::Key(BadKey::Unknown(_))) => {
                (StatusCode::NOT_FOUND, kind!("not_found"))
            }
            Problem::State(StateError::Key(BadKey::Taken(_))) => {
                (StatusCode::CONFLICT, kind!("taken"))
            }
            Problem::State(StateError::Key(_))
            | Problem::Body(_)
            | Problem::Tag(_)
            | Problem::Change(ChangeError::Limits(_)) => {
                (StatusCode::BAD_REQUEST, kind!("bad_request"))
            }
            Problem::Change(_) | Problem::State(_) | Problem::Store(_) | Problem::NotNoted(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, kind!("not_done"))
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind) = self.status();
        let (content_type, body) = error_body(Dialect::Generic, kind, status, &self.to_string());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        tell_help(response.headers_mut(), kind);
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Problem::Body(rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::Body(rejection.body_text())
    }
}

/// Nothing of ours: it would be an upstream's otherwise, and a misspelt command is none.
pub(super) async fn unknown() -> Problem {
    Problem::Unknown
}
