//! The ends of calls that were refused: limits may count them.

use super::{Limiter, Permit, Progress, Refused, Turn};
use crate::{
    error::Rejection,
    limit::Quantities,
    store::{Answer, Claim, NotNow},
};

impl Limiter {
    /// Refuses a call that does not wait.
    pub(crate) async fn turn_away(&self, claim: &Claim, refused: NotNow) -> Rejection {
        let figures = self.in_figures(claim, refused).await;
        self.refuses(claim);
        match figures {
            Ok((true, refused)) => self.shared.never(&refused),
            Ok((false, refused)) => self.shared.not_now(&refused),
            Err(error) => error.into(),
        }
    }

    /// Queues after a refusal, and holds what was claimed once it is granted, undated.
    pub(crate) async fn wait(
        &self,
        claim: &Claim,
        turn: Turn,
        refused: NotNow,
        progress: Option<&Progress>,
    ) -> Result<Permit, Rejection> {
        let answer = self.stand_in_line(claim, turn, refused, progress).await;
        if let Some(progress) = progress {
            progress.goes_on();
        }
        answer.inspect_err(|_| self.refuses(claim))
    }

    /// A refusal that there is nothing to wait for is the end of the call; another is not yet.
    pub(super) fn note_refused(&self, claim: &Claim, refused: &Refused) {
        if let Refused::Rejected(_) = refused {
            self.refuses(claim);
        }
    }

    /// A call is refused. Of an attempt it is not known here whether its call goes on elsewhere: who makes it counts it.
    fn refuses(&self, claim: &Claim) {
        if claim.attempt == 0 {
            self.count_refused(claim);
        }
    }

    /// Counts a refusal, under limits that count refused calls.
    pub(crate) fn count_refused(&self, claim: &Claim) {
        // What is refused is the call, whichever gate has claimed: requests count where money was refused.
        let all = Claim {
            quantities: Quantities::ALL,
            ..claim.clone()
        };
        // A store that cannot count this one counts the next; the call is refused either way.
        if let Answer::Later(answer) = self.shared.store.refuse(&all) {
            self.shared
                .post(Box::pin(async move { drop(answer.await) }));
        }
    }
}
