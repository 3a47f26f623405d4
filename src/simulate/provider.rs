//! What stands in place of providers: a service that answers after the time that a call says, with its usage.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    gauge::Gauge,
    load::Size,
    reached::reached,
    speech::{answer, spoken, too_many},
};
use crate::{
    call::tags_passed_on,
    limiter::{Call, Limiter},
    usage::Usage,
};

/// All providers at once.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    pub(super) gauge: Arc<Gauge>,
    /// What they allow, where that is said.
    pub(super) allows: Option<Limiter>,
}

impl Service<Request<Full<Bytes>>> for Provider {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        self.gauge.left();
        let allows = self.allows.clone();
        Box::pin(async move { Ok(answered(allows, &request).await) })
    }
}

async fn answered(
    allows: Option<Limiter>,
    request: &Request<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    let dialect = spoken(request.uri(), request.headers());
    let size = request.extensions().get::<Size>().copied();
    let size = size.unwrap_or_default();
    let permit = match allows {
        None => None,
        Some(limiter) => {
            let tags = tags_passed_on(request.extensions()).unwrap_or_default();
            let call = Call::new()
                .tags(tags)
                .tokens(size.input, size.max_tokens.unwrap_or(size.output));
            match limiter.try_acquire(call).await {
                Ok(permit) => Some(permit),
                Err(why) => return too_many(dialect, &why),
            }
        }
    };
    reached(Instant::now(), size.latency).await;
    if let Some(permit) = permit {
        let mut usage = Usage::new(size.input, size.output);
        (usage.cache_read, usage.cache_write) = (size.cached, size.written);
        permit.settle(usage);
    }
    answer(dialect, &size)
}
