//! Marks on requests, by which a call is known where a foreign layer takes our handle off them.
//!
//! Nothing that anybody sees is changed: a mark is *where* the bytes of a header stand in memory. Each layer that passes a
//! request on copies them to a place of their own and has the call keep them there; every clone of the request has them at
//! that very place, in whatever task it goes on. A request that is built anew from what another says has no mark.

use std::{
    mem,
    sync::{Arc, LazyLock, Weak},
};

use bytes::Bytes;
use hashbrown::HashMap;
use http::{
    HeaderName, HeaderValue, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT},
    request::Parts,
    uri::PathAndQuery,
};
use parking_lot::Mutex;

use super::context::{CallContext, Handle, Passed};

/// Where a mark may be, the first that is there. The first of them is in every request that we look into, as we put it
/// in, and none of our layers changes it again.
const HEADERS: [HeaderName; 4] = [ACCEPT_ENCODING, CONTENT_TYPE, ACCEPT, USER_AGENT];

/// How many locks there are.
const SHARDS: usize = 32;

/// The calls that are on their way, by where their marks are.
static CALLS: LazyLock<[Shard; SHARDS]> = LazyLock::new(Default::default);

type Shard = Mutex<HashMap<usize, (Weak<CallContext>, Passed)>>;

/// A mark. While it lives nothing else is at its place.
#[derive(Debug)]
pub(super) struct Mark {
    place: usize,
    _kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Header(#[expect(dead_code, reason = "kept where it is")] HeaderValue),
    Path(#[expect(dead_code, reason = "kept where it is")] PathAndQuery),
}

impl Mark {
    /// Marks a request that is passed on. Nothing where it has neither a header that can be marked nor a path.
    pub(super) fn put(
        parts: &mut Parts,
        context: &Arc<CallContext>,
        passed: &Passed,
    ) -> Option<Self> {
        let mark = Self::put_on(parts)?;
        let handle = (Arc::downgrade(context), passed.clone());
        shard(mark.place).lock().insert(mark.place, handle);
        Some(mark)
    }

    fn put_on(parts: &mut Parts) -> Option<Self> {
        let header = HEADERS
            .iter()
            .find(|name| parts.headers.contains_key(*name));
        let (place, kept) = match header {
            Some(name) => mark_header(parts.headers.get_mut(name)?)?,
            None => mark_path(&mut parts.uri)?,
        };
        Some(Mark { place, _kept: kept })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        shard(self.place).lock().remove(&self.place);
    }
}

/// The handle that was with this request, by its mark.
pub(super) fn find(parts: &Parts) -> Option<Handle> {
    let headers = HEADERS.iter().filter_map(|name| parts.headers.get(name));
    let places = headers.map(|value| value.as_bytes().as_ptr());
    // Others may have put in a header since.
    let mut places = places.chain([parts.uri.path().as_ptr()]);
    let found = places.find_map(|place| shard(place.addr()).lock().get(&place.addr()).cloned());
    let (context, passed) = found?;
    Some(Handle::new(context.upgrade()?, passed))
}

fn mark_header(value: &mut HeaderValue) -> Option<(usize, Kept)> {
    let copy = Bytes::copy_from_slice(value.as_bytes());
    let mut copy = HeaderValue::from_maybe_shared(copy).ok()?;
    copy.set_sensitive(value.is_sensitive());
    *value = copy.clone();
    let place = copy.as_bytes().as_ptr().addr();
    (!copy.is_empty()).then_some((place, Kept::Header(copy)))
}

fn mark_path(uri: &mut Uri) -> Option<(usize, Kept)> {
    let mut parts = mem::take(uri).into_parts();
    let path = parts.path_and_query.take();
    let copy = path
        .as_ref()
        .map(|path| Bytes::copy_from_slice(path.as_str().as_bytes()));
    let copy = copy.and_then(|copy| PathAndQuery::from_maybe_shared(copy).ok());
    parts.path_and_query = copy.clone().or(path);
    *uri = Uri::from_parts(parts).unwrap_or_default();
    let copy = copy?;
    Some((uri.path().as_ptr().addr(), Kept::Path(copy)))
}

fn shard(place: usize) -> &'static Shard {
    // What is allocated begins at multiples of sixteen, mostly.
    &CALLS[(place >> 4) % SHARDS]
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_mark_changes_nothing_that_is_seen() {
        for request in [
            Request::post("https://h:1/v1/x?y=1").header("content-type", "application/json"),
            Request::get("https://h/v1/models"),
            Request::get("/"),
            Request::get("*"),
            Request::connect("h:443"),
            Request::get("/").header("accept", ""),
        ] {
            let before = parts(request);
            let mut after = before.clone();
            let mark = Mark::put_on(&mut after);
            assert_eq!((&before.uri, &before.headers), (&after.uri, &after.headers));
            drop(mark);
        }
    }

    #[test]
    fn what_is_secret_stays_so() {
        let mut value = HeaderValue::from_static("x");
        value.set_sensitive(true);
        mark_header(&mut value).unwrap();
        assert!(value.is_sensitive());
    }

    #[test]
    fn marks_are_at_different_places() {
        let mut one = parts(Request::get("/v1/models"));
        let mut other = one.clone();
        let first = Mark::put_on(&mut one).unwrap();
        let second = Mark::put_on(&mut other).unwrap();
        assert_ne!(first.place, second.place);
    }
}
