//! From usage to money. Pure: no clock, no I/O.
//!
//! A [`PriceTable`] knows the prices of models. It begins with [built-in](PriceTable::built_in) ones, which have a
//! [date](BUILT_IN_DATE); LiteLLM's price file can be [read](PriceTable::read_litellm) on top, and single prices
//! [set](PriceTable::set). A model without a price has none: nobody guesses what it costs.

mod doubt;
mod litellm;
mod name;
mod price;
mod rate;
mod table;

pub use litellm::{LiteLlm, LiteLlmError};
pub use name::Found;
#[cfg(feature = "config")]
pub(crate) use name::provider as provider_name;
pub use price::{Long, Price, Rates, ServiceTier};
pub use rate::Rate;
pub use table::{BUILT_IN_DATE, PriceTable};
