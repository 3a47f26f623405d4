//! The way through a layer that is switched off.

use std::future::poll_fn;

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ResponseBody;

/// Hands a request to a clone of the inner service, untouched.
///
/// # Errors
/// The inner service's.
pub(crate) async fn pass<S, B, R>(
    mut inner: S,
    request: Request<B>,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    poll_fn(|cx| inner.poll_ready(cx)).await?;
    Ok(inner.call(request).await?.map(ResponseBody::passed))
}
