//! Claims that programs hold, each until it is settled or its lease ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{task::AbortHandle, time::sleep};

use super::{observed::Working, room::Permits};
use crate::{gateway::calls::Open, money::Money, usage::Usage};

/// More are not held at once: a program that never settles is to be noticed.
const MOST: usize = 10_000;

/// Nor by one key: others are to have some, too.
const MOST_OF_ONE: usize = 1_000;

/// All that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenClaims(Arc<Mutex<HashMap<String, Held>>>);

#[derive(Debug)]
struct Held {
    permits: Permits,
    working: Working,
    /// The name of the key that it was claimed with.
    owner: Option<String>,
    terms: Terms,
    lease: AbortHandle,
    /// As long as this is there it is among the open calls.
    _open: Watch,
    /// How often it was extended: a lease that has ended just then is not the one that holds.
    extended: u64,
}

/// What it was claimed for.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    /// What was reserved, where that is known.
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cost: Option<Money>,
}

impl Terms {
    pub(super) fn reserved(&self) -> Usage {
        Usage {
            cost: self.cost,
            ..Usage::new(self.input, self.output)
        }
    }
}

/// Waits for an operator to end it, until it is dropped.
#[derive(Debug)]
struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a claim cannot be held, or is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotHeld {
    #[error(
        "{MOST_OF_ONE} claims of one key, or {MOST} in all, are open already; settle those that are done, or claim for shorter"
    )]
    TooMany,
    #[error("the system gives no random bytes, so no claim can be named")]
    NoChance,
    #[error(
        "no claim of this name is open: it was settled, its lease has ended, or it is somebody else's"
    )]
    Unknown,
}

impl OpenClaims {
    /// Holds one, until it is taken or this span is over: then what was reserved counts as used. An operator who ends it, as
    /// any open call, gives all of it back.
    pub(super) fn hold(
        &self,
        (permits, working, open): (Permits, Working, Open),
        owner: Option<String>,
        terms: Terms,
        lease: Duration,
    ) -> Result<String, NotHeld> {
        let given_back = |permits: Permits, working: Working, why| {
            permits.release();
            working.given_back();
            Err(why)
        };
        let name = match name() {
            Ok(name) => name,
            Err(why) => return given_back(permits, working, why),
        };
        let mut claims = self.0.lock();
        let own = claims.values().filter(|held| held.owner == owner);
        if claims.len() >= MOST || own.count() >= MOST_OF_ONE {
            drop(claims);
            return given_back(permits, working, NotHeld::TooMany);
        }
        let held = Held {
            permits,
            working,
            owner,
            terms,
            lease: self.end_after(&name, 0, lease),
            _open: self.watch(&name, open),
            extended: 0,
        };
        claims.insert(name.clone(), held);
        Ok(name)
    }

    /// What it was claimed for, and by whom; for an owner, or for `anybody`.
    pub(super) fn terms(
        &self,
        name: &str,
        owner: Option<&str>,
        anybody: bool,
    ) -> Result<(Terms, Option<String>), NotHeld> {
        let claims = self.0.lock();
        let held = claims.get(name);
        let own = held.filter(|held| anybody || held.owner.as_deref() == owner);
        let own = own.map(|held| (held.terms.clone(), held.owner.clone()));
        own.ok_or(NotHeld::Unknown)
    }

    /// Takes one that this one holds.
    pub(super) fn take(
        &self,
        name: &str,
        owner: Option<&str>,
    ) -> Result<(Permits, Working), NotHeld> {
        let mut claims = self.0.lock();
        let is_own = claims
            .get(name)
            .is_some_and(|held| held.owner.as_deref() == owner);
        let held = is_own.then(|| claims.remove(name)).flatten();
        drop(claims);
        let Held {
            permits,
            working,
            lease,
            ..
        } = held.ok_or(NotHeld::Unknown)?;
        lease.abort();
        Ok((permits, working))
    }

    /// Has one last so long from now on.
    pub(super) fn extend(
        &self,
        name: &str,
        owner: Option<&str>,
        lease: Duration,
    ) -> Result<(), NotHeld> {
        let mut claims = self.0.lock();
        let held = claims
            .get_mut(name)
            .filter(|held| held.owner.as_deref() == owner);
        let held = held.ok_or(NotHeld::Unknown)?;
        held.extended += 1;
        let lease = self.end_after(name, held.extended, lease);
        let old = std::mem::replace(&mut held.lease, lease);
        old.abort();
        Ok(())
    }

    /// Ends all of them, as if their leases were over: nobody can settle them any more.
    pub(super) fn end_all(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        drop(all);
    }

    fn watch(&self, name: &str, open: Open) -> Watch {
        let (claims, name) = (self.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            open.cancelled().await;
            let held = claims.0.lock().remove(&name);
            if let Some(held) = held {
                held.lease.abort();
                held.permits.release();
                held.working.given_back();
            }
        });
        Watch(task.abort_handle())
    }

    fn end_after(&self, name: &str, extended: u64, lease: Duration) -> AbortHandle {
        let (claims, name) = (self.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            sleep(lease).await;
            let mut claims = claims.0.lock();
            let is_over = claims
                .get(&name)
                .is_some_and(|held| held.extended == extended);
            let over = is_over.then(|| claims.remove(&name));
            drop(claims);
            // What becomes of it is its own business, and takes locks.
            drop(over);
        });
        task.abort_handle()
    }
}

/// Nobody finds another's by trying.
fn name() -> Result<String, NotHeld> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| NotHeld::NoChance)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::observed::Asking, *};
    use crate::{
        gateway::calls::Calls,
        limit::{Limit, Limits},
        limiter::{Call, Limiter, Progress},
        rate_limit::RateLimitLayer,
        tags::Tags,
    };

    const TERMS: Terms = Terms {
        provider: None,
        model: None,
        input: 0,
        output: 0,
        cost: None,
    };

    fn open(calls: &Calls) -> Open {
        calls.open(Progress::new(), Tags::new(), "/quota/claims")
    }

    fn working(limiter: &Limiter) -> Working {
        let layer = RateLimitLayer::new(limiter.clone());
        let asking = Asking::of(&layer, &Progress::new(), Arc::default());
        asking.begins(&TERMS)
    }

    async fn held(limiter: &Limiter) -> Permits {
        let permit = limiter.acquire(Call::new()).await;
        Permits::of(vec![permit.unwrap()])
    }

    fn ids(calls: &Calls) -> Vec<u64> {
        calls.each(|id, _, _, _| id)
    }

    fn limiter() -> Limiter {
        let requests = Limit::requests(2).every(Duration::from_secs(600));
        Limiter::new(Limits::new([Limit::concurrency(1), requests]).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_nobody_settles_ends_with_its_lease_and_counts() {
        let (limiter, claims) = (limiter(), OpenClaims::default());
        let lease = Duration::from_secs(60);
        let held = held(&limiter).await;
        let calls = Calls::default();
        let held = (held, working(&limiter), open(&calls));
        let name = claims.hold(held, None, TERMS, lease);
        let name = name.unwrap();
        tokio::time::sleep(Duration::from_secs(50)).await;
        claims.extend(&name, None, lease).unwrap();
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(
            limiter.try_acquire(Call::new()).await.is_err(),
            "it is still held"
        );
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(claims.extend(&name, None, lease), Err(NotHeld::Unknown));
        assert!(ids(&calls).is_empty(), "it is no open call");
        drop(limiter.try_acquire(Call::new()).await.unwrap());
        assert!(
            limiter.try_acquire(Call::new()).await.is_err(),
            "it was a request"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_its_owner_takes_it_and_once() {
        let (limiter, claims) = (limiter(), OpenClaims::default());
        let held = held(&limiter).await;
        let lease = Duration::from_secs(60);
        let held = (held, working(&limiter), open(&Calls::default()));
        let name = claims.hold(held, Some("a".into()), TERMS, lease).unwrap();
        for other in [None, Some("b")] {
            assert_eq!(claims.extend(&name, other, lease), Err(NotHeld::Unknown));
        }
        let (permits, working) = claims.take(&name, Some("a")).unwrap();
        permits.release();
        working.given_back();
        assert!(claims.take(&name, Some("a")).is_err());
        assert!(limiter.try_acquire(Call::new()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_ends_it_and_all_of_it_is_given_back() {
        let (limiter, claims, calls) = (limiter(), OpenClaims::default(), Calls::default());
        let held = held(&limiter).await;
        let lease = Duration::from_secs(60);
        let held = (held, working(&limiter), open(&calls));
        let name = claims.hold(held, None, TERMS, lease);
        let name = name.unwrap();
        let all = ids(&calls);
        assert_eq!(all.len(), 1);
        assert!(calls.cancel(all[0]).is_some());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(claims.take(&name, None).err(), Some(NotHeld::Unknown));
        assert!(ids(&calls).is_empty());
        for _ in 0..2 {
            drop(limiter.try_acquire(Call::new()).await.unwrap());
        }
    }
}
