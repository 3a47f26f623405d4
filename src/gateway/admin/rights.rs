//! Who asks, and what that one may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{
    super::{
        state::keys::{Key, Role, TOKEN_PREFIX},
        upstreams::show,
    },
    Operated,
    problem::Problem,
};
use crate::store::Reason;

/// Somebody who may look at everything. Nobody in particular, where there are no keys: only programs of this machine can
/// ask then.
pub(super) struct Viewer;

/// Somebody who may change things.
pub(super) struct Admin(Arc<Key>);

impl Admin {
    /// Why something is done, and that it is this one who does it.
    pub(super) fn because(&self, why: Option<String>) -> Reason {
        Reason::new(why.unwrap_or_default()).by(self.0.name.as_str())
    }
}

pub(super) fn key(parts: &mut Parts, operated: &Operated) -> Result<Option<Arc<Key>>, Problem> {
    let Some(state) = &operated.state else {
        return Ok(None);
    };
    let shown = show(&mut parts.headers, &parts.uri, TOKEN_PREFIX).ok_or(Problem::NoKey)?;
    Ok(Some(state.key_of(&shown.token)?))
}

pub(super) fn at_least(
    key: Arc<Key>,
    role: Role,
    wanted: &'static str,
) -> Result<Arc<Key>, Problem> {
    if key.role < role {
        let name = key.name.clone();
        return Err(Problem::NoRight { name, wanted });
    }
    Ok(key)
}

impl FromRequestParts<Arc<Operated>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        operated: &Arc<Operated>,
    ) -> Result<Self, Problem> {
        if let Some(key) = key(parts, operated)? {
            let key = at_least(key, Role::Viewer, "viewer")?;
            if key.role == Role::Viewer && !key.tags.is_empty() {
                return Err(Problem::OwnOnly(key.name.clone()));
            }
        }
        Ok(Viewer)
    }
}

impl FromRequestParts<Arc<Operated>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        operated: &Arc<Operated>,
    ) -> Result<Self, Problem> {
        let key = key(parts, operated)?.ok_or(Problem::Unkeyed)?;
        Ok(Admin(at_least(key, Role::Admin, "admin")?))
    }
}
