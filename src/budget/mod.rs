//! Refuses a call whose worst-case cost does not fit the money left, and charges what it really cost.
//!
//! A budget is a limit on [cost](crate::limit::Limit::cost) in the limiter. What a call may cost at most is reserved
//! before it leaves: all of its body as input, each byte a token; its cap on output, or the most that the model gives;
//! at the dearest rate that may apply. When it has ended, what it used is charged by the same prices, or what the
//! provider says that it cost; of a stream that broke or was dropped what was seen of it; and all that was reserved
//! where nobody can say. So what is settled and what is reserved never pass the budget together.
//!
//! - Money that is *spent* is refused at once with 402, a [`Rejection::BudgetExceeded`](crate::Rejection::BudgetExceeded)
//!   that says when there is more. For money that is only *reserved* a call waits, thirty seconds where nothing else
//!   is said: most calls cost less than they might have.
//! - A model that has no price is refused with 402 as well: a budget that counts nothing is no budget.
//!
//! What it does not know: images that a request names by a URL, tools that a provider bills by the call, other service
//! tiers than the standard one.
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
mod service;

pub use layer::BudgetLayer;
pub use service::Budget;
