//! `/quota/keys`

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Path, Request, State, rejection::JsonRejection},
};
use http::StatusCode;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    super::{
        found,
        state::{
            self,
            keys::{Claimable, Difference, Key, KeyState, NewKey, Role},
        },
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
    /// What is not as it should be, though the key is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// What is said with any change: `{"why": "..."}`, or nothing at all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Why {
    pub(super) why: Option<String>,
}

impl FromRequest<Arc<Operated>> for Why {
    type Rejection = Problem;

    async fn from_request(request: Request, operated: &Arc<Operated>) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, operated).await;
        let body = body.map_err(|error| Problem::Body(error.body_text()))?;
        if body.is_empty() {
            return Ok(Why::default());
        }
        serde_json::from_slice(&body).map_err(|error| Problem::Body(error.to_string()))
    }
}

impl Why {
    fn deserialize_text(why: Value) -> Result<String, Problem> {
        let text = String::deserialize(why);
        text.map_err(|error| Problem::Body(format!("why: {error}")))
    }
}

/// The priorities that a call may ask for.
const PRIORITIES: RangeInclusive<i32> = -1_000..=1_000;

/// Refuses what can be read of a new key and nobody means.
fn check(key: &NewKey) -> Result<(), Problem> {
    let no = |reason: String| Err(Problem::Body(reason));
    let may = key.may.iter().flat_map(BTreeMap::keys);
    if key.tags.keys().chain(may).any(|tag| tag.name().is_empty()) {
        return no("tags, may: a tag has no name; write it as { \"team\": \"blue\" }".to_owned());
    }
    if !PRIORITIES.contains(&key.max_priority) {
        return no(format!(
            "max_priority: {} is no priority; there are those from -1000 to 1000",
            key.max_priority
        ));
    }
    match key.expires {
        Some(expires) if expires <= Timestamp::now() => {
            no(format!("expires: {expires} is over already"))
        }
        _ => Ok(()),
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

    /// Heeds what others have changed in the file.
    async fn heed(&self, found: &[Difference]) -> Result<(), Problem> {
        let noted = found::heed(found, &self.calls, &self.limiter).await;
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
    let reason = admin.because(why);
    whole(async move {
        let state = operated.keys()?.clone();
        check(&key)?;
        let ((key, token), found) = in_file(move || state.make(key)).await?;
        let heeded = operated.heed(&found).await;
        let note = Note::new("key", key.name.as_str()).now(key.role.name());
        // The token is nowhere else: it is told whatever becomes of the note.
        let noted = operated.note(note, reason).await.and(heeded);
        let made = Made {
            key: ShownKey::of(key),
            token: token.expose_secret().to_owned(),
            warning: noted.err().map(|problem| problem.to_string()),
        };
        Ok((StatusCode::CREATED, Json(made)))
    })
    .await
}

pub(super) async fn disable(
    admin: Admin,
    operated: State<Arc<Operated>>,
    name: Path<String>,
    why: Why,
) -> Result<Json<ShownKey>, Problem> {
    set(admin, (operated, name), why, true).await
}

pub(super) async fn enable(
    admin: Admin,
    operated: State<Arc<Operated>>,
    name: Path<String>,
    why: Why,
) -> Result<Json<ShownKey>, Problem> {
    set(admin, (operated, name), why, false).await
}

async fn set(
    admin: Admin,
    (State(operated), Path(name)): (State<Arc<Operated>>, Path<String>),
    Why { why }: Why,
    disabled: bool,
) -> Result<Json<ShownKey>, Problem> {
    let reason = admin.because(why);
    whole(async move {
        let state = operated.keys()?.clone();
        let ((key, was), found) = in_file(move || state.disable(&name, disabled)).await?;
        if disabled {
            operated.calls.cancel_waiting_of(&key.name);
        }
        let heeded = operated.heed(&found).await;
        let word = |disabled| if disabled { "disabled" } else { "enabled" };
        let note = Note::new("key", key.name.as_str());
        let note = note.was(word(was)).now(word(disabled));
        operated.note(note, reason).await.and(heeded)?;
        Ok(Json(ShownKey::of(key)))
    })
    .await
}

pub(super) async fn delete(
    admin: Admin,
    State(operated): State<Arc<Operated>>,
    Path(name): Path<String>,
    Why { why }: Why,
) -> Result<Json<ShownKey>, Problem> {
    let reason = admin.because(why);
    whole(async move {
        let state = operated.keys()?.clone();
        let (key, found) = in_file(move || state.delete(&name)).await?;
        operated.calls.cancel_waiting_of(&key.name);
        let heeded = operated.heed(&found).await;
        let note = Note::new("key", key.name.as_str()).was(key.role.name());
        operated.note(note, reason).await.and(heeded)?;
        Ok(Json(ShownKey::of(key)))
    })
    .await
}

/// Something that is done to its end and noted, though whoever asked for it hangs up in between.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
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
