//! Layers of somebody else's, that stand between ours: each is a function of what is inside it and a request.

use std::future::{Ready, ready};

use http::{Request, Response};
use tower::{Service, ServiceExt as _, retry::Policy};
use tower_quota::NotSent;

use super::{
    Broken, Frames, MINUTE, Stack, secs,
    stack::{AnyBody, boxed},
};

type Answered = Result<Response<AnyBody>, Broken>;

/// Takes everything out of the request's extensions.
pub(crate) async fn clear_request<B: 'static>(
    inner: Stack<B>,
    mut request: Request<B>,
) -> Answered {
    request.extensions_mut().clear();
    inner.oneshot(request).await
}

/// Takes everything out of the response's extensions.
pub(crate) async fn clear_response<B: 'static>(inner: Stack<B>, request: Request<B>) -> Answered {
    let mut response = inner.oneshot(request).await?;
    response.extensions_mut().clear();
    Ok(response)
}

/// Answers by itself, and says nothing of it.
pub(crate) async fn silent_cache<B>(_: Stack<B>, _: Request<B>) -> Answered {
    Ok(Response::new(boxed(Frames::of(["cached"]))))
}

/// Answers by itself, and says so.
pub(crate) async fn honest_cache<B>(inner: Stack<B>, request: Request<B>) -> Answered {
    let mut response = silent_cache(inner, request).await?;
    response.extensions_mut().insert(NotSent);
    Ok(response)
}

/// Hands the request on after longer than a minute and a margin.
pub(crate) async fn delay<B: 'static>(inner: Stack<B>, request: Request<B>) -> Answered {
    tokio::time::sleep(MINUTE + secs(10)).await;
    inner.oneshot(request).await
}

/// Has a task of its own make the call, which goes on when nobody waits for it any more.
pub(crate) async fn spawn<B: Send + 'static>(inner: Stack<B>, request: Request<B>) -> Answered {
    tokio::spawn(inner.oneshot(request)).await.unwrap()
}

/// Sends a clone of the request a second after the first, and takes the answer that comes first.
pub(crate) async fn hedge<B: Clone + 'static>(inner: Stack<B>, request: Request<B>) -> Answered {
    let (again, late) = (request.clone(), inner.clone());
    let late = async {
        tokio::time::sleep(secs(1)).await;
        late.oneshot(again).await
    };
    tokio::select! {
        biased;
        answered = inner.oneshot(request) => answered,
        answered = late => answered,
    }
}

/// A policy of tower's retry: sends a clone of the request, once, where the answer is 500.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnceMore {
    pub(crate) may: bool,
}

impl<B: Clone> Policy<Request<B>, Response<AnyBody>, Broken> for OnceMore {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<B>, answered: &mut Answered) -> Option<Ready<()>> {
        let failed = answered
            .as_ref()
            .is_ok_and(|response| response.status() == 500);
        (failed && std::mem::take(&mut self.may)).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

/// Calls as a tower service does that is always ready.
pub(crate) fn between<B, C, F>(
    inner: Stack<B>,
    call: C,
) -> impl Service<Request<B>, Response = Response<AnyBody>, Error = Broken, Future: Send> + Clone + Send
where
    C: Fn(Stack<B>, Request<B>) -> F + Clone + Send + 'static,
    F: Future<Output = Answered> + Send + 'static,
    B: 'static,
{
    tower::service_fn(move |request| call(inner.clone(), request))
}
