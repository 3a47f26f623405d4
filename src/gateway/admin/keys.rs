//! `/quota/keys`

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use http::StatusCode;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    super::state::{
        self,
        keys::{Claimable, Key, KeyState, NewKey, Role},
    },
    Operated,
    problem::Problem,
    rights::Admin,
};
use crate::{
    store::{Note, Reason},
    tags::Tag,
};

/// A key as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownKey {
    name: String,
    role: Role,
    state: KeyState,
    tags: BTreeMap<Tag, String>,
    may: BTreeMap<Tag, Vec<Claimable>>,
    max_priority: i32,
    expires: Option<Timestamp>,
    created: Timestamp,
}

impl ShownKey {
    fn of(key: Key) -> Self {
        ShownKey {
            state: key.state_now(),
            name: key.name,
            role: key.role,
            tags: key.tags,
            may: key.may,
            max_priority: key.max_priority,
            expires: key.expires,
            created: key.created,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Keys {
    keys: Vec<ShownKey>,
}

#[derive(Serialize)]
pub(super) struct Made {
    #[serde(flatten)]
    key: ShownKey,
    /// It is nowhere else.
    token: String,
}

/// What is said with any change.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Why {
    pub(super) why: Option<String>,
}

impl Why {
    fn deserialize_text(why: Value) -> Result<String, Problem> {
        let text = String::deserialize(why);
        text.map_err(|error| Problem::Body(format!("why: {error}")))
    }
}

impl Operated {
    fn keys(&self) -> Result<&state::State, Problem> {
        self.state.as_ref().ok_or(Problem::Unkeyed)
    }

    pub(super) async fn note(&self, note: Note, reason: Reason) -> Result<(), Problem> {
        let noted = self.limiter.note(note, reason).await;
        noted.map_err(Problem::NotNoted)
    }
}

pub(super) async fn list(
    _: Admin,
    State(operated): State<Arc<Operated>>,
) -> Result<Json<Keys>, Problem> {
    let keys = operated.keys()?.keys();
    Ok(Json(Keys {
        keys: keys.into_iter().map(ShownKey::of).collect(),
    }))
}

pub(super) async fn make(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    body: Result<Json<Map<String, Value>>, JsonRejection>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    let Json(mut said) = body?;
    let why = said.remove("why").map(Why::deserialize_text).transpose()?;
    let key: NewKey = serde_json::from_value(Value::Object(said))
        .map_err(|error| Problem::Body(error.to_string()))?;
    let state = operated.keys()?.clone();
    let (key, token) = in_file(move || state.make_key(key)).await?;
    let note = Note::new("key", key.name.as_str()).now(role_of(&key));
    operated.note(note, admin.because(why)).await?;
    let made = Made {
        key: ShownKey::of(key),
        token: token.expose_secret().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn disable(
    admin: Admin,
    operated: State<Arc<Operated>>,
    name: Path<String>,
    why: Option<Json<Why>>,
) -> Result<Json<ShownKey>, Problem> {
    set(admin, (operated, name), why, true).await
}

pub(super) async fn enable(
    admin: Admin,
    operated: State<Arc<Operated>>,
    name: Path<String>,
    why: Option<Json<Why>>,
) -> Result<Json<ShownKey>, Problem> {
    set(admin, (operated, name), why, false).await
}

async fn set(
    admin: Admin,
    (State(operated), Path(name)): (State<Arc<Operated>>, Path<String>),
    why: Option<Json<Why>>,
    disabled: bool,
) -> Result<Json<ShownKey>, Problem> {
    let state = operated.keys()?.clone();
    let (key, was) = in_file({
        let name = name.clone();
        move || state.disable_key(&name, disabled)
    })
    .await?;
    let word = |disabled| if disabled { "disabled" } else { "enabled" };
    let note = Note::new("key", name).was(word(was)).now(word(disabled));
    let Json(Why { why }) = why.unwrap_or_default();
    operated.note(note, admin.because(why)).await?;
    Ok(Json(ShownKey::of(key)))
}

pub(super) async fn delete(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    Path(name): Path<String>,
    why: Option<Json<Why>>,
) -> Result<Json<ShownKey>, Problem> {
    let state = operated.keys()?.clone();
    let key = in_file(move || state.delete_key(&name)).await?;
    let note = Note::new("key", key.name.as_str()).was(role_of(&key));
    let Json(Why { why }) = why.unwrap_or_default();
    operated.note(note, admin.because(why)).await?;
    Ok(Json(ShownKey::of(key)))
}

/// A key in a word, for the audit log.
fn role_of(key: &Key) -> &'static str {
    match key.role {
        Role::Caller => "caller",
        Role::Viewer => "viewer",
        Role::Admin => "admin",
    }
}

/// The file waits for a lock and the disk.
async fn in_file<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, state::StateError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    match done {
        Ok(done) => Ok(done?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
