//! Bodies: the response body that is metered while it passes, the body of this crate's own responses, and the future of
//! both.

mod answer;
mod exchange;
mod future;
mod hiding;
mod keep;
mod metering;
mod onward;
mod pass;
mod rate_limit;
mod refusal;
mod response;
mod stream;

pub use future::ResponseFuture;
pub use response::ResponseBody;

pub(crate) use exchange::{exchange, send_once};
pub(crate) use keep::keep;
pub(crate) use onward::{Answered, Onward, Out};
pub(crate) use pass::pass;
#[cfg(feature = "gateway")]
pub(crate) use refusal::tell_help;
pub(crate) use refusal::{SHOULD_RETRY, refuse, tell_wait, untell_wait};
