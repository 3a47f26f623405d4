//! Counts that processes on many machines share, on a Redis or Valkey server, alone or in a cluster.
mod address;
mod answers;
mod entry;
mod error;
mod history;
mod line;
mod link;
mod news;
mod options;
mod outage;
mod replica;
mod ring;
mod shared;
mod store;
mod trip;
mod worker;

pub use error::OpenError;
pub use options::{OnError, RedisOptions};
pub use store::RedisStore;
