//! From the head of a caller's request to what is sent on.

use std::sync::Arc;

use axum::extract::Request;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    header::{ACCEPT_ENCODING, AUTHORIZATION},
    request::Parts,
};

use super::{
    bodies::Share,
    calls::Open,
    disguise, google_parameters, headers, models, page, path,
    path::BadPath,
    proxy::{Proxy, Ready, Sending},
    refusal::Refusal,
    state::keys::{Key, TOKEN_PREFIX},
    tags, unmetered,
    upstreams::{
        Chosen, Place, Shown, Unmetered, is_query_key, nowhere, show, shows_google_key, strip,
        without,
    },
};
use crate::{
    call::BODY_CAP,
    failover::ApiKey,
    limiter::Progress,
    tags::{Tag, Tags},
    wire::Dialect,
};

impl Proxy {
    /// In which API refusals are said: that of the call, else that of the provider whose paths it is among.
    pub(super) fn spoken(&self, request: &Request) -> Dialect {
        let (uri, headers) = (request.uri(), request.headers());
        let google = shows_google_key(headers);
        let chosen = self.upstreams.choose(uri, headers, google);
        let path = chosen
            .as_ref()
            .map_or(uri.path(), |chosen| chosen.path.path());
        match dialect(request.method(), path, headers) {
            Dialect::Generic => self.upstreams.dialect_of(path, headers, google),
            dialect => dialect,
        }
    }

    /// Who calls, where callers have to say so, and what they showed. Where that stood in the place of the provider's key, all
    /// that may be one is taken off.
    fn identify(&self, parts: &mut Parts) -> Result<Option<(Arc<Key>, Shown)>, Refusal> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let shown = show(&mut parts.headers, &parts.uri, TOKEN_PREFIX).ok_or(Refusal::NoKey)?;
        let key = state.key_of(&shown.token)?;
        if !shown.is_apart {
            strip(&mut parts.headers);
        }
        Ok(Some((key, shown)))
    }

    /// Makes the head of a call what is sent on. `length`: how long its body is at least; `share`: the memory that this takes.
    pub(super) fn prepare(
        &self,
        mut parts: Parts,
        length: u64,
        share: &Share,
    ) -> Result<Ready, Refusal> {
        if page::is_asked_for(&parts.headers) {
            return Err(Refusal::Page);
        }
        let tunnel = parts.method == Method::CONNECT && parts.uri.path().starts_with('/');
        if parts.method == Method::TRACE || tunnel || disguise::is_in_other_letters(&parts.method) {
            // The first would be answered with the upstream's key in it; the second asks for a tunnel to anywhere, and is no call
            // that is counted; nor is the third counted as what some take it for.
            return Err(Refusal::Method);
        }
        if parts.method == Method::GET && headers::ask_for_websocket(&parts.headers) {
            // Without the headers that end here it would be a plain call to the same path.
            return Err(Refusal::WebSocket);
        }
        let asked = parts.uri.path_and_query();
        let asked = asked.filter(|asked| asked.as_str().starts_with('/'));
        let asked = asked.ok_or(Refusal::NoPath)?.clone();
        // It may be one of ours, which goes.
        let google = shows_google_key(&parts.headers);
        let caller = self.identify(&mut parts)?;
        // Before the headers of the connection go, which may name ours.
        let (mut tags, options) = tags::take(&mut parts.headers)?;
        if let Some((key, shown)) = &caller {
            tags = key.admit(&tags, options.priority)?;
            shown.strip(&mut parts.headers, TOKEN_PREFIX);
            share.is_of(&key.name);
        }
        // From here on all is looked at as it is sent on: what `Connection` names is none of it.
        headers::strip_request(&mut parts.headers);
        disguise::strip_paths(&mut parts.headers);
        let chosen = self.upstreams.choose(&parts.uri, &parts.headers, google);
        let path = chosen.as_ref().map_or(asked, |chosen| chosen.path.clone());
        let uri = match &chosen {
            Some(chosen) => chosen.place.url.uri(&path),
            None => nowhere(&path),
        };
        parts.uri = uri.ok_or(Refusal::NoPath)?;
        let dialect = dialect(&parts.method, parts.uri.path(), &parts.headers);
        let place = chosen.as_ref().map(|chosen| chosen.place);
        let is_known = dialect != Dialect::Generic || place.is_none_or(|place| place.is_provider);
        let shown = caller.as_ref().map(|(_, shown)| shown);
        let uri = without_credentials(parts.uri, place, shown, is_known);
        parts.uri = uri.ok_or(Refusal::NoPath)?;
        if let Some(by) = disguise::of_another_method(&parts.headers, &parts.uri) {
            return Err(BadPath::OtherMethod(by).into());
        }
        if chosen.is_none() && !self.models.is_empty() {
            let upstreams = &self.upstreams;
            let spoken = upstreams.dialect_of(path.path(), &parts.headers, google);
            if let Some(list) = models::list(&parts.method, path.path(), spoken, &self.models) {
                return Ok(Ready::Answer(list));
            }
        }
        let posts = parts.method == Method::POST;
        path::check(parts.uri.path(), &parts.headers, posts, dialect)?;
        // Where nothing is counted nothing is read.
        let is_read = dialect != Dialect::Generic && self.keeps_bodies;
        if is_read && headers::are_of_coded_body(&parts.headers) {
            return Err(Refusal::Compressed);
        }
        if is_read && length > BODY_CAP as u64 {
            return Err(Refusal::TooLarge);
        }
        // A target of a route may be Google's, whatever API the call is in.
        let is_googles = matches!(dialect, Dialect::Gemini | Dialect::GeminiEmbed)
            || place.is_none_or(Place::is_googles)
            || !self.models.is_empty();
        if is_read && is_googles {
            parts.uri = google_parameters::readable(parts.uri, &parts.headers)?;
        }
        if let Some(chosen) = &chosen {
            self.meters(chosen, &parts.method, parts.uri.path(), dialect)?;
            if let Some(provider) = &chosen.place.provider {
                tags.set(Tag::Provider, provider.clone());
            }
            chosen.place.authorize(&mut parts.headers, is_known);
            if !chosen.place.has_key() {
                tag_key(&mut tags, &parts, chosen.place.known_as(), dialect);
            } else if parts.headers.contains_key(ACCEPT_ENCODING) {
                // An error in which its key is repeated is known by that.
                let plain = HeaderValue::from_static("identity");
                parts.headers.insert(ACCEPT_ENCODING, plain);
            }
        }
        let service = match &chosen {
            Some(_) => Some(&self.open),
            None => self.routed.as_ref(),
        };
        let service = service.ok_or_else(|| Refusal::nowhere(&self.upstreams.names()))?;
        let place = chosen.as_ref().map(|chosen| chosen.place.clone());
        parts.version = Version::HTTP_11;
        let progress = Progress::new();
        let open = self.calls.open(progress.clone(), tags.clone(), path.path());
        let open = self.while_good(open, caller.as_ref())?;
        parts.extensions.insert(progress.clone());
        parts.extensions.insert(tags);
        parts.extensions.insert(options);
        Ok(Ready::Send(Box::new(Sending {
            service: service.clone(),
            parts,
            dialect,
            place,
            is_known,
            open,
            progress,
            limiter: self.limiter.clone(),
            routed_keys: self.upstreams.routed_keys().clone(),
        })))
    }

    /// The call, open for as long as its key is good. It is asked for once more: who disables a key ends the calls of it that are
    /// open, of which this is one only now.
    fn while_good(&self, open: Open, caller: Option<&(Arc<Key>, Shown)>) -> Result<Open, Refusal> {
        let (Some(state), Some((_, shown))) = (&self.state, caller) else {
            return Ok(open);
        };
        if !self.keeps_bodies {
            return Ok(open.unseen());
        }
        let key = state.key_of(&shown.token)?;
        Ok(open.good_until(key.expires))
    }

    /// Whether what the call costs is known here, as far as it has to be.
    fn meters(
        &self,
        chosen: &Chosen<'_>,
        method: &Method,
        path: &str,
        dialect: Dialect,
    ) -> Result<(), Refusal> {
        let denied = chosen.place.unmetered == Unmetered::Deny
            && unmetered::costs_unknown(method, path, dialect, chosen.place.known_as())
            && self.limiter.limits().count_cost();
        match denied {
            true => Err(Refusal::Unmetered(path.to_owned())),
            false => Ok(()),
        }
    }
}

/// Tags a call that goes with its caller's own key by that key, from which nobody learns it: what a provider says of one account,
/// and limits on each `api_key`, are about nobody with another. Only what this provider takes as a key counts, or, where nothing
/// is there, what providers of this API do: no other header makes somebody else of a caller.
fn tag_key(tags: &mut Tags, parts: &Parts, provider: Option<&str>, dialect: Dialect) {
    if tags.get(&Tag::ApiKey).is_some() {
        return;
    }
    let spoken = dialect.provider();
    let of = |takes: Option<&str>| {
        let (query, own) = (parts.uri.query(), key_header(takes));
        ApiKey::label_of_callers(&parts.headers, query, provider, &own)
    };
    if let Some(label) = of(provider.or(spoken)).or_else(|| of(spoken)) {
        tags.set(Tag::ApiKey, label);
    }
}

/// The header in which a provider takes its keys.
fn key_header(provider: Option<&str>) -> HeaderName {
    match provider {
        Some("anthropic") => HeaderName::from_static("x-api-key"),
        Some("azure") => HeaderName::from_static("api-key"),
        Some("gemini") => HeaderName::from_static("x-goog-api-key"),
        _ => AUTHORIZATION,
    }
}

/// The address without what shows in its query who calls: never the gateway's token, nor what may be a key where the upstream has
/// one of its own. On the way to a provider of models (`is_known`) the names that any of them has for its keys may be; elsewhere,
/// where a name may mean anything, only those that mean nothing else.
fn without_credentials(
    uri: Uri,
    place: Option<&Place>,
    shown: Option<&Shown>,
    is_known: bool,
) -> Option<Uri> {
    let with_key = place.filter(|place| place.has_key());
    let is_in_place = shown.is_some_and(|shown| !shown.is_apart);
    without(uri, |name, value| {
        let is_key = match is_known {
            true => (with_key.is_some() || is_in_place) && is_query_key(name),
            false => with_key.is_some_and(|place| place.takes_in_query(name)),
        };
        let is_ours = |text: &str| shown.is_some_and(|shown| shown.is_in(text, TOKEN_PREFIX));
        let begins_so = is_query_key(name) && value.starts_with(TOKEN_PREFIX);
        is_key || begins_so || is_ours(name) || is_ours(value)
    })
}

/// As the layers see it.
fn dialect(method: &Method, path: &str, headers: &HeaderMap) -> Dialect {
    if *method == Method::POST {
        Dialect::detect(path, headers)
    } else {
        Dialect::Generic
    }
}
