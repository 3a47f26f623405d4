//! Limits and the arithmetic of windows: pure rules.
//!
//! Nothing in here owns a clock, a lock or a task: time is an argument, and a decision is a value.

mod adapt;
mod amount;
mod around;
mod by_calendar;
mod by_run;
mod calendar;
mod change;
mod charge;
mod circuit;
#[path = "limit.rs"]
mod definition;
mod demand;
mod difference;
mod error;
mod even;
mod foreign;
mod getters;
mod hear;
mod hold;
mod identity;
mod idle;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod kept;
mod key;
mod learnt;
mod life;
mod new_target;
mod of_key;
mod pause;
mod period;
mod quantity;
mod reach;
mod revise;
mod set;
mod share;
mod terms;
mod tick;
mod wall;
mod window;
mod words;

pub use calendar::{Calendar, CalendarError, CalendarUnit};
pub use charge::{Charge, ChargedAt, TokenCharge};
pub use definition::{Count, Limit};
pub use demand::Demand;
pub use error::LimitError;
pub use key::LimitKey;
pub use new_target::NewTarget;
pub use period::Period;
pub use quantity::{Quantities, Quantity};
pub use set::Limits;
pub use tick::Tick;
pub use window::Room;

pub(crate) use around::Around;
pub(crate) use charge::Parts;
pub(crate) use circuit::Happened;
#[cfg(feature = "config")]
pub(crate) use difference::Difference;
pub(crate) use hear::{Charged, Counters, Refill};
pub(crate) use hold::Hold;
pub(crate) use identity::{Identity, pairs};
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) use kept::KeptLimits;
pub(crate) use life::Life;
pub(crate) use set::{Level, Rule};
pub(crate) use terms::{Asked, Measure, Terms};
pub(crate) use tick::micros;
pub(crate) use wall::{Wall, WallCalendar};
pub(crate) use window::{Spent, Window};
