//! A request as it was before something was put into it for its provider: who sends it to another one begins with that.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    context::Facts,
    enter::{Entered, set_length},
    output_cap::OutputCap,
    priced::Bound,
    read_body::ReadBody,
};
use crate::limit::Demand;

/// What was put into a request changes its body, and what is known of it.
#[derive(Debug)]
pub(super) struct Unfitted {
    body: Bytes,
    /// The body that came of it.
    fitted: Bytes,
    demand: Demand,
    bound: Bound,
    hides_usage: bool,
    cap_output: Option<OutputCap>,
}

impl Facts {
    /// Remembers the request as these facts have it, which has another body from now on.
    pub(super) fn before(&self, body: &Bytes, fitted: &Bytes) -> Arc<Unfitted> {
        Arc::new(Unfitted {
            body: body.clone(),
            fitted: fitted.clone(),
            demand: self.demand,
            bound: self.bound,
            hides_usage: self.hides_usage,
            cap_output: self.cap_output.clone(),
        })
    }

    fn again(&self, before: &Unfitted) -> Facts {
        Facts {
            demand: before.demand,
            bound: before.bound,
            hides_usage: before.hides_usage,
            cap_output: before.cap_output.clone(),
            unfitted: None,
            ..self.clone()
        }
    }
}

impl<B> Entered<B> {
    /// Without what a layer further out has put into it. A body that is not the one it has made stays as it is: somebody else
    /// has changed it.
    pub(crate) fn unfitted(mut self) -> Self {
        let Some(before) = self.entry.facts().unfitted.clone() else {
            return self;
        };
        if let Some((parts, ReadBody::Whole(body))) = &mut self.rest
            && *body == before.fitted
        {
            let facts = self.entry.facts().again(&before);
            self.entry = self.entry.seeing(facts, &before.body);
            set_length(parts, &before.body);
            *body = before.body.clone();
        }
        self
    }
}
