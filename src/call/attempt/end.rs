//! How an attempt ends: given back, settled, or left by whoever had it.

use smallvec::SmallVec;

use super::{Attempt, Claims, Leaves, State, held_besides};
use crate::{
    call::{Ended, gate::Held, record::Told, watch::charge},
    event::Watched,
    store::Settlement,
};

impl Attempt {
    /// Gives back every claim: it was not sent. It may be claimed for again.
    pub(crate) fn release(&self) {
        let claims = {
            let mut state = self.lock();
            state.sender = 0;
            if state.claims.is_empty() {
                // As it is before anything was claimed: nothing large is moved.
                return;
            }
            std::mem::take(&mut state.claims)
        };
        claims.into_iter().for_each(|held| held.permit.release());
    }

    /// The same, where it was not sent by now.
    pub(in crate::call) fn release_unsent(&self) {
        let claims = {
            let mut state = self.lock();
            if state.sender != 0 || state.claims.is_empty() {
                return;
            }
            std::mem::take(&mut state.claims)
        };
        claims.into_iter().for_each(|held| held.permit.release());
    }

    /// The same, where claims were dated when it was handed on: the room may be somebody else's by now. It is claimed for
    /// again.
    pub(in crate::call) fn release_dated(&self) {
        let claims = {
            let mut state = self.lock();
            if state.sender != 0 || state.leaves != Leaves::AtOnce {
                return;
            }
            std::mem::take(&mut state.claims)
        };
        claims.into_iter().for_each(|held| held.permit.release());
    }

    /// A budget holds more for it. False where it has ended meanwhile: then nothing is to be held any more.
    pub(in crate::call) fn add_more(&self, held: Held) -> bool {
        let mut state = self.lock();
        if state.ended {
            drop(state);
            held.permit.release();
            return false;
        }
        state.more.push(held);
        true
    }

    /// Ends it: every claim is settled with the same words.
    pub(crate) fn end(&self, ended: Ended) {
        let (mut claims, more, watched) = self.lock().close();
        let mut charged = match ended.settlement {
            Settlement::Usage(usage) if watched.is_some() => Some(usage),
            _ => None,
        };
        let mut settled = SmallVec::<[_; 2]>::new();
        let mut shown = self.progress.get().map(|progress| (progress, None));
        for held in claims.drain(..) {
            let Held {
                gate,
                places,
                reserved,
                permit,
            } = held;
            let besides = held_besides(&more, &gate);
            let money = reserved.cost.saturating_add(besides);
            let settlement = ended.said(gate.settlement(permit.tags(), &ended, money));
            gate.learn(permit.tags(), &ended);
            if watched.is_some() {
                charge(&mut charged, &gate, &settlement, &reserved);
            }
            if let Some((_, shown)) = &mut shown {
                // That of a budget has what it cost.
                *shown = shown.filter(has_cost).or(Some(settlement));
            }
            if places.are_there() {
                settled.push((gate, places, permit.tags().clone(), reserved, settlement));
            }
            permit.end_with(settlement);
        }
        if let Some((progress, Some(settlement))) = shown {
            progress.ended(settlement);
        }
        // Only now: in between there is rather too much held than too little. What it cost is in the claim.
        more.into_iter().for_each(|held| held.permit.release());
        // Nobody waits for what was held until it is written down.
        let mut told = Told::default();
        for (gate, places, tags, reserved, settlement) in &settled {
            let what = (&**tags, reserved);
            told.ended(
                (gate, places),
                what,
                settlement,
                ended.is_final,
                gate.leaves_out(tags, &ended),
            );
        }
        if let Some(watched) = watched {
            watched.ended(charged.as_ref(), ended.is_final);
        }
    }

    /// The layer at `depth` ends it without a word, if nobody further in has it: what was sent counts as
    /// reserved, what was not is given back.
    pub(in crate::call) fn abandon(&self, depth: u32) {
        let ((claims, more, watched), sent) = {
            let mut state = self.lock();
            if state.reached > depth {
                return;
            }
            let sent = state.may_leave();
            if !sent {
                // Nobody has counted it.
                state.sender = 0;
            }
            (state.close(), sent)
        };
        if !sent {
            claims.into_iter().for_each(|held| held.permit.release());
            if let Some(watched) = watched {
                watched.ended(None, false);
            }
            return;
        }
        let (mut told, mut charged) = (Told::default(), None);
        for held in &claims {
            let (by, what) = (
                (&*held.gate, &held.places),
                (&**held.permit.tags(), &held.reserved),
            );
            told.ended(by, what, &Settlement::Unknown, false, false);
            if watched.is_some() {
                charge(
                    &mut charged,
                    &held.gate,
                    &Settlement::Unknown,
                    &held.reserved,
                );
            }
        }
        drop((claims, more));
        if let Some(watched) = watched {
            watched.ended(charged.as_ref(), false);
        }
    }
}

impl State {
    /// The claims, what budgets hold besides, and who is told.
    fn close(&mut self) -> (Claims, Vec<Held>, Option<Box<Watched>>) {
        self.ended = true;
        let State {
            claims,
            more,
            watched,
            ..
        } = self;
        (std::mem::take(claims), std::mem::take(more), watched.take())
    }
}

fn has_cost(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Usage(usage) if usage.cost.is_some())
}
