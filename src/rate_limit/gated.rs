//! Gates within one service.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{
    body::{Answered, Onward, refuse},
    call::{Entry, Gate, MakeRequest},
};

/// Gates that stand directly within a layer, each within the one before it, and what is within them.
pub(super) struct Gated<N> {
    pub(super) gates: SmallVec<[Arc<Gate>; 2]>,
    pub(super) next: N,
}

impl<N: Onward<B>, B> Onward<B> for Gated<N> {
    type Body = N::Body;
    type Error = N::Error;

    async fn send(
        &mut self,
        entry: &Entry,
        request: MakeRequest<'_, B>,
    ) -> Answered<N::Body, N::Error> {
        if entry.is_gated() {
            // On the heap: most calls come to no other gates before.
            let claimed = Box::pin(entry.claim_around()).await;
            if let Err(rejection) = claimed {
                return Ok(refuse(entry.dialect(), rejection));
            }
        }
        let entry = entry.through(&self.gates);
        self.next.send(&entry, request).await
    }
}
