//! What was used, what it cost and what was refused: per hour, day, week and month; by provider, model, agent, user,
//! team, and any other tags.
//!
//! A [`BudgetLayer`](crate::BudgetLayer) or [`RateLimitLayer`](crate::RateLimitLayer) that is given [`Statistics`]
//! records each attempt once, when it ends, in the period in which it ends, under the tags it was claimed for. It
//! records the usage that the provider reported, or else the estimate, at the prices of that layer: exactly what its
//! budgets count. A refusal is recorded when it happens, whoever refuses, as long as the call has come to the layer
//! that records.
//!
//! - No claim has to wait for it. An attempt that ends gives back what it held, then takes one lock and writes one row
//!   in each table; every five minutes, one of these attempts merges the rows. Snapshots and reports are copied under
//!   the same lock.
//! - Memory is bounded. A table has at most 500 rows by default, and further values are counted together; of each
//!   length of period a fixed number is kept. If five tags have more values than that in every hour for fourteen
//!   months, that takes 82 MB.
//! - Hours begin with those of the wall clock, days at midnight and weeks on Monday, in one time zone. If the clock is
//!   set back, what arrives until it has caught up counts in the period that had already begun.
//! - Calls without a tag have a row with an empty value. Requests that could not be read are not recorded.
//!
//! ```
//! use std::{convert::Infallible, sync::Arc};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Full};
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_quota::{
//!     BudgetLayer, Limiter, Money, Statistics, Tag, Tags,
//!     limit::{CalendarUnit, Limit, Limits},
//!     pricing::PriceTable,
//!     statistics::Ends,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = service_fn(|_: Request<Full<Bytes>>| async {
//! #     let body = r#"{"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}"#;
//! #     let answer = Response::builder().header("content-type", "application/json");
//! #     Ok::<_, Infallible>(answer.body(Full::from(body)).unwrap())
//! # });
//! let budget = Limit::cost(Money::from_dollars(50)).every_calendar(CalendarUnit::Day, "UTC").per(Tag::Agent);
//! let limiter = Limiter::new(Limits::new([budget])?);
//! let statistics = Statistics::new();
//! let layer = BudgetLayer::new(limiter.clone(), Arc::new(PriceTable::built_in())).statistics(statistics.clone());
//! let client = ServiceBuilder::new().layer(layer).service(client);
//!
//! let request = Request::post("https://api.openai.com/v1/chat/completions")
//!     .extension(Tags::new().with(Tag::Agent, "scout"))
//!     .body(Full::from(r#"{"model": "gpt-4o", "max_tokens": 500, "messages": []}"#))?;
//! client.oneshot(request).await?.into_body().collect().await?;
//!
//! let today = statistics.report(CalendarUnit::Day, &[Tag::Model]).unwrap();
//! let figures = today.of_value(&Tag::Model, "gpt-4o");
//! assert_eq!((figures.requests, figures.tokens()), (1, 1_200));
//! assert_eq!(figures.cost.to_string(), "$0.0045");
//! assert_eq!(serde_json::to_value(&today)?["rows"][0]["cost"], "0.0045");
//!
//! // What is left of each budget, and when it ends should things go on so.
//! let forecast = statistics.forecast(&limiter.budgets().await?);
//! assert_eq!(forecast[0].left.to_string(), "$49.9955");
//! assert!(forecast[0].budget.contains("for agent=scout"));
//! assert!(matches!(forecast[0].ends, Ends::Turns(_)));
//! # Ok(())
//! # }
//! ```

mod book;
mod figures;
mod forecast;
pub(crate) mod instant;
mod keep;
mod recorders;
mod report;
mod snapshot;
mod table;

pub use figures::Figures;
pub use forecast::{Ends, Forecast, Pace, ends};
pub use keep::Statistics;
pub(crate) use recorders::Recorders;
pub use report::{Report, Row};
pub use snapshot::{StatisticsError, StatisticsSnapshot};
