//! What happens to calls, as it happens, for whoever watches.
//!
//! An [`Observer`] that is given to [`RateLimitLayer::observe`](crate::RateLimitLayer::observe), or to whichever layer
//! is outermost, is told of each call that comes to that layer and can be read: that it [came](Event::Came), what it
//! [waits](Event::Waits) for, each attempt and each refusal, until it is [over](Event::Over). Metrics
//! (`tower_quota::metrics`, with the feature `metrics`) and spans ([`Tracing`], with the feature `tracing`) are
//! observers.
//!
//! - Observers are called by whatever code causes the event, with no lock held. They must neither block nor panic: a
//!   call ends where its body is dropped.
//! - The events of one call come in order, unless a foreign layer sends the call twice at once. Events of different
//!   calls come in any order.
//! - If there is no observer, none of this work is done.
//! - What budgets and targets do apart from calls is told elsewhere: [`Limiter::on_event`](crate::Limiter::on_event),
//!   [`FailoverLayer::on_event`](crate::FailoverLayer::on_event).
//! - Calls made on the [limiter](crate::Limiter) without a layer are not seen.
//!
//! ```
//! use std::{convert::Infallible, sync::{Arc, Mutex}};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Full};
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_quota::{Limiter, RateLimitLayer, event::{Event, ObservedCall}, limit::Limits};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let heard = Arc::new(Mutex::new(Vec::new()));
//! let ear = heard.clone();
//! let layer = RateLimitLayer::new(Limiter::new(Limits::new([])?)).observe(move |call: &ObservedCall, event: &Event<'_>| {
//!     let what = match event {
//!         Event::Came => format!("{:?} came", call.dialect()),
//!         Event::Ended(end) => format!("attempt {} took {} tokens", end.number, end.usage.map_or(0, |used| used.input)),
//!         Event::Over(end) => format!("over after {} attempt: {}", end.attempts, end.outcome.name()),
//!         _ => return,
//!     };
//!     ear.lock().unwrap().push(what);
//! });
//! # let client = service_fn(|_: Request<Full<Bytes>>| async {
//! #     let body = r#"{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}"#;
//! #     let answer = Response::builder().header("content-type", "application/json");
//! #     Ok::<_, Infallible>(answer.body(Full::<Bytes>::from(body)).unwrap())
//! # });
//! let client = ServiceBuilder::new().layer(layer).service(client);
//! let request = Request::post("https://api.openai.com/v1/chat/completions")
//!     .body(Full::from(r#"{"model": "gpt-4o", "max_tokens": 500, "messages": []}"#))?;
//! client.oneshot(request).await?.into_body().collect().await?;
//! let expected = ["OpenAiChat came", "attempt 1 took 9 tokens", "over after 1 attempt: ok"];
//! assert_eq!(*heard.lock().unwrap(), expected);
//! # Ok(())
//! # }
//! ```

mod call;
mod happening;
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) mod names;
mod observers;
#[cfg(feature = "tracing")]
mod tracing;
mod waiting;
mod watched;

pub use call::ObservedCall;
pub use happening::{AttemptEnd, AttemptOutcome, CallEnd, CallOutcome, Event};
pub use observers::Observer;
pub(crate) use observers::Observers;
#[cfg(feature = "tracing")]
pub use tracing::Tracing;
pub(crate) use waiting::Waiting;
pub(crate) use watched::Watched;
