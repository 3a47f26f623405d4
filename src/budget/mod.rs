//! Refuses a call whose worst-case cost does not fit the money left, and charges what it really cost.
//!
//! A budget is a limit on [cost](crate::limit::Limit::cost) in the limiter. Before a call leaves, the most that it may
//! cost is reserved: its whole body as input, one token per byte; as output, the largest of its caps or, without a cap,
//! the most that the model gives; all of it at the dearest rate and tier that may apply.
//!
//! When the call has ended, what it used is charged by the same prices, or what the provider says that it charges, if
//! that is more. Where an answer says how many tokens are billed, as Cohere's do, those are charged. A stream that broke
//! or was dropped is charged for what was seen of it, with as many bytes to a token as in the model's other answers, or
//! one byte while there are none. If it said that it failed before it said anything else, only what it had reported by
//! then, such as its input, is charged. If nothing was seen of it, all that was reserved is charged.
//!
//! What is settled and what is reserved never exceed the budget together, as far as the call's own words bound its
//! cost. A cost beyond that is booked, and stops the next calls.
//!
//! - If the money is *spent*, a call is refused at once with 402 and a
//!   [`Rejection::BudgetExceeded`](crate::Rejection::BudgetExceeded) that says when there is more, unless that is soon
//!   enough to wait for. If the money is only *reserved*, the call waits, for thirty seconds by default, because most
//!   calls cost less than they might have. Other calls wait behind it.
//! - For a stream that comes to more than was reserved for it, more is reserved while it goes on, ahead of all calls
//!   that wait. If a budget has no more, the stream ends after the event that was too much, with an error in its
//!   dialect that says why, and the connection to its provider is closed. A budget is therefore exceeded by at most one
//!   event of a stream, as far as what arrives shows what it costs. An answer whose length is known, or whose end was
//!   announced, is let through whole.
//! - A model without a price is refused with 402 as well: a budget that counts nothing is no budget.
//!
//! # What it does not know
//! - Input that is not in the body: images and files by URL or number, earlier answers (`previous_response_id`), and
//!   what was cached before (`cachedContent`). Several prompts in one request.
//! - What is charged besides tokens: tools that are billed by the call, images, audio, and regions that cost more; and
//!   how much dearer a faster tier is (`priority`, `fast`) for which the model's price has no rates. An attempt that
//!   paid for any of these is counted as [`unpriced`](crate::statistics::Figures::unpriced), unless its provider named
//!   the whole cost.
//! - Requests in no known dialect, such as those that make images or batches: they pass and count nothing, unless their
//!   tags name a model. Then they need a price, and what they may cost at most is reserved.
//! - What an answer in the background came to (`background: true` of the responses API), unless its stream is read to its
//!   end: what was reserved is charged, and what is read of it later changes nothing.
//! - What a provider bills for an answer that is an error.
//! - How long the tokens of the input are. This matters for a stream that breaks off and whose provider reports its
//!   input only at the end, as OpenAI does: its input is then counted at four bytes per token.
//!
//! ```
//! use std::sync::Arc;
//! use tower_layer::Layer;
//! use tower_quota::{
//!     BudgetLayer, Limiter, Money, Tag,
//!     limit::{CalendarUnit, Limit, Limits},
//!     pricing::PriceTable,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::new([
//!     Limit::cost(Money::from_dollars(500)).every_calendar(CalendarUnit::Month, "Europe/Berlin"),
//!     Limit::cost(Money::from_dollars(5)).every_run(),
//! ])?;
//! let layer = BudgetLayer::new(Limiter::new(limits), Arc::new(PriceTable::built_in()));
//! # let client = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
//! # });
//! let client = layer.layer(client);
//! # fn is_service<S: tower_service::Service<http::Request<http_body_util::Full<bytes::Bytes>>>>(_: S) {}
//! # is_service(client);
//! # Ok(())
//! # }
//! ```

mod layer;
mod prices;
mod service;

pub use layer::BudgetLayer;
pub use service::Budget;
pub(crate) use service::PricedGate;
