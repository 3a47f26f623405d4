//! Repeating attempts within one service.

use super::{
    asked::Asked,
    service::{Repeated, Settings},
};
use crate::{
    body::{Answered, Onward},
    call::{Entry, MakeRequest},
};

/// What a layer that repeats does with each attempt of the layer directly around it: it sends that onwards, as often as may
/// help.
pub(crate) struct Repeating<'s, N> {
    pub(crate) settings: &'s Settings,
    pub(crate) asked: Asked,
    pub(crate) next: N,
}

impl<N: Onward<B>, B> Onward<B> for Repeating<'_, N> {
    type Body = N::Body;
    type Error = N::Error;

    async fn send(
        &mut self,
        entry: &Entry,
        request: MakeRequest<'_, B>,
    ) -> Answered<N::Body, N::Error> {
        let Repeating {
            settings,
            asked,
            next,
        } = self;
        let entry = entry.inward();
        let policy = &settings.policy;
        if settings.inspect.off || !entry.repeats(policy.max_attempts, policy.longest_wait) {
            // On the heap: most calls may be repeated.
            return Box::pin(next.send(&entry, request)).await;
        }
        let call = Repeated {
            settings,
            asked: *asked,
            entry: &entry,
        };
        call.send(next, request).await
    }
}
