//! Alerts to webhooks: what somebody should know who looks at no screen.
//!
//! | kind | says | is over |
//! |---|---|---|
//! | `threshold` | so much of a budget is spent: each of its [thresholds](crate::limit::Limit::thresholds), once a period | |
//! | `circuit` | a budget went over, and stops until it is reset | when it is reset |
//! | `spent` | attempts are refused because the money of a budget is spent; with a route their calls may go on elsewhere | |
//! | `breaker` | a target of a route fails, and is passed over | when it serves again |
//! | `parked` | a key or an account is out of money or quota, or refused, and is left alone until then | |
//! | `forecast` | a budget of a calendar's period, of which a quarter is spent, ends before its period does, should the pace of the last half hour go on | |
//!
//! - Of each kind and subject (a budget, a target) a webhook is told once, and again when it has been over since, or
//!   after [a while](Webhook::again_after). What is over is told of where its beginning was.
//! - Nothing waits for a webhook: alerts go through a queue of 256 for each, in order, from a task of its own. What finds it full
//!   is dropped, and told [listeners](Alerts::on_outcome).
//! - A webhook that answers 429 or 5xx, answers too late or is not reached is tried again: after the time that it tells, else
//!   after a time that doubles. All other statuses than 2xx are a no, and redirects are not followed.
//! - Each alert has an id, the same each time it is sent, also as the header `idempotency-key`: receivers that have
//!   taken it can drop it. What was answered too late may have been taken.
//!
//! Addresses of webhooks and values of their headers are secrets: no `Debug`, error or outcome shows them.
//!
//! # What is sent
//! As [`Form::Json`]: `{"id":"9f2c…-1","kind":"breaker","subject":"openai/gpt-4o (main)","text":"…","is_over":false,
//! "at":"2026-11-26T12:00:00Z"}`. As [`Form::Slack`]: `{"text":"…"}`, in which nothing is a link or calls anybody, whatever
//! callers name themselves, also where others take that form: what would be has a space without width in it.
//!
//! # What it does not do
//! What is in the queue when the process is killed is lost. Each process tells for itself. An alert that was not delivered
//! in the end counts as told: of what goes on a webhook that refuses it hears no sooner again, and no more often.
//!
//! ```
//! use tower_quota::{Limiter, RateLimitLayer, alerts::{Alerts, Form, Kind, Webhook}, limit::Limits};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let webhook = Webhook::new("https://hooks.slack.com/services/T0/B0/secret")?.form(Form::Slack).on([Kind::Breaker]);
//! assert!(!format!("{webhook:?}").contains("secret"));
//! let alerts = Alerts::new([webhook])?;
//! let limiter = Limiter::new(Limits::new([])?);
//! let layer = alerts.attach(RateLimitLayer::new(limiter.clone()), &limiter);
//!
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let telling = tokio::spawn(alerts.run(async { drop(stopped.await) }));
//! // … serve; then what is still to be told goes out.
//! drop(stop);
//! telling.await?;
//! # let _ = layer;
//! # Ok(())
//! # }
//! ```

mod ahead;
mod alert;
mod client;
mod deliver;
mod form;
mod hook;
mod kind;
mod queue;
mod repeats;
mod sources;
mod webhook;

pub use alert::Alert;
#[cfg(feature = "gateway")]
pub(crate) use client::{Post, causes};
pub use deliver::{NotDelivered, Outcome, Told};
pub use kind::Kind;
pub use queue::Alerts;
pub use webhook::{BadWebhook, Form, Webhook};
