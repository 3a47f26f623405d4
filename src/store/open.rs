//! From the place that a setting names to the store there.

use std::sync::Arc;

use super::MemoryStore;
use super::setting::{Place, StoreSettingError};
#[cfg(feature = "redis")]
use super::{RedisStore, redis::RedisOptions};
#[cfg(feature = "sqlite")]
use super::{
    SqliteStore,
    sqlite::{SqliteOptions, Survives},
};
use crate::limit::Limits;

/// A store, by its kind.
pub(crate) enum Opened {
    Memory(Arc<MemoryStore>),
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<SqliteStore>),
    #[cfg(feature = "redis")]
    Redis(Arc<RedisStore>),
}

/// What is said of a store beside where it is. What is not said is as the store has it.
#[derive(Default)]
pub(crate) struct Terms {
    pub(crate) max_counts: Option<usize>,
    pub(crate) absorb_counters: Option<bool>,
    /// Who changes limits, for an audit log.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(crate) by: Option<&'static str>,
}

/// `with!(options, max_counts = terms.max_counts, …)`: what is said.
macro_rules! with {
    ($options:expr, $($name:ident = $said:expr),*) => {{
        let mut options = $options;
        $(if let Some(said) = $said {
            options = options.$name(said);
        })*
        options
    }};
}

/// Whether this program can open what is there, by all that can be said without opening it.
pub(super) fn check(place: &Place) -> Result<(), StoreSettingError> {
    match place {
        #[cfg(not(feature = "sqlite"))]
        Place::File { .. } => Err(StoreSettingError::FeatureOff("sqlite")),
        #[cfg(not(feature = "redis"))]
        Place::Server(_) => Err(StoreSettingError::FeatureOff("redis")),
        #[cfg(feature = "redis")]
        Place::Server(url) => {
            use secrecy::ExposeSecret as _;

            let none = Limits::new([]).map_err(StoreSettingError::open)?;
            let options = RedisOptions::new(url.expose_secret(), none);
            options.map(drop).map_err(StoreSettingError::open)
        }
        _ => Ok(()),
    }
}

impl Opened {
    pub(super) fn at(
        place: &Place,
        limits: Limits,
        terms: &Terms,
    ) -> Result<Self, StoreSettingError> {
        let (most, absorb) = (terms.max_counts, terms.absorb_counters);
        Ok(match place {
            Place::Memory => {
                let store = MemoryStore::new(limits);
                let store = with!(store, max_counts = most, absorb_counters = absorb);
                Opened::Memory(store.into())
            }
            #[cfg(feature = "sqlite")]
            Place::File { path, written } => {
                let survives = match written.survives_kill_alone {
                    true => Survives::Kill,
                    false => Survives::Power,
                };
                let options = SqliteOptions::new(path, limits).survives(survives);
                let options = options.ahead(written.ahead);
                let options = with!(
                    options,
                    max_counts = most,
                    absorb_counters = absorb,
                    by = terms.by
                );
                let store = options.open().map_err(StoreSettingError::open)?;
                Opened::Sqlite(store.into())
            }
            #[cfg(not(feature = "sqlite"))]
            Place::File { .. } => return Err(StoreSettingError::FeatureOff("sqlite")),
            #[cfg(feature = "redis")]
            Place::Server(url) => {
                use secrecy::ExposeSecret as _;

                let options = RedisOptions::new(url.expose_secret(), limits);
                let options = options.map_err(StoreSettingError::open)?;
                let options = with!(
                    options,
                    max_counts = most,
                    absorb_counters = absorb,
                    by = terms.by
                );
                let store = options.open().map_err(StoreSettingError::open)?;
                Opened::Redis(store.into())
            }
            #[cfg(not(feature = "redis"))]
            Place::Server(_) => return Err(StoreSettingError::FeatureOff("redis")),
        })
    }
}
