//! What is answered while nobody can be asked, as [`OnError`] says.

use super::{
    OnError,
    entry::Op,
    outage::Outage,
    replica::Outcome,
    shared::{Shared, State},
};
use crate::{
    error::StoreError,
    store::{Claim, NotNow, Settlement, Standing, Store as _, asked::Asked, clock::told::At},
};

impl Shared {
    /// To a claim, at this time where that is passed in. What is granted counts when the server is back.
    pub(super) fn claim_alone(
        &self,
        state: &mut State,
        (claim, asked): (&Claim, Asked),
        passed: Option<At>,
        error: StoreError,
    ) -> Result<Outcome, StoreError> {
        if !self.decides_alone(state) || Self::is_full(state) {
            return Err(error);
        }
        if let Some(key) = state.replica.store().limits().pause_of(&claim.tags) {
            return Ok(Outcome::Never(NotNow::paused(key)));
        }
        if self.on_error == OnError::Local {
            let (number, at) = (state.next(), passed.unwrap_or_else(|| state.at()));
            match self.outage(state)?.claim(claim, number, at) {
                Outcome::Granted => {}
                Outcome::Done => return Err(error),
                refused => return Ok(refused),
            }
        }
        let number = self.queue_at(state, Op::Take(asked), None, passed);
        Ok(Outcome::GrantedAlone(number))
    }

    /// To a question how counts stand: by what is this process's share, or by what was known last.
    pub(super) fn peek_alone(
        &self,
        state: &mut State,
        claim: &Claim,
        passed: Option<At>,
        error: StoreError,
    ) -> Result<Vec<Standing>, StoreError> {
        if !self.decides_alone(state) {
            return Err(error);
        }
        if self.on_error == OnError::Local {
            let at = passed.unwrap_or_else(|| state.at());
            return self.outage(state)?.peek(claim, at);
        }
        state.replica.store().peek(claim).at_once()
    }

    /// A grant ends, also where nobody can be asked.
    pub(super) fn end_alone(
        &self,
        state: &mut State,
        number: u64,
        settlement: Option<Settlement>,
        passed: Option<At>,
    ) {
        let at = passed.unwrap_or_else(|| state.at());
        if let Some(outage) = &mut state.outage {
            outage.end((self.me, number), settlement, at);
        }
    }

    fn decides_alone(&self, state: &State) -> bool {
        !state.closed && !state.gone && self.on_error != OnError::Deny
    }

    fn outage<'s>(&self, state: &'s mut State) -> Result<&'s mut Outage, StoreError> {
        let outage = match state.outage.take() {
            Some(outage) => outage,
            None => Outage::new(&state.replica).map_err(|reason| self.error(&reason))?,
        };
        Ok(state.outage.insert(outage))
    }
}
