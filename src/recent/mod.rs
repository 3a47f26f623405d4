//! What became of recent calls, for people who ask why: the last refusals, and the story of each call that is open or
//! ended recently.
//!
//! [`Recent`] is an [`Observer`](crate::event::Observer). It is in memory, covers this process, and is bounded: it
//! keeps the last 200 refusals and the last 1 000 calls that are over, unless [set otherwise](Recent::keeping), and up
//! to 100 events per call, of which those in the middle are dropped first. Calls that are open are all there.
//!
//! It knows what [observers](crate::event) are told. So it knows nothing of calls that could not be read, of calls that
//! were refused before they came to the layers, or of calls made on the [limiter](crate::Limiter) without a layer.
//!
//! A call's number is [`ObservedCall::id`](crate::event::ObservedCall::id). This is the number of the
//! [`Progress`](crate::limiter::Progress) in its request's extensions, so that whoever made the call can ask for it.
//!
//! It contains nothing of what was asked and answered, and no key: targets are named by provider, model and the key's
//! label. Text that callers and providers write is cut to a maximum length.
//!
//! # As JSON
//! [`Refusal`] and [`Story`] are `Serialize`. Moments are written as `2026-11-26T12:00:00.000Z`, spans as seconds.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_quota::{Limiter, RateLimitLayer, Tag, Tags, limit::{Limit, Limits}, limiter::Progress, recent::Recent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recent = Recent::new();
//! let limits = Limits::new([Limit::tokens(100).every(Duration::from_secs(60)).per(Tag::Team)])?;
//! let layer = RateLimitLayer::new(Limiter::new(limits)).observe(recent.clone());
//! # let client = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
//! let client = ServiceBuilder::new().layer(layer).service(client);
//!
//! let progress = Progress::new();
//! let request = Request::post("https://api.openai.com/v1/chat/completions")
//!     .extension(progress.clone())
//!     .extension(Tags::new().with(Tag::Team, "blue"))
//!     .body(Full::from(r#"{"model": "gpt-4o", "max_tokens": 500, "messages": []}"#))?;
//! assert_eq!(client.oneshot(request).await?.status(), 413);
//!
//! let refusals = recent.refusals(&Tags::new());
//! assert_eq!((refusals[0].call, refusals[0].kind), (progress.id(), "never_fits"));
//! assert!(recent.refusals(&Tags::new().with(Tag::Team, "red")).is_empty());
//!
//! let story = serde_json::to_value(recent.call(progress.id()))?;
//! let what: Vec<_> = story["events"].as_array().unwrap().iter().map(|event| &event["what"]).collect();
//! assert_eq!(what, ["came", "refused", "over"]);
//! assert_eq!(story["events"][1]["message"], refusals[0].message.as_ref());
//! # Ok(())
//! # }
//! ```

mod bounds;
mod keep;
mod refusal;
mod story;

pub use keep::Recent;
pub use refusal::Refusal;
pub use story::{AttemptStory, Moment, Story, What};
