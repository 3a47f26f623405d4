//! What a call claims at the gates that it passes, and what becomes of it where there is no room.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Gate,
    attempt::Attempt,
    context::{CallContext, Entry, Facts},
    gate::{self, Held},
};
use crate::{
    error::Rejection,
    limit::{Demand, NewTarget},
    limiter::{Limiter, Permit, Refused, Tried, Turn},
    store::{BoxFuture, Claim, NotNow},
    tags::Tags,
};

impl Entry {
    /// Claims for every gate from here outwards that holds nothing yet, waiting where it has to.
    pub(super) async fn claim(&self) -> Result<(), Rejection> {
        let attempt = self.attempt();
        match self.claim_at_once(&attempt)? {
            None => Ok(()),
            // On the heap: most calls never come here, and all would be larger by it.
            Some(missing) => Box::pin(self.claim_in_line(&attempt, missing)).await,
        }
    }

    async fn claim_in_line(&self, attempt: &Attempt, missing: Missing) -> Result<(), Rejection> {
        // What each was waited for: its patience is not used up by waits for others.
        let mut waits: Vec<(Arc<Gate>, Duration)> = Vec::new();
        let mut missing = self.wait_for_stores(attempt, Some(missing)).await?;
        while let Some((gate, claim, refused)) = missing {
            if !gate.wait {
                let rejection = gate.limiter.turn_away(&claim, refused).await;
                self.turned_away(&gate.limiter, &claim);
                return Err(rejection);
            }
            attempt.release();
            let since = Instant::now();
            let own = waits.iter().filter(|(other, _)| Arc::ptr_eq(other, &gate));
            let waited = own.map(|(_, waited)| *waited).sum();
            let from = since.checked_sub(waited).unwrap_or(since);
            let turn = gate.turn(self.context().turn(self.facts().turn, &gate), from);
            let (waiting, progress) = (self.waits(&gate.limiter, &refused), self.progress());
            let permit = gate.limiter.wait(&claim, turn, refused, progress).await;
            let permit = permit.inspect_err(|_| self.turned_away(&gate.limiter, &claim))?;
            if let Some(waiting) = waiting {
                waiting.has_room();
            }
            waits.push((gate.clone(), since.elapsed()));
            self.context().note_start(&gate, permit.start());
            attempt.add(Held::new(gate, claim.demand, permit));
            let rest = self.claim_at_once(attempt)?;
            missing = self.wait_for_stores(attempt, rest).await?;
        }
        Ok(())
    }

    /// As [`claim`](Self::claim), without waiting for room: false and nothing held where something has none.
    pub(super) async fn try_claim(&self) -> Result<bool, Rejection> {
        let attempt = self.attempt();
        let missing = self.claim_at_once(&attempt)?;
        let all = self.wait_for_stores(&attempt, missing).await?.is_none();
        if !all {
            attempt.release();
        }
        Ok(all)
    }

    /// Goes on with claims whose stores do not answer at once. The gate that has no room, if there is one.
    async fn wait_for_stores(
        &self,
        attempt: &Attempt,
        mut missing: Option<Missing>,
    ) -> Result<Option<(Arc<Gate>, Claim, NotNow)>, Rejection> {
        while let Some(Missing { gate, claim, why }) = missing {
            let answer = match why {
                Why::NoRoom(refused) => return Ok(Some((gate, claim, refused))),
                Why::NoAnswer(answer) => answer.await,
            };
            match answer {
                Ok(permit) => attempt.add(Held::new(gate, claim.demand, permit)),
                Err(Refused::NotNow(refused)) => return Ok(Some((gate, claim, refused))),
                Err(Refused::Rejected(rejection)) => {
                    self.turned_away(&gate.limiter, &claim);
                    return Err(rejection);
                }
            }
            missing = self.claim_at_once(attempt)?;
        }
        Ok(None)
    }

    /// Claims as far as stores answer at once and have room: what is missing then.
    fn claim_at_once(&self, attempt: &Attempt) -> Result<Option<Missing>, Rejection> {
        let gates = self.state().gates.clone();
        let mut calibrated = None;
        for gate::Passed { gate, depth } in gates {
            if depth > self.depth() || attempt.holds(&gate) {
                continue;
            }
            let mut claim = self.context().claim(self.facts(), &gate, &mut calibrated)?;
            claim.attempt = attempt.id;
            let turn = self.context().turn(self.facts().turn, &gate);
            // Of one that holds nothing yet, the gate further in claims later than this one.
            let tried = if gate.is_followed && attempt.holds_nothing() {
                gate.limiter.try_claim_ahead(&claim, turn)
            } else {
                gate.limiter.try_claim(&claim, turn)
            };
            let why = match tried {
                Tried::Now(Ok(permit)) => {
                    attempt.add(Held::new(gate, claim.demand, permit));
                    continue;
                }
                Tried::Now(Err(Refused::Rejected(rejection))) => {
                    self.turned_away(&gate.limiter, &claim);
                    return Err(rejection);
                }
                Tried::Now(Err(Refused::NotNow(refused))) => Why::NoRoom(refused),
                Tried::Later(answer) => Why::NoAnswer(answer),
            };
            return Ok(Some(Missing { gate, claim, why }));
        }
        Ok(None)
    }
}

/// A gate that holds nothing yet.
struct Missing {
    gate: Arc<Gate>,
    claim: Claim,
    why: Why,
}

enum Why {
    NoRoom(NotNow),
    /// Its store has not answered yet.
    NoAnswer(BoxFuture<Result<Permit, Refused>>),
}

impl CallContext {
    /// The call's turn under a gate: where it waited before, it goes on from where it began.
    fn turn(&self, turn: Turn, gate: &Gate) -> Turn {
        let turn = gate.limiter.bound(turn);
        let state = self.lock();
        let start = state
            .starts
            .iter()
            .find(|(limiter, _)| limiter.is(&gate.limiter));
        Turn {
            start: start.map(|(_, start)| *start),
            longest_told: Some(gate.longest_wait(state.longest_wait)),
            ..turn
        }
    }

    fn note_start(&self, gate: &Gate, start: Option<u64>) {
        let mut state = self.lock();
        let known = state
            .starts
            .iter()
            .any(|(limiter, _)| limiter.is(&gate.limiter));
        if let (false, Some(start)) = (known, start) {
            state.starts.push((gate.limiter.clone(), start));
        }
    }

    /// What is claimed for a gate. `calibrated` is kept from one to the next: most have one limiter.
    fn claim(
        &self,
        facts: &Facts,
        gate: &Gate,
        calibrated: &mut Option<(Limiter, u64)>,
    ) -> Result<Claim, Rejection> {
        let Facts {
            tags, delegation, ..
        } = facts;
        let demand = match &gate.pricing {
            Some(pricing) => match pricing.demand(facts) {
                // Where budgets only watch, nobody is refused.
                Err(rejection) if gate.limiter.limits().have_budgets(tags) => {
                    return Err(rejection);
                }
                // Nor is booked what only has to be more than any budget has.
                _ if facts.bound.is_unread() && !gate.limiter.limits().have_budgets(tags) => {
                    facts.demand
                }
                demand => demand.unwrap_or(facts.demand),
            },
            None => facts.demand,
        };
        let demand = match demand.input_declared {
            true => demand,
            false => Demand {
                input: match calibrated {
                    Some((limiter, input)) if limiter.is(&gate.limiter) => *input,
                    _ => {
                        let input = gate.limiter.calibrated(tags, demand.input);
                        *calibrated = Some((gate.limiter.clone(), input));
                        input
                    }
                },
                ..demand
            },
        };
        let (repeat, new_target) = self.counted(gate, tags);
        Ok(Claim {
            tags: tags.clone(),
            demand,
            quantities: gate.quantities,
            repeat,
            new_target,
            held: gate.limiter.held(delegation),
            attempt: 0,
        })
    }

    /// Whether a gate's limiter has counted the call before, and by what this is another target than it was then.
    fn counted(&self, gate: &Gate, tags: &Tags) -> (bool, NewTarget) {
        let state = self.lock();
        let counted = state.counted.iter();
        let mut earlier = counted
            .filter(|(limiter, _)| limiter.is(&gate.limiter))
            .map(|(_, tags)| &**tags)
            .peekable();
        let repeat = earlier.peek().is_some();
        (repeat, NewTarget::of(tags, earlier))
    }
}
