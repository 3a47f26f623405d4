//! Alerts to webhooks: what somebody should know who is not looking at a screen.
//!
//! | kind | says | is over |
//! |---|---|---|
//! | `threshold` | a share of a budget is spent: once a period for each of its [thresholds](crate::limit::Limit::thresholds) | |
//! | `circuit` | a budget was exceeded, and stops calls until it is reset | when it is reset, or is a budget no more |
//! | `spent` | attempts are refused because a budget is spent; on a route, their calls may go on to other targets | |
//! | `breaker` | a target of a route fails and is passed over | when it serves again |
//! | `parked` | a key or an account is out of money or quota, or is refused by its provider; it is not used until the time that the text names | when an operator takes that back |
//! | `forecast` | at the pace of the last half hour, a budget with a calendar period will be spent before that period ends; from when a quarter of it is spent | |
//!
//! - A webhook is told once of each kind and subject (a budget, a target). It is told again if that was over in
//!   between, or if it still happens after [a while](Webhook::again_after). Its end is told only to webhooks that were
//!   told of its beginning.
//! - Open circuits are looked for once a minute, a thousand of them at most: a webhook is also told of those that opened
//!   before the process began or before it was a webhook, or in another process on the same store; and if another
//!   process has reset one, that this is over.
//! - Nothing waits for a webhook: each has a queue of 256 alerts, which a task of its own sends in order. An alert that
//!   finds the queue full is dropped, and [listeners](Alerts::on_outcome) are told.
//! - If a webhook answers 429 or 5xx, answers too late or cannot be reached, the alert is sent again: after the time
//!   that the answer asks for, else after a wait that doubles each time. Every other status but 2xx is final, and
//!   redirects are not followed.
//! - Each alert has an id, the same each time it is sent, and also sent as the header `idempotency-key`: receivers that
//!   already have the alert can drop it. An alert that was answered too late may have been accepted.
//!
//! The addresses of webhooks and the values of their headers are secrets: no `Debug` output, error or outcome shows
//! them.
//!
//! # What is sent
//! As [`Form::Json`]:
//! `{"id":"9f2c…-1","kind":"breaker","subject":"openai/gpt-4o (main)","text":"…","is_over":false,"at":"2026-11-26T12:00:00Z"}`.
//! As [`Form::Slack`]: `{"text":"…","mrkdwn":false}`. Whatever callers name themselves, nothing in that text becomes a
//! link or a mention, in Slack or in the other services that take this form: it is escaped, or broken by a zero-width
//! space.
//!
//! # What it does not do
//! Alerts that are in a queue when the process is killed are lost. Each process sends its own alerts, so of an open
//! circuit every process tells that shares the store. An alert that could not be delivered in the end counts as told:
//! while the condition lasts, a webhook that refuses alerts is told of it no sooner and no more often than others.
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
mod circuits;
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
