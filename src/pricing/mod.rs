//! From usage to money: pure, without a clock or I/O.
//!
//! A [`PriceTable`] knows the prices of models. It can begin with the [built-in](PriceTable::built_in) prices, which
//! have a [date](BUILT_IN_DATE); LiteLLM's price file can be [read](PriceTable::read_litellm) on top, and single prices
//! can be [set](PriceTable::set). A model that is not listed has no price: what it costs is not guessed.

mod doubt;
mod litellm;
mod name;
mod price;
mod rate;
mod table;

pub use litellm::{LiteLlm, LiteLlmError};
pub use name::Found;
pub(crate) use name::provider as provider_name;
#[cfg(feature = "config")]
pub(crate) use name::providers as provider_names;
pub use price::{Long, Price, Rates, ServiceTier};
pub use rate::Rate;
pub use table::{BUILT_IN_DATE, PriceTable};
