//! Bodies: the response that is metered while it passes, the response of our own, the future of both.

mod finish;
mod future;
mod keep;
mod refusal;
mod response;

pub use future::ResponseFuture;
pub use response::ResponseBody;

pub(crate) use finish::finish;
pub(crate) use keep::keep;
pub(crate) use refusal::refuse;
