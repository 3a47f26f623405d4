//! Marks on requests, by which a call is known where a foreign layer takes our handle off them.
//!
//! Nothing that anybody sees is changed: a mark is *where* the bytes of a header stand in memory. Each layer that passes a
//! request on copies them to a place of their own; every clone of the request has them at that very place, in whatever task
//! it goes on, and the last of them takes the mark with it. A request that is built anew from what another says has none.

use std::{mem, sync::LazyLock};

use bytes::Bytes;
use hashbrown::HashMap;
use http::{
    HeaderName, HeaderValue, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT},
    request::Parts,
    uri::PathAndQuery,
};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::handle::{Handle, KeptHandle};

/// Where a mark may be, the first that is there. The first of them is in every request that we look into, as we put it
/// in, and none of our layers changes it again.
const HEADERS: [HeaderName; PLACES] = [ACCEPT_ENCODING, CONTENT_TYPE, ACCEPT, USER_AGENT];

const PLACES: usize = 4;

/// How many locks there are.
const SHARDS: usize = 32;

/// The handles of requests that are on their way, by where their marks are. What they keep of a
/// call is little: a client may keep a header for as long as its connection lasts (HTTP/2 does, to name it in fewer bytes the next
/// time).
static HANDLES: LazyLock<[Shard; SHARDS]> = LazyLock::new(Default::default);

type Shard = Mutex<HashMap<usize, KeptHandle>>;

/// Bytes at a place of their own. While they live nothing else is there.
struct Mark(SmallVec<[u8; 16]>);

impl AsRef<[u8]> for Mark {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let place = self.0.as_ptr().addr();
        let handle = shard(place).lock().remove(&place);
        // Not under the lock: a call may end by it.
        drop(handle);
    }
}

/// Marks a request that is passed on with this handle. One that has neither a header that can be marked nor a path is not.
pub(super) fn mark(parts: &mut Parts, handle: &Handle) {
    let header = HEADERS
        .iter()
        .find(|name| parts.headers.contains_key(*name));
    let place = match header.and_then(|name| parts.headers.get_mut(name)) {
        Some(value) => mark_header(value),
        None => mark_path(&mut parts.uri),
    };
    if let Some(place) = place {
        let kept = handle.kept();
        shard(place).lock().insert(place, kept);
    }
}

/// The handle that was with this request, by its mark.
pub(super) fn find(parts: &Parts) -> Option<Handle> {
    // To go through the few headers that there are takes less than to look each of these up.
    let mut marked = [None; PLACES];
    for (name, value) in &parts.headers {
        if let Some(number) = HEADERS.iter().position(|header| header == name) {
            marked[number].get_or_insert(value.as_bytes().as_ptr());
        }
    }
    let places = marked.into_iter().flatten();
    // Others may have put in a header since.
    let mut places = places.chain([parts.uri.path().as_ptr()]);
    places.find_map(|place| {
        let marks = shard(place.addr()).lock();
        marks.get(&place.addr()).map(KeptHandle::handle)
    })
}

fn mark_header(value: &mut HeaderValue) -> Option<usize> {
    if value.is_empty() {
        return None;
    }
    let mut copy = HeaderValue::from_maybe_shared(marked(value.as_bytes())).ok()?;
    copy.set_sensitive(value.is_sensitive());
    *value = copy;
    Some(value.as_bytes().as_ptr().addr())
}

fn mark_path(uri: &mut Uri) -> Option<usize> {
    let mut parts = mem::take(uri).into_parts();
    let path = parts.path_and_query.take();
    let copy = path
        .as_ref()
        .and_then(|path| PathAndQuery::from_maybe_shared(marked(path.as_str().as_bytes())).ok());
    let is_marked = copy.is_some();
    parts.path_and_query = copy.or(path);
    *uri = Uri::from_parts(parts).unwrap_or_default();
    is_marked.then(|| uri.path().as_ptr().addr())
}

fn marked(bytes: &[u8]) -> Bytes {
    Bytes::from_owner(Mark(SmallVec::from_slice(bytes)))
}

fn shard(place: usize) -> &'static Shard {
    // What is allocated begins at multiples of sixteen, mostly.
    &HANDLES[(place >> 4) % SHARDS]
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
            mark(&mut after, &Handle::of_nothing());
            assert_eq!((&before.uri, &before.headers), (&after.uri, &after.headers));
        }
    }

    #[test]
    fn a_mark_on_a_header_that_others_put_in_since_is_the_later_one() {
        let mut request = parts(Request::get("/").header("content-type", "application/json"));
        let (first, second) = (Handle::of_nothing(), Handle::of_nothing());
        mark(&mut request, &first);
        let identity = HeaderValue::from_static("identity");
        request.headers.insert(ACCEPT_ENCODING, identity);
        assert!(find(&request).is_some_and(|found| found.is(&first)));
        mark(&mut request, &second);
        assert!(find(&request).is_some_and(|found| found.is(&second)));
    }

    #[test]
    fn what_is_secret_stays_so() {
        let mut value = HeaderValue::from_static("x");
        value.set_sensitive(true);
        mark_header(&mut value).unwrap();
        assert!(value.is_sensitive());
    }

    #[test]
    fn a_mark_is_in_every_clone_and_in_no_other_and_goes_with_the_last() {
        for request in [
            Request::get("/v1/models"),
            Request::post("/").header("accept-encoding", "identity, and a longer one"),
        ] {
            let unmarked = parts(request);
            let (mut one, mut other) = (unmarked.clone(), unmarked.clone());
            let (first, second) = (Handle::of_nothing(), Handle::of_nothing());
            mark(&mut one, &first);
            mark(&mut other, &second);
            let clone = one.clone();
            drop(one);
            assert!(find(&clone).is_some_and(|found| found.is(&first)));
            assert!(find(&other).is_some_and(|found| found.is(&second)));
            assert!(find(&unmarked).is_none());
            assert_eq!(first.held(), 2, "here and by the mark");
            drop(clone);
            assert_eq!(first.held(), 1);
        }
    }
}
