//! All that is answered: the gateway's own paths by a router, all others as calls.

use std::{fmt, sync::Arc};

use axum::{Router, extract::Request, response::Response};
use tower_service::Service as _;

use super::{local::is_local, proxy::Proxy, refusal::Refusal};
use crate::wire::Dialect;

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Answers(Arc<Inner>);

struct Inner {
    /// Of what is the gateway's own.
    own: Router,
    proxy: Arc<Proxy>,
    /// Whether callers show keys; where they do not, a browser's page is no caller.
    keyed: bool,
}

impl Answers {
    pub(super) fn new(own: Router, proxy: Arc<Proxy>) -> Self {
        let keyed = proxy.state.is_some();
        Answers(Arc::new(Inner { own, proxy, keyed }))
    }

    pub(super) async fn answer(self, request: Request) -> Response {
        let Inner { own, proxy, keyed } = &*self.0;
        if !keyed && !is_local(request.headers()) {
            return Refusal::Foreign.answer(Dialect::Generic, false);
        }
        // On the heap, both: a connection has room for what it waits for as long as it is there.
        // Calls are nearly all there is: they do not go by the router.
        if !is_own(request.uri().path()) {
            return Box::pin(proxy.clone().answer(request)).await;
        }
        match Box::pin(own.clone().call(request)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn is_own(path: &str) -> bool {
    let operators = path.strip_prefix("/quota");
    operators.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || matches!(path, "/healthz" | "/readyz" | "/metrics")
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("keyed", &self.0.keyed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_gateways_own_is_no_call_and_the_rest_is() {
        for path in [
            "/quota",
            "/quota/",
            "/quota/keys/x",
            "/healthz",
            "/readyz",
            "/metrics",
        ] {
            assert!(is_own(path), "{path}");
        }
        for path in ["/", "/v1/x", "/quotas", "/healthz/x", "/x/metrics"] {
            assert!(!is_own(path), "{path}");
        }
    }
}
