//! How a call ends that no target serves.

use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;

use super::{
    outcome::{Best, Outlook},
    run::Run,
};
use crate::{
    body::{ResponseBody, SHOULD_RETRY, refuse, tell_wait},
    call::PassedOverWhy,
    error::Rejection,
    tags::Tag,
};

impl Run<'_> {
    /// It is refused here. Where a provider has answered before, that there is no room to ask again is not its answer.
    pub(super) fn over<R: Body, E>(
        &self,
        best: Best<R, E>,
        refusal: Response<ResponseBody<R>>,
        outlook: &mut Outlook,
    ) -> Result<Response<ResponseBody<R>>, E> {
        if best.has_answer() {
            let refused = refusal.extensions().get::<Rejection>();
            let room = refused.and_then(Rejection::retry_after);
            outlook.tells(room.and_then(|wait| Instant::now().checked_add(wait)));
            self.give_up(best, outlook)
        } else {
            Ok(self.entry.with_attempts(refusal))
        }
    }

    /// No target serves.
    pub(super) fn give_up<R: Body, E>(
        &self,
        best: Best<R, E>,
        outlook: &Outlook,
    ) -> Result<Response<ResponseBody<R>>, E> {
        self.entry.let_go();
        let told = outlook.told();
        let wait = told.map(|at| at.saturating_duration_since(Instant::now()));
        let refused = || {
            let no = self.no_target(outlook);
            self.entry.tell_refusal(&no);
            Ok(refuse(self.entry.dialect(), no))
        };
        let ended = best.take().unwrap_or_else(refused);
        if ended.is_err() {
            // What an attempt was refused last was not the call's end.
            self.entry.goes_on_from_refusal();
        }
        let mut response = ended?;
        let is_error = response.status() >= StatusCode::BAD_REQUEST;
        if self.asked.by_itself && is_error && self.entry.attempts().made.len() > 1 {
            let headers = response.headers_mut();
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(wait) = wait {
            if !tells_wait(&response) {
                tell_wait(response.headers_mut(), wait);
            }
            self.entry.note_retry_after(wait);
        }
        Ok(self.entry.with_attempts(response))
    }

    fn no_target(&self, outlook: &Outlook) -> Rejection {
        let passed = self.entry.attempts().passed_over;
        let reasons: Vec<String> = passed
            .iter()
            .map(|passed| format!("{} {}", passed.target, passed.why.words()))
            .collect();
        let soonest = passed.iter().filter_map(|passed| passed.still).min();
        let told = outlook.told();
        let told = told.map(|at| at.saturating_duration_since(Instant::now()));
        Rejection::NoTarget {
            model: self
                .entry
                .tag(&Tag::Model)
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            reasons: reasons.join(", "),
            waits: !passed.is_empty() && passed.iter().all(|passed| waits(passed.why)),
            retry_after: soonest.into_iter().chain(told).min(),
        }
    }
}

fn waits(why: PassedOverWhy) -> bool {
    matches!(why, PassedOverWhy::CoolingDown)
}

/// Whether it is a refusal of our own that says itself when another try is worthwhile: no other wait belongs beside its words.
fn tells_wait<B>(response: &Response<B>) -> bool {
    let refused = response.extensions().get::<Rejection>();
    refused.and_then(Rejection::retry_after).is_some()
}
