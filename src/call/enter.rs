//! How a request comes into one of our layers: the body is read and inspected once, by the first of them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH},
    request::Parts,
};
use http_body::Body;
use tokio::time::Instant;

use super::{
    CallOptions, Entry,
    attempt::GOOD_FOR,
    context::Facts,
    handle::Handle,
    mark,
    output_cap::OutputCap,
    priced::{Bound, UNREAD},
    read_body::{BODY_CAP, BoxError, ReadBody, read},
};
use crate::{
    error::Rejection,
    event::Observers,
    limit::Demand,
    limiter::{Delegation, Progress, TakenIn},
    pricing::provider_name,
    tags::{Tag, Tags},
    wire::{self, Dialect, RequestFacts, UsageAsk},
};

/// Output tokens that are reserved for a call which names no cap. An estimate: it is cut to what a limit
/// can hold, and corrected where the limit is.
const OUTPUT_WITHOUT_CAP: u64 = 1_024;

/// How requests are looked into.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspect {
    /// How much of a body is read into memory: 32 MB where nothing is said, what the largest providers take.
    pub(crate) body_cap: Option<usize>,
    /// At how many output tokens a request is capped that names no cap.
    pub(crate) cap_output: Option<OutputCap>,
    /// Whether requests leave as they came: their streams are not asked for their usage.
    pub(crate) as_is: bool,
    /// Whether requests are not looked into at all: everything passes as it is.
    pub(crate) off: bool,
    /// Whether bodies are read of calls to APIs that we do not know: they may be sent again, or what they come to at most is
    /// told by their length.
    pub(crate) reads_all: bool,
    /// Whether they may go to another provider than they came for: what that one is to be asked for is put in then.
    pub(crate) reroutes: bool,
    /// Who is told what becomes of calls that come here first.
    pub(crate) observers: Observers,
}

impl Inspect {
    /// With what a layer further in says, where this one says nothing; and with those whom that one tells. One that is
    /// switched off says nothing itself.
    pub(crate) fn over(self, inner: Inspect) -> Self {
        if self.off {
            return Inspect { off: true, ..inner };
        }
        Inspect {
            body_cap: self.body_cap.or(inner.body_cap),
            cap_output: self.cap_output.or(inner.cap_output),
            as_is: self.as_is || inner.as_is,
            off: false,
            reads_all: self.reads_all || inner.reads_all,
            reroutes: self.reroutes,
            observers: self.observers.and(&inner.observers),
        }
    }
}

/// A request that came in.
pub(crate) struct Entered<B> {
    pub(crate) entry: Entry,
    /// Taken when it is passed on.
    pub(super) rest: Option<(Parts, ReadBody<B>)>,
    /// Of the first of our layers, where it is shown what becomes of the call: until this layer is through with it.
    _taken_in: Option<TakenIn>,
}

/// A request that was refused on its way in, and the dialect to say so in.
pub(crate) struct Refusal {
    pub(crate) dialect: Dialect,
    pub(crate) rejection: Rejection,
}

impl<B> Entered<B>
where
    B: Body<Data = Bytes> + From<Bytes>,
    B::Error: Into<BoxError>,
{
    /// Reads a request and joins the call's context, or makes it.
    pub(crate) async fn enter(request: Request<B>, inspect: &Inspect) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let dialect = if parts.method == Method::POST {
            Dialect::detect(parts.uri.path(), &parts.headers)
        } else {
            Dialect::Generic
        };
        let refuse = |rejection| Refusal { dialect, rejection };
        // Before the body is read: it would take that for the send.
        let handle = parts.extensions.get::<Handle>().cloned();
        // Who says anything of it has made a call of its own of it.
        let handle = handle.or_else(|| {
            let found = mark::find(&parts).filter(|handle| handle.dialect() == dialect)?;
            (!is_said(&parts)).then_some(found)
        });
        let further = handle.map(Entry::further);
        let taken_in = match further {
            None => parts.extensions.get::<Progress>().map(Progress::taken_in),
            Some(_) => None,
        };
        let cap = inspect.body_cap.unwrap_or(BODY_CAP);
        let body = match dialect == Dialect::Generic && !inspect.reads_all {
            // Nothing in it is for us: whoever is within may want it as it comes.
            true => ReadBody::Unread(body),
            false => {
                let began = Instant::now();
                let body = read(body, cap).await.map_err(refuse)?;
                if let Some(entry) = &further {
                    entry.was_held_up(began.elapsed());
                }
                body
            }
        };
        if let Some(entry) = further {
            return Ok(Entered::new(entry.bound_by(&body), parts, body, None));
        }
        let mut facts = facts(dialect, &parts, &body, taken_in.as_deref()).map_err(refuse)?;
        if let Some(progress) = &taken_in {
            progress.reads(facts.streams);
        }
        let is_signed = is_signed(&parts);
        // What was signed has to arrive as it was signed.
        facts.as_is = inspect.as_is || is_signed;
        facts.cap_output = inspect.cap_output.clone().filter(|_| !facts.as_is);
        facts.observed = {
            let (tags, progress) = (&facts.tags, facts.progress.as_ref());
            let observers = &inspect.observers;
            observers.begin(dialect, tags, facts.streams, progress)
        };
        if facts.dialect != Dialect::Generic && !is_signed {
            // What is compressed cannot be metered while it passes.
            parts
                .headers
                .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let entered = Entered::new(Entry::first(facts), parts, body, taken_in);
        Ok(if inspect.reroutes {
            entered
        } else {
            entered.fitted()
        })
    }

    fn new(entry: Entry, parts: Parts, body: ReadBody<B>, taken_in: Option<TakenIn>) -> Self {
        Entered {
            _taken_in: taken_in,
            entry: entry.of(&body),
            rest: Some((parts, body)),
        }
    }

    /// With what its provider is to be asked for, where it does not ask for it itself.
    pub(crate) fn fitted(mut self) -> Self {
        if !self.entry.facts().may_be_fitted() {
            return self;
        }
        if let Some((parts, ReadBody::Whole(body))) = &mut self.rest {
            let mut facts = self.entry.facts().clone();
            if let Some(fit) = fit(&mut facts, parts, body) {
                facts.unfitted = Some(self.entry.facts().before(body, &fit));
                self.entry = self.entry.seeing(facts, &fit);
                *body = fit;
            }
        }
        self
    }
}

impl<B> Entered<B> {
    /// As the layer sees it that stands directly within this one.
    pub(crate) fn inward(mut self) -> Self {
        self.entry = self.entry.inward();
        self
    }

    /// Its head, and its body where that was read.
    pub(crate) fn whole(&self) -> Option<(&Parts, &Bytes)> {
        match &self.rest {
            Some((parts, ReadBody::Whole(body))) => Some((parts, body)),
            _ => None,
        }
    }
}

impl<B: From<Bytes> + Send> Entered<B> {
    /// The call, and what makes the request to pass on in the present attempt, the last that is made of it: it panics where
    /// it is called again.
    pub(crate) fn last(&mut self) -> (&Entry, impl FnMut(&Entry) -> Request<B> + Send) {
        let Entered { entry, rest, .. } = self;
        let request = move |entry: &Entry| {
            let (mut parts, body) = rest.take().expect("an attempt is sent once");
            entry.put_handle(&mut parts);
            Request::from_parts(parts, body.into_body())
        };
        (entry, request)
    }
}

impl Entry {
    /// It took so long to read its body, after it was handed on by the layers around.
    fn was_held_up(&self, span: Duration) {
        if span >= GOOD_FOR {
            self.attempt().release_dated();
        }
    }

    /// With what the body tells that a layer around this one passed on unread.
    fn bound_by<B>(self, body: &ReadBody<B>) -> Self {
        let ReadBody::Whole(bytes) = body else {
            return self;
        };
        if self.dialect() != Dialect::Generic || !self.facts().bound.is_unread() {
            return self;
        }
        let mut facts = self.facts().clone();
        facts.bound.input = bytes.len() as u64;
        self.seeing(facts, bytes)
    }

    /// The request to pass on in the present attempt.
    pub(crate) fn request<B: From<Bytes>>(&self, parts: &Parts, body: &Bytes) -> Request<B> {
        self.make_request(parts.clone(), body.clone())
    }

    /// The request to pass on in the present attempt, of these parts.
    pub(crate) fn make_request<B: From<Bytes>>(&self, mut parts: Parts, body: Bytes) -> Request<B> {
        self.put_handle(&mut parts);
        Request::from_parts(parts, B::from(body))
    }
}

/// Whether a caller has said anything of the call.
fn is_said(parts: &Parts) -> bool {
    let extensions = &parts.extensions;
    said(parts).is_some()
        || extensions.get::<CallOptions>().is_some()
        || extensions.get::<Delegation>().is_some()
}

/// The tags that a caller has given a call: shared ones, and over them those that are not.
fn said(parts: &Parts) -> Option<Cow<'_, Tags>> {
    let shared = parts.extensions.get::<Arc<Tags>>();
    match (shared, parts.extensions.get::<Tags>()) {
        (Some(shared), Some(said)) => Some(Cow::Owned(Tags::clone(shared).overlaid(said))),
        (shared, said) => said.or(shared.map(|shared| &**shared)).map(Cow::Borrowed),
    }
}

fn facts<B>(
    dialect: Dialect,
    parts: &Parts,
    body: &ReadBody<B>,
    progress: Option<&Progress>,
) -> Result<Facts, Rejection> {
    // Of a body that was not read there is still what the URL says.
    let (bytes, is_read) = match body {
        ReadBody::Whole(bytes) => (&bytes[..], true),
        ReadBody::Unread(_) => (&b""[..], false),
    };
    let found = wire::inspect_call(dialect, parts.uri.path(), bytes);
    let found = found.map_err(|error| Rejection::BadRequest {
        message: error.to_string(),
    })?;
    let options = parts
        .extensions
        .get::<CallOptions>()
        .copied()
        .unwrap_or_default();
    #[cfg(feature = "simulate")]
    let found = standing_for(options, found);
    let bound = bound(body, &found);
    #[cfg(feature = "simulate")]
    let bound = Bound {
        input: bound.input.saturating_add(text_bytes(options)),
        ..bound
    };
    let delegation = parts
        .extensions
        .get::<Delegation>()
        .cloned()
        .unwrap_or_else(Delegation::current);
    let said = said(parts);
    let said = said.as_deref();
    let model: Option<Arc<str>> = found.model.as_deref().map(Arc::from);
    Ok(Facts {
        dialect,
        demand: demand(dialect, Some(&found).filter(|_| is_read)),
        bound,
        hides_usage: false,
        as_is: false,
        cap_output: None,
        unfitted: None,
        streams: found.stream,
        tags: tags(dialect, delegation.tags(), said, model.as_ref()),
        asked_model: model.filter(|_| !found.model_in_url),
        observed: None,
        turn: Facts::turn(options),
        at_target: None,
        progress: progress.cloned(),
        delegation: match said {
            Some(said) => delegation.with_caller(said),
            None => delegation,
        },
    })
}

/// What is asked for; of a body that was not read, and of an API that we do not know, nothing but a request.
fn demand(dialect: Dialect, facts: Option<&RequestFacts>) -> Demand {
    let Some(facts) = facts.filter(|_| dialect != Dialect::Generic) else {
        return Demand::default();
    };
    let output = facts
        .max_output
        .unwrap_or(OUTPUT_WITHOUT_CAP)
        .saturating_mul(facts.choices);
    Demand {
        requests: 1,
        input: facts.input_estimate,
        output,
        cost: 0,
        input_declared: false,
        output_declared: facts.max_output.is_some(),
    }
}

pub(super) fn set_length(parts: &mut Parts, body: &Bytes) {
    if let Some(length) = parts.headers.get_mut(CONTENT_LENGTH) {
        *length = body.len().into();
    }
}

/// Whether the request's signature would not go with another body.
pub(super) fn is_signed(parts: &Parts) -> bool {
    let Some(value) = parts.headers.get(AUTHORIZATION) else {
        return false;
    };
    if !value.as_bytes().starts_with(b"AWS4-") {
        return false;
    }
    // All of it, so that nobody is spared by two letters.
    let parts = ["Credential=", "SignedHeaders=", "Signature="];
    let has_all = |value: &str| parts.iter().all(|part| value.contains(part));
    value.to_str().is_ok_and(has_all)
}

/// The body that asks for what this provider is to be asked for: a cap on output, and the usage of a stream. Nothing where
/// the caller's does that, or it is to leave as it came.
pub(super) fn fit(facts: &mut Facts, parts: &mut Parts, body: &Bytes) -> Option<Bytes> {
    let capped = cap(facts, parts, body);
    let asking = asking(facts, capped.as_ref().unwrap_or(body));
    facts.hides_usage |= asking.is_some();
    let fitted = asking.or(capped)?;
    set_length(parts, &fitted);
    Some(fitted)
}

/// The body with a cap on output, where the caller's names none.
fn cap(facts: &mut Facts, parts: &Parts, body: &Bytes) -> Option<Bytes> {
    let cap = facts.cap_output.as_ref()?;
    if facts.bound.output.is_some() {
        return None;
    }
    let (cap, provider) = (cap.of(&facts.tags), facts.tags.get(&Tag::Provider));
    let capped = wire::cap_output(facts.dialect, parts.uri.path(), provider, body, cap)?;
    facts.cap(cap);
    Some(capped)
}

impl Facts {
    /// Whether anything may be put into its request.
    fn may_be_fitted(&self) -> bool {
        self.cap_output.is_some() || self.may_be_asked()
    }

    /// Whether it is a stream that may be asked for its usage.
    fn may_be_asked(&self) -> bool {
        self.streams && !self.as_is && !self.hides_usage
    }

    /// It names a cap now. It is not the caller's: a limit on tokens that is smaller refuses nothing because of it.
    fn cap(&mut self, cap: u64) {
        self.bound.output = Some(cap);
        self.demand.output = cap.saturating_mul(self.bound.choices);
        self.cap_output = None;
    }
}

/// The body that asks for the usage of a stream, where the caller's does not and the provider tells it only if asked.
fn asking(facts: &Facts, bytes: &Bytes) -> Option<Bytes> {
    if !facts.may_be_asked() {
        return None;
    }
    let provider = provider_name(facts.tags.get(&Tag::Provider)?);
    let silent =
        facts.dialect == Dialect::OpenAiChat && wire::streams_usage_only_if_asked(provider);
    match wire::ask_for_usage(silent.then_some(bytes)?) {
        UsageAsk::Added(asking) | UsageAsk::Declined(asking) => Some(asking),
        _ => None,
    }
}

/// The facts of the request that this one stands for.
#[cfg(feature = "simulate")]
fn standing_for(options: CallOptions, mut found: RequestFacts) -> RequestFacts {
    found.input_estimate = options.input.unwrap_or(found.input_estimate);
    found
}

/// How long its text would be.
#[cfg(feature = "simulate")]
fn text_bytes(options: CallOptions) -> u64 {
    options.input.map_or(0, wire::text_bytes)
}

/// The most that it can come to: no token is shorter than a byte.
fn bound<B>(body: &ReadBody<B>, facts: &RequestFacts) -> Bound {
    let input = match body {
        ReadBody::Whole(bytes) => bytes.len() as u64,
        ReadBody::Unread(_) => UNREAD,
    };
    Bound {
        input,
        output: facts.max_output,
        choices: facts.choices,
        goes_on: facts.background,
    }
}

/// What the request says of the call, over what the call inherits, over what is known of it anyway.
fn tags(
    dialect: Dialect,
    inherited: Option<&Arc<Tags>>,
    said: Option<&Tags>,
    model: Option<&Arc<str>>,
) -> Arc<Tags> {
    let mut tags = match (inherited, said) {
        (None, said) => said.cloned().unwrap_or_default(),
        (Some(inherited), None) => Tags::clone(inherited),
        (Some(inherited), Some(said)) => Tags::clone(inherited).enclosing(said),
    };
    if let (None, Some(provider)) = (tags.get(&Tag::Provider), dialect.provider()) {
        tags.set(Tag::Provider, provider);
    }
    if let (None, Some(model)) = (tags.get(&Tag::Model), model) {
        tags.set(Tag::Model, model.clone());
    }
    Arc::new(tags)
}
