//! Calls that were refused at one target and may go on to another, where limits count refused calls.
//!
//! Each attempt that is refused counts under limits on attempts. But a call is refused only if that is its end: so what it
//! was refused last is kept until it is known whether the call goes on.

use std::sync::Arc;

use super::Entry;
use crate::{limit::NewTarget, limiter::Limiter, store::Claim, tags::Tags};

/// What a call was refused.
#[derive(Debug, Default)]
pub(super) struct TurnedAway {
    /// Whether a layer is around it that may send it elsewhere then.
    pub(super) may_go_on: bool,
    /// What it was refused last, and by whom.
    last: Option<Refused>,
    /// Where it was refused before that.
    earlier: Vec<(Limiter, Arc<Tags>)>,
}

/// A claim that was refused, as it counts.
#[derive(Debug)]
pub(super) struct Refused {
    limiter: Limiter,
    claim: Claim,
}

impl TurnedAway {
    /// It is refused. What is to be counted at once.
    fn by(&mut self, refused: Refused) -> Option<Refused> {
        if !self.may_go_on {
            return Some(refused);
        }
        let before = self.goes_on();
        self.last = Some(refused);
        before
    }

    /// It goes on. What is to be counted of the refusal before, which was not its end: the attempt, and the call where
    /// limits look at the target that it came to.
    fn goes_on(&mut self) -> Option<Refused> {
        let Refused { limiter, claim } = self.last.take()?;
        let counts = self.counts(limiter, claim, false);
        let (limiter, tags) = (counts.limiter.clone(), counts.claim.tags.clone());
        self.earlier.push((limiter, tags));
        Some(counts)
    }

    /// It has ended. What is to be counted of its last refusal, if it ended with one: that of the call, too.
    pub(super) fn ends(&mut self) -> Option<Refused> {
        let Refused { limiter, claim } = self.last.take()?;
        Some(self.counts(limiter, claim, true))
    }

    fn counts(&self, limiter: Limiter, claim: Claim, is_end: bool) -> Refused {
        let earlier = self.earlier.iter();
        let earlier = earlier.filter(|(other, _)| other.is(&limiter));
        let earlier = earlier.map(|(_, tags)| &**tags);
        let counted = claim.repeat.then_some(claim.new_target);
        let new_target = NewTarget::of_refused(counted, &claim.tags, earlier, is_end);
        let claim = Claim {
            repeat: true,
            new_target,
            ..claim
        };
        Refused { limiter, claim }
    }
}

impl Refused {
    /// Not to be called under a lock.
    pub(super) fn count(&self) {
        self.limiter.count_refused(&self.claim);
    }
}

impl Entry {
    /// A limiter has refused this claim of the present attempt.
    pub(super) fn turned_away(&self, limiter: &Limiter, claim: &Claim) {
        if !limiter.limits().count_refused() {
            return;
        }
        let refused = Refused {
            limiter: limiter.clone(),
            claim: claim.clone(),
        };
        let log = self.state().log.clone();
        let counts = match log {
            Some(log) => log.lock().turned_away.by(refused),
            None => Some(refused),
        };
        if let Some(counts) = counts {
            counts.count();
        }
    }

    /// The next attempt begins, or the call ends otherwise.
    pub(crate) fn goes_on_from_refusal(&self) {
        let log = self.state().log.clone();
        let counts = log.and_then(|log| log.lock().turned_away.goes_on());
        if let Some(counts) = counts {
            counts.count();
        }
    }
}
