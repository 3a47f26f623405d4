//! An outage is not multiplied (R5), and the repeats of a caller and ours do not multiply (R8): counted by the provider.
//!
//! All in virtual time.
#![cfg(feature = "sim")]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod busy;
mod load;
mod outage;
mod provider;
mod rerouted;
mod sdk;
