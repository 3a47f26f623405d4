//! Whether a claim is granted, and what one would hear.

use super::{Foreseen, Outcome, Replica};
use crate::{
    limit::{Room, Tick},
    store::{
        Claim, Decision, Standing, Store as _,
        asked::Asked,
        redis::{
            entry::{Entry, Process},
            line::{Harm, Who},
        },
    },
};

impl Replica {
    /// Takes what is asked for, where there is room, or will be within `lease`, and nobody is kept from going who stands
    /// before.
    pub(super) fn decide(
        &mut self,
        entry: &Entry,
        asked: &Asked,
        waits: Option<(Who, i32)>,
        lease: u64,
    ) -> Outcome {
        if self.owing() > 0 {
            return Outcome::Owing(self.owing());
        }
        let claim = asked.to(&self.store.limits());
        let (store, now) = (&self.store, self.rest.at.tick);
        let by = (entry.process, waits.map(|(who, _)| who));
        let harm = self.rest.line.harmed(store, &claim, by, (now, lease > 0));
        let harms = harm.is_some();
        let decision = match harm {
            None => store.claim(&claim).at_once(),
            // What it would hear of itself goes before.
            Some(harm) => {
                store
                    .peek(&claim)
                    .at_once()
                    .map(|standings| match Standing::refusal(&standings) {
                        Some((Room::Never, refused)) => Decision::Never(refused),
                        Some((_, refused)) => Decision::NotNow(refused),
                        None => Decision::NotNow(harm.refusal(standings)),
                    })
            }
        };
        let refused = match decision {
            Ok(Decision::Granted(grant)) => {
                if let Some((who, _)) = waits {
                    self.rest.line.leave(who);
                }
                self.open.insert((entry.process, entry.number), grant);
                if lease > 0 {
                    self.rest.line.passes(entry.process);
                }
                return Outcome::Granted;
            }
            Ok(Decision::NotNow(refused)) => {
                let ahead = (lease > 0 && !harms).then(|| self.ahead(&claim, lease));
                if let Some(at) = ahead.flatten() {
                    if let Some((who, _)) = waits {
                        self.rest.line.leave(who);
                    }
                    self.take_ahead(entry, &claim, at);
                    self.rest.line.passes(entry.process);
                    return Outcome::Granted;
                }
                refused
            }
            Ok(Decision::Never(refused)) => {
                if let Some((who, _)) = waits {
                    self.rest.line.leave(who);
                }
                return Outcome::Never(refused);
            }
            // The memory answers always.
            Err(_) => return Outcome::Done,
        };
        if let Some((who, priority)) = waits {
            self.rest.line.join(who, priority, asked, now);
        }
        Outcome::NotNow(refused)
    }

    /// What a claim of one that waits would hear, if nothing was done since that is not known here; `None`: nobody can say
    /// without asking. Changes nothing.
    pub(in crate::store::redis) fn foresee(
        &self,
        claim: &Claim,
        (who, first): (Who, bool),
        now: Tick,
    ) -> Option<Foreseen> {
        if !self.store.knows(&claim.tags) || (first && !self.rest.line.stands(who)) {
            return None;
        }
        let standings = self.store.peek(claim).at_once().ok()?;
        let refused = match Standing::refusal(&standings) {
            Some((Room::At(at), refused)) if at > now => Some(refused),
            Some((Room::WhenGivenBack, refused)) => Some(refused),
            Some(_) => return None,
            None => {
                let by = (who.process, first.then_some(who));
                let now = self.rest.at.tick;
                let harm = self.rest.line.harmed(&self.store, claim, by, (now, false));
                match harm {
                    Some(harm) => return Some(Foreseen::Refused(harm.refusal(standings))),
                    None => None,
                }
            }
        };
        Some(match refused {
            Some(refused) => Foreseen::Refused(refused),
            None => Foreseen::Open(standings),
        })
    }

    /// Of how many processes somebody waits, this one among them.
    pub(in crate::store::redis) fn processes_waiting(&self, me: Process) -> u64 {
        self.rest.line.processes_beside(me, self.rest.at.tick) + 1
    }

    /// Whether one stands in the line.
    pub(in crate::store::redis) fn stands(&self, who: Who) -> bool {
        self.rest.line.stands(who)
    }

    /// How the counts stand to a claim of one that waits, and whom it would keep from going.
    pub(in crate::store::redis) fn sees(
        &self,
        claim: &Claim,
        (who, first): (Who, bool),
        lease: u64,
    ) -> Option<(Vec<Standing>, Option<Harm>)> {
        let standings = self.store.peek(claim).at_once().ok()?;
        let by = (who.process, first.then_some(who));
        let now = (self.rest.at.tick, lease > 0);
        let harm = self.rest.line.harmed(&self.store, claim, by, now);
        Some((standings, harm))
    }
}
