//! Refuses a call whose worst-case cost does not fit the money left, and charges what it really cost.
//!
//! A budget is a limit on [cost](crate::limit::Limit::cost) in the limiter. What a call may cost at most is reserved
//! before it leaves: all of its body as input, each byte a token; the largest of its caps on output, or the most that
//! the model gives; at the dearest rate and tier that may apply. When it has ended, what it used is charged by the
//! same prices, or what the provider says that it charges, if that is more; of a stream that broke or was dropped what
//! was seen of it, each token as long as in the model's other answers, and as long as a byte while there were none; its
//! input, where it said that it failed before it said anything else; and all that was reserved where
//! nothing was seen. What is settled and what is reserved never pass the
//! budget together, as far as a call's own words bound its cost; what it costs beyond them is booked, and stops the
//! next ones.
//!
//! - Money that is *spent* is refused at once with 402, a [`Rejection::BudgetExceeded`](crate::Rejection::BudgetExceeded)
//!   that says when there is more, unless that is soon. For money that is only *reserved* a call waits, thirty seconds
//!   where nothing else is said: most calls cost less than they might have. Others wait behind it.
//! - A stream that comes to more than was reserved for it has more reserved while it goes on, before all who wait. Where
//!   a budget has no more, it ends after the event that was too much, with an error in the words of its dialect that
//!   says why, and its provider's connection is let go. So a budget is passed by one event of a stream at most, as far as
//!   what comes shows what it costs; of an answer whose length is known, or whose end was told, all is let through.
//! - A model that has no price is refused with 402 as well: a budget that counts nothing is no budget.
//!
//! # What it does not know
//! - Input that is not in the body: images and files by URL or number, earlier answers (`previous_response_id`), what
//!   was cached before (`cachedContent`). Several prompts in one request.
//! - What is charged besides tokens: tools that are billed by the call, images, audio, and regions that cost more. An
//!   attempt that paid for such is counted as [`unpriced`](crate::statistics::Figures::unpriced), unless its provider
//!   named the whole cost.
//! - Requests in no dialect that is known, by which images or batches are made: they pass and count nothing.
//! - What a provider bills for an answer that is an error.
//! - How long the tokens of the input are. That matters where a stream breaks off that says it at the end alone, as
//!   OpenAI's do: its input is then taken for a token every four bytes.
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
