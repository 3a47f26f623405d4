//! Tags that a server gives its requests.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderName, Request, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use super::{Tag, Tags};

type TagsOf = Arc<dyn Fn(&Parts) -> Tags + Send + Sync>;

/// Gives each request the tags that its caller is counted under: by address, header, path, or whatever a server knows.
/// Put it outside the layers that count.
///
/// Its tags go into the request's extensions, and override tags that are there already. The values of tags appear in
/// messages and logs: for a secret, such as an API key, use a name or a digest as the tag.
///
/// ```
/// use std::{convert::Infallible, net::SocketAddr, time::Duration};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
/// use tower_quota::{AdmissionLayer, Limiter, Tag, Tags, limit::{Limit, Limits}, tags::TagLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // With axum, `SocketAddr` would be `ConnectInfo<SocketAddr>`.
/// let by_address = TagLayer::new(|request| match request.extensions.get::<SocketAddr>() {
///     Some(address) => Tags::new().with("ip", address.ip().to_string()),
///     None => Tags::new(),
/// });
/// let limit = Limit::requests(1).every(Duration::from_secs(60)).per("ip");
/// let limiter = Limiter::new(Limits::new([limit])?);
/// let server = ServiceBuilder::new()
///     .layer(by_address)
///     .layer(AdmissionLayer::new(limiter).reject_when_full())
///     .service(service_fn(|_: Request<Full<Bytes>>| async {
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///     }));
///
/// let mut statuses = Vec::new();
/// for address in ["10.0.0.1:5", "10.0.0.2:5", "10.0.0.1:6"] {
///     let address: SocketAddr = address.parse()?;
///     let request = Request::get("/").extension(address).body(Full::<Bytes>::default())?;
///     statuses.push(server.clone().oneshot(request).await?.status().as_u16());
/// }
/// assert_eq!(statuses, [200, 200, 429]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct TagLayer {
    tags_of: TagsOf,
}

impl TagLayer {
    /// Creates a layer that asks `tags_of` for the tags of each request, without its body.
    pub fn new(tags_of: impl Fn(&Parts) -> Tags + Send + Sync + 'static) -> Self {
        TagLayer {
            tags_of: Arc::new(tags_of),
        }
    }

    /// Creates a layer that takes one tag from a header, if the header is there once and is visible ASCII. Otherwise
    /// the request goes without the tag; all such requests are counted together.
    pub fn header(name: HeaderName, tag: impl Into<Tag>) -> Self {
        let tag = tag.into();
        Self::new(move |request| {
            let mut values = request.headers.get_all(&name).iter();
            match (values.next().map(|value| value.to_str()), values.next()) {
                (Some(Ok(value)), None) => Tags::new().with(tag.clone(), value),
                _ => Tags::new(),
            }
        })
    }
}

impl fmt::Debug for TagLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for TagLayer {
    type Service = Tagged<S>;

    fn layer(&self, inner: S) -> Tagged<S> {
        Tagged {
            inner,
            layer: self.clone(),
        }
    }
}

/// Gives each request its tags. Made by [`TagLayer`].
#[derive(Clone, Debug)]
pub struct Tagged<S> {
    inner: S,
    layer: TagLayer,
}

impl<S, B> Service<Request<B>> for Tagged<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        let said = (self.layer.tags_of)(&parts);
        let tags = match parts.extensions.remove::<Tags>() {
            Some(there) => there.overlaid(&said),
            None => said,
        };
        parts.extensions.insert(tags);
        self.inner.call(Request::from_parts(parts, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tags that a request arrives with.
    fn tagged(layer: &TagLayer, request: http::request::Builder) -> String {
        struct Inner(String);

        impl Service<Request<()>> for &mut Inner {
            type Response = ();
            type Error = ();
            type Future = std::future::Ready<Result<(), ()>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<()>) -> Self::Future {
                self.0 = request.extensions().get::<Tags>().unwrap().to_string();
                std::future::ready(Ok(()))
            }
        }

        let mut inner = Inner(String::new());
        drop(layer.layer(&mut inner).call(request.body(()).unwrap()));
        inner.0
    }

    #[test]
    fn a_header_that_is_there_once_is_a_tag_and_no_other_is() {
        let layer = TagLayer::header(HeaderName::from_static("x-tenant"), Tag::Team);
        let with = |values: &[&str]| {
            let request = Request::get("/").header("x-other", "a");
            let add = |request: http::request::Builder, value: &&str| {
                request.header("x-tenant", value.as_bytes())
            };
            tagged(&layer, values.iter().fold(request, add))
        };
        assert_eq!(with(&["acme"]), "team=acme");
        assert_eq!(with(&[]), "");
        assert_eq!(with(&["acme", "other"]), "");
        assert_eq!(with(&["é"]), "");
    }

    #[test]
    fn what_the_inner_layer_says_goes_over_what_is_there_and_leaves_the_rest() {
        let layer = TagLayer::new(|_| Tags::new().with(Tag::User, "known"));
        let there = Tags::new().with(Tag::User, "claimed").with(Tag::Run, "r");
        let request = Request::get("/").extension(there);
        assert_eq!(tagged(&layer, request), "user=known run=r");
    }
}
