//! Claims over HTTP, for programs whose calls cannot go through the gateway: they claim, do their work elsewhere, and
//! settle with what it used.
//!
//! | path | does |
//! |---|---|
//! | `POST /quota/claims` | makes a claim: `{"provider": "openai", "model": "gpt-4o", "input": 1200, "output": 500}`; waits as a call does |
//! | `POST /quota/claims/{claim}/settle` | replaces what was reserved with what was used: `{"input": 1187, "output": 311}` |
//! | `POST /quota/claims/{claim}/extend` | makes the claim last longer: `{"lease": "10m"}` |
//! | `DELETE /quota/claims/{claim}` | gives everything back, because nothing was done |
//!
//! Headers say who calls, as with any call. A claim that is not settled within its lease, ten minutes by default,
//! counts as fully used. So does one that is still open when the gateway ends, because nobody can settle it after that.
//! Refusals are those of calls, as problem documents.
//!
//! A `cost` that is said with a caller's key may be ten times what the tokens that are said cost by the price of the model,
//! and where there are none, or no price is known, a tenth of the smallest hard budget that the claim counts under. More is
//! refused as a mistake; a dollar, or that tenth if it is less, is not. An admin is believed, and so is whoever calls where
//! there are no keys.
//!
//! A claim is listed among the open calls, while it waits and while it is held. If an operator cancels it there, what
//! it holds is given back. What is settled counts under limits and budgets, and is in the ledger. In metrics, reports,
//! alerts and what is remembered of calls, a claim is a call in no known API with one attempt: the work done elsewhere,
//! which lasts from the grant to the settlement. One that is given back has no attempt.

mod dear;
mod observed;
mod open;
mod room;
mod settle;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequestParts, Path, State, rejection::JsonRejection},
    middleware::map_request,
    response::{IntoResponse, Response},
    routing::{delete, post},
};
use http::{HeaderMap, StatusCode, Uri, request::Parts};
use serde::{Deserialize, Serialize};

use self::{
    dear::TooDear,
    observed::Asking,
    open::{NotHeld, OpenClaims, Terms},
    room::Wanted,
    settle::settle,
};
use super::{
    calls::{Calls, Open},
    incoming::Incoming,
    refusal::Refusal,
    state::{
        self,
        keys::{Role, TOKEN_PREFIX},
    },
    tags,
    upstreams::show,
};
use crate::{
    body::{refuse, tell_help},
    call::CallOptions,
    config::Span,
    error::{Rejection, help::kind},
    limit::Demand,
    limiter::{Limiter, Progress, Turn},
    money::Money,
    pricing::ServiceTier,
    rate_limit::RateLimitLayer,
    tags::{Tag, Tags},
    usage::Usage,
    wire::Dialect,
};

const BODY_CAP: usize = 16 << 10;

/// Where they are made, and what they are called among the open calls.
pub(super) const PATH: &str = "/quota/claims";

/// How long a claim is held where nothing is said, and at most.
const LEASE: Duration = Duration::from_secs(600);
const LONGEST_LEASE: Duration = Duration::from_secs(86_400);

/// What claims are made of.
#[derive(Clone, Debug)]
pub(super) struct Claiming {
    pub(super) limiter: Limiter,
    /// That calls pass through; for its prices.
    pub(super) layer: RateLimitLayer,
    pub(super) state: Option<state::State>,
    calls: Calls,
    open: OpenClaims,
}

impl Claiming {
    pub(super) fn new(
        limiter: Limiter,
        layer: RateLimitLayer,
        state: Option<state::State>,
        calls: Calls,
    ) -> Self {
        Claiming {
            limiter,
            layer,
            state,
            calls,
            open: OpenClaims::default(),
        }
    }

    /// Nobody can settle what is open: it counts as fully used.
    pub(super) fn close(&self) {
        self.open.end_all();
    }

    /// Who calls, and what it says of itself.
    fn caller(&self, headers: &mut HeaderMap, uri: &Uri) -> Result<Caller, Refusal> {
        let (key, token) = match &self.state {
            None => (None, None),
            Some(state) => {
                let shown = show(headers, uri, TOKEN_PREFIX).ok_or(Refusal::NoKey)?;
                (Some(state.key_of(&shown.token)?), Some(shown.token))
            }
        };
        let (mut tags, options) = tags::take(headers)?;
        if let Some(key) = &key {
            tags = key.admit(&tags, options.priority)?;
        }
        Ok(Caller {
            is_believed: key.as_ref().is_none_or(|key| key.role == Role::Admin),
            token,
            name: key.map(|key| key.name.clone()),
            tags,
            options,
        })
    }

    /// A claim that is open from now on, for as long as the key of this token is good. It is asked for once more: who disables a
    /// key ends what is open by then.
    fn while_good(&self, open: Open, token: Option<&str>) -> Result<Open, Refusal> {
        let (Some(state), Some(token)) = (&self.state, token) else {
            return Ok(open);
        };
        let key = state.key_of(token)?;
        Ok(open.good_until(key.expires))
    }

    /// What so many tokens cost, where a price is known.
    fn cost(&self, terms: &Terms, usage: &Usage) -> Option<Money> {
        let (provider, model) = (terms.provider.as_deref(), terms.model.as_deref()?);
        let prices = self.layer.prices();
        let found = prices.find(provider, model)?;
        Some(found.price.cost(usage, ServiceTier::Standard))
    }
}

/// Who calls: known before anything of a body is read.
struct Caller {
    /// That of its key.
    name: Option<String>,
    /// Whether it is believed whatever it says that work costs or used, and settles any claim: an admin, and whoever calls where
    /// there are no keys.
    is_believed: bool,
    /// Of its key.
    token: Option<String>,
    tags: Tags,
    options: CallOptions,
}

impl FromRequestParts<Arc<Claiming>> for Caller {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, claiming: &Arc<Claiming>) -> Result<Self, No> {
        Ok(claiming.caller(&mut parts.headers, &parts.uri)?)
    }
}

pub(super) fn router(claiming: Claiming) -> Router {
    Router::new()
        .route(PATH, post(claim))
        .route("/quota/claims/{claim}", delete(release))
        .route("/quota/claims/{claim}/settle", post(settle))
        .route("/quota/claims/{claim}/extend", post(extend))
        .layer(DefaultBodyLimit::max(BODY_CAP))
        .layer(map_request(Incoming::of))
        .with_state(Arc::new(claiming))
}

/// Why something was not done.
enum No {
    Refused(Refusal),
    Rejected(Rejection),
    NotHeld(NotHeld),
    Body(JsonRejection),
    Nothing,
    TooMuch,
    TooDear(TooDear),
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let problem = |status: StatusCode, kind: &str, said: &str| {
            let (content_type, body) =
                crate::wire::error_body(Dialect::Generic, kind, status, said);
            let content_type = [(http::header::CONTENT_TYPE, content_type)];
            let mut response = (status, content_type, body).into_response();
            tell_help(response.headers_mut(), kind);
            response
        };
        match self {
            No::Refused(refusal) => refusal.answer(Dialect::Generic, false),
            No::Rejected(rejection) => refuse::<Body>(Dialect::Generic, rejection).map(Body::new),
            No::NotHeld(why) => {
                let (status, kind) = match why {
                    NotHeld::Unknown => (StatusCode::NOT_FOUND, kind!("not_found")),
                    _ => (StatusCode::SERVICE_UNAVAILABLE, kind!("not_held")),
                };
                problem(status, kind, &why.to_string())
            }
            No::Nothing => problem(
                StatusCode::BAD_REQUEST,
                kind!("bad_request"),
                "nothing is said of what was used: say input, output or cost; to give all back, DELETE the claim",
            ),
            No::TooMuch => problem(
                StatusCode::BAD_REQUEST,
                kind!("bad_request"),
                "it says that more than ten times was used of what was claimed, which is taken for a mistake: `cost` is in \
                 dollars; the claim is open yet, and the key of an admin may settle it so",
            ),
            No::TooDear(why) => problem(
                StatusCode::BAD_REQUEST,
                kind!("bad_request"),
                &why.to_string(),
            ),
            No::Body(why) => problem(
                StatusCode::BAD_REQUEST,
                kind!("bad_request"),
                &why.body_text(),
            ),
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        No::Refused(refusal)
    }
}

impl From<NotHeld> for No {
    fn from(why: NotHeld) -> Self {
        No::NotHeld(why)
    }
}

impl From<TooDear> for No {
    fn from(why: TooDear) -> Self {
        No::TooDear(why)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claimed {
    provider: Option<String>,
    model: Option<String>,
    #[serde(default)]
    input: u64,
    #[serde(default)]
    output: u64,
    /// In dollars, at most; where it is not said it is by the price of the model.
    cost: Option<Money>,
    lease: Option<Span>,
}

#[derive(Serialize)]
struct Claim {
    claim: String,
    /// In seconds.
    lease: u64,
}

async fn claim(
    State(claiming): State<Arc<Claiming>>,
    caller: Caller,
    body: Result<Json<Claimed>, JsonRejection>,
) -> Result<(StatusCode, Json<Claim>), No> {
    let Caller {
        name: owner,
        is_believed,
        token,
        mut tags,
        options,
    } = caller;
    let Json(asked) = body.map_err(No::Body)?;
    let usage = Usage::new(asked.input, asked.output);
    let mut terms = Terms {
        provider: asked.provider,
        model: asked.model,
        input: asked.input,
        output: asked.output,
        cost: asked.cost,
    };
    for (tag, value) in [(Tag::Provider, &terms.provider), (Tag::Model, &terms.model)] {
        if let Some(value) = value {
            tags.set(tag, value.as_str());
        }
    }
    if !is_believed {
        claiming.believe(&terms, &tags)?;
    }
    terms.cost = terms.cost.or_else(|| claiming.cost(&terms, &usage));
    let progress = Progress::new();
    let open = claiming.calls.open(progress.clone(), tags.clone(), PATH);
    let open = claiming.while_good(open, token.as_deref())?;
    let tags = Arc::new(tags);
    let asking = Asking::of(&claiming.layer, &progress, tags.clone());
    let (gates, around) = claiming.layer.gates();
    if terms.cost.is_none() && gates.iter().any(|gate| gate.wants_price(&tags)) {
        let unknown = Rejection::UnknownPrice {
            model: terms.model.unwrap_or_default(),
            provider: terms.provider,
        };
        asking.refused(&unknown);
        return Err(No::Rejected(unknown));
    }
    let wanted = Wanted {
        tags,
        demand: Demand {
            input: asked.input,
            output: asked.output,
            cost: terms.cost.unwrap_or_default().as_nanos(),
            ..Demand::default()
        },
        turn: Turn::new(options.priority, options.max_wait),
    };
    let permits = tokio::select! {
        // In this order: nothing is granted to a key that is good no more.
        biased;
        () = open.cancelled() => return Err(Refusal::Cancelled.into()),
        granted = room::take((gates, around), wanted, (&asking, &progress)) => granted
            .inspect_err(|rejection| asking.refused(rejection))
            .map_err(No::Rejected)?,
    };
    let lease = asked.lease.map_or(LEASE, Duration::from).min(LONGEST_LEASE);
    let held = (permits, asking.begins(&terms), open);
    let claim = claiming.open.hold(held, owner, terms, lease)?;
    let lease = lease.as_secs();
    Ok((StatusCode::CREATED, Json(Claim { claim, lease })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extended {
    lease: Span,
}

async fn extend(
    State(claiming): State<Arc<Claiming>>,
    caller: Caller,
    Path(claim): Path<String>,
    body: Result<Json<Extended>, JsonRejection>,
) -> Result<Json<Claim>, No> {
    let Json(Extended { lease }) = body.map_err(No::Body)?;
    let lease = Duration::from(lease).min(LONGEST_LEASE);
    claiming
        .open
        .extend(&claim, caller.name.as_deref(), lease)?;
    let lease = lease.as_secs();
    Ok(Json(Claim { claim, lease }))
}

async fn release(
    State(claiming): State<Arc<Claiming>>,
    caller: Caller,
    Path(claim): Path<String>,
) -> Result<StatusCode, No> {
    let (permits, working) = claiming.open.take(&claim, caller.name.as_deref())?;
    permits.release();
    working.given_back();
    Ok(StatusCode::NO_CONTENT)
}
