//! The call that is on its way in this task, for where a foreign layer takes our handle off the request.
//!
//! A handle that is gone is found again by the request's body: it is the very same bytes, at the same place in memory,
//! which the layer outside has kept. That tells it from a call that is made inside the call, by a handler or a tool.

use std::future::Future;

use bytes::Bytes;

use super::context::Handle;

tokio::task_local! {
    static PASSED: Passed;
}

/// A request as one of our layers has passed it on.
struct Passed {
    handle: Handle,
    body: Bytes,
}

/// Runs what a request is passed on to, so that the handle is found where it is not with the request any more.
pub(super) async fn pass<F: Future>(handle: Handle, body: Option<Bytes>, future: F) -> F::Output {
    match body.filter(|body| !body.is_empty()) {
        Some(body) => PASSED.scope(Passed { handle, body }, future).await,
        None => future.await,
    }
}

/// The handle of the request with this body, where one of ours has passed it on in this task.
pub(super) fn find(body: &Bytes) -> Option<Handle> {
    let is_it =
        |passed: &Passed| passed.body.as_ptr() == body.as_ptr() && passed.body.len() == body.len();
    let found = PASSED.try_with(|passed| is_it(passed).then(|| passed.handle.clone()));
    found.ok().flatten()
}
