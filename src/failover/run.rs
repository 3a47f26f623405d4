//! One call on its way along the targets of its route.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use tokio::time::Instant;

use super::{
    ApiKey,
    candidate::Candidate,
    health::Trial,
    learn::{KEY_REFUSED, learn},
    order,
    outcome::{Best, Came, Outlook, Step},
    rewrite::{Rewritten, rewrite},
    service::{Options, Settings, Shared},
    trigger::{self, Trigger},
};
use crate::{
    body::{Answered, Onward, keep},
    call::{Entered, Entry, Heard, PassedOver, PassedOverWhy, Toward},
    error::Rejection,
    retry::{
        Failure,
        asked::Asked,
        backoff::{Backoff, spread_out},
    },
    tags::{Tag, Tags},
    wire::{ErrorClass, ProviderError, path_end},
};

/// How long the body of an answer may take to come that is not handed on.
const LONGEST_READ: Duration = Duration::from_secs(1);
/// How often one target is asked for one call, by this layer.
const MOST_EACH: usize = 3;

pub(crate) struct Run<'r> {
    options: &'r Options,
    shared: &'r Shared,
    pub(super) entry: &'r Entry,
    pub(crate) asked: Asked,
    parts: &'r Parts,
    body: &'r Bytes,
}

/// An attempt that is about to go to a target.
struct Prepared {
    /// The call as it goes there.
    view: Entry,
    /// Its request, taken when it is sent.
    request: Option<(Parts, Bytes)>,
    keeps_key: bool,
    trial: Trial,
}

impl<'r> Run<'r> {
    /// A call that has a route, and can be changed.
    pub(crate) fn of<B>(settings: &'r Settings, entered: &'r Entered<B>) -> Option<Self> {
        let (entry, (parts, body)) = (&entered.entry, entered.whole()?);
        let dialect = entry.dialect();
        let model = entry.tags().get(&Tag::Model)?;
        let has_way = settings.shared.ways.contains_key(model)
            && path_end(dialect, parts.uri.path(), "any model").is_some();
        (has_way && !Entry::is_signed(parts)).then(|| Run {
            options: &settings.options,
            shared: &settings.shared,
            entry,
            asked: Asked::of(parts, dialect),
            parts,
            body,
        })
    }

    /// Sends it onwards, to one target after the other.
    ///
    /// # Errors
    /// The inner service's error, untouched.
    pub(crate) async fn send<N, B>(&self, next: &mut N) -> Answered<N::Body, N::Error>
    where
        N: Onward<B>,
        B: From<Bytes> + Send + 'static,
    {
        let Run { options, entry, .. } = *self;
        // The clock is asked once for each attempt: that is a good part of what a call costs.
        let mut now = entry.came().unwrap_or_else(Instant::now);
        entry.reroutes(options.max_attempts, options.longest_wait, now);
        if let Some(budget) = options.budget.as_ref().filter(|_| entry.is_untried()) {
            budget.call();
        }
        let candidates = match order::fixed(self.shared, entry) {
            Some(fixed) => fixed,
            // On the heap, as all that few calls come to: each would be larger by it.
            None => {
                let candidates = Box::pin(order::candidates(options, self.shared, entry)).await;
                now = Instant::now();
                candidates
            }
        };
        let is_alone = self.is_alone(&candidates, now);
        let (mut best, mut outlook) = (Best::new(), Outlook::default());
        for candidate in candidates.iter() {
            if !entry.may_have_another() || best.was_sent() && self.is_late() {
                break;
            }
            if !self.may_be_tried(candidate, &mut outlook, now) {
                continue;
            }
            let until = now.checked_add(options.patience);
            let until = until.filter(|_| !is_alone);
            match self
                .attempt(next, candidate, until, &mut outlook, now)
                .await
            {
                Step::Done(done) => return done.map(|response| self.entry.with_attempts(response)),
                Step::Next(came) => best.add(came),
                Step::Over(refusal) => return self.over(best, refusal, &mut outlook),
                Step::Skip => {}
                Step::Wait(came) => {
                    best.add(came);
                    let free = Box::pin(self.free_to_wait(&candidates)).await;
                    let waits = free.as_ref().unwrap_or(candidate);
                    outlook.later(waits, Some(Instant::now()), false);
                    break;
                }
            }
            now = Instant::now();
        }
        // Nobody serves at once: whoever does first is waited for.
        let longest = Instant::now().checked_add(options.longest_wait);
        while entry.may_have_another() {
            let deadline = entry.turn().deadline;
            let Some(later) = outlook.first(longest, deadline, best.was_sent()) else {
                break;
            };
            let budget = options.budget.as_ref().filter(|_| later.failed);
            if budget.is_some_and(|budget| !budget.take(Instant::now())) {
                continue;
            }
            if let (true, Some(at)) = (later.told, later.at) {
                entry.let_go();
                entry.back_off(at).await;
                // Others may have learnt otherwise meanwhile.
                if !self.may_be_tried(&later.candidate, &mut outlook, Instant::now()) {
                    continue;
                }
            }
            let candidate = &later.candidate;
            now = Instant::now();
            match self.attempt(next, candidate, None, &mut outlook, now).await {
                Step::Done(done) => return done.map(|response| self.entry.with_attempts(response)),
                Step::Next(came) | Step::Wait(came) => best.add(came),
                Step::Over(refusal) => return self.over(best, refusal, &mut outlook),
                Step::Skip => {}
            }
        }
        self.give_up(best, &outlook)
    }

    /// Whether there is one target at most that can be tried now: it is waited for.
    fn is_alone(&self, candidates: &[Arc<Candidate>], now: Instant) -> bool {
        let may =
            |candidate: &&Arc<Candidate>| self.shared.health.passes_over(candidate, now).is_none();
        candidates.iter().filter(may).nth(1).is_none()
    }

    /// Whether the call's deadline is over.
    fn is_late(&self) -> bool {
        let deadline = self.entry.turn().deadline;
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether there is any use in trying a target now.
    fn may_be_tried(
        &self,
        candidate: &Arc<Candidate>,
        outlook: &mut Outlook,
        now: Instant,
    ) -> bool {
        if outlook.is_too_long(candidate) {
            self.pass_over(candidate, PassedOverWhy::TooLong, None);
            return false;
        }
        let Some((why, until)) = self.shared.health.passes_over(candidate, now) else {
            return true;
        };
        match why {
            PassedOverWhy::CoolingDown => {
                outlook.tells(Some(until));
                let at = now.checked_add(spread_out(until - now));
                outlook.later(candidate, at, true);
            }
            PassedOverWhy::BreakerOpen => outlook.is_open(candidate, until),
            _ => {}
        }
        self.pass_over(candidate, why, Some(until - now));
        false
    }

    /// Where room lacks that every target needs: the first of them that waits for nothing else.
    async fn free_to_wait(&self, candidates: &[Arc<Candidate>]) -> Option<Arc<Candidate>> {
        let limiter = self.options.limiter.as_ref()?;
        let now = Instant::now();
        let well = candidates
            .iter()
            .filter(|candidate| self.shared.health.passes_over(candidate, now).is_none());
        order::held_up_by_none(limiter, self.entry.tags(), well).await
    }

    /// One attempt at one target. `until` then it may wait for room there; `None`: as long as the call may.
    async fn attempt<N, B>(
        &self,
        next: &mut N,
        candidate: &Arc<Candidate>,
        until: Option<Instant>,
        outlook: &mut Outlook,
        now: Instant,
    ) -> Step<N::Body, N::Error>
    where
        N: Onward<B>,
        B: From<Bytes> + Send + 'static,
    {
        let Some(prepared) = self.prepare(candidate, until, outlook, now) else {
            return Step::Skip;
        };
        let Prepared {
            view,
            mut request,
            keeps_key,
            mut trial,
        } = prepared;
        let mut make = |entry: &Entry| {
            let again = || self.once_more(candidate, &view);
            let (parts, body) = request.take().unwrap_or_else(again);
            entry.make_request(parts, body)
        };
        let response = match next.send(&view, &mut make).await {
            Ok(response) => response,
            Err(error) => {
                let step = self.broke(error, view.has_left(), &mut trial);
                if matches!(step, Step::Next(_)) {
                    view.moves_on(Trigger::Connection.name());
                }
                return step;
            }
        };
        match view.hear(&response) {
            Heard::Fine => {
                trial.succeeded();
                Step::Done(Ok(response))
            }
            Heard::Refused(rejection) => {
                let wait = rejection.retry_after();
                let goes_on = trigger::of_refusal(&rejection)
                    .filter(|trigger| self.options.triggers.contain(*trigger));
                if let Some(trigger) = goes_on {
                    view.moves_on(trigger.name());
                }
                let goes_on = goes_on.is_some();
                let may_wait = until.is_some() && may_have_room_later(&rejection);
                if may_wait && goes_on {
                    let at = wait.and_then(|wait| Instant::now().checked_add(wait));
                    outlook.later(candidate, at, false);
                }
                match (goes_on, may_wait) {
                    (true, _) => Step::Next(Came::Refused(response, wait)),
                    (false, true) => Step::Wait(Came::Refused(response, wait)),
                    (false, false) => Step::Over(response),
                }
            }
            Heard::Failed(error) => {
                let failed = trigger::of_answer(response.status(), &error);
                // What a provider says of an account that is the caller's own is no news to other callers.
                let is_ours = candidate.key.is_some() && !keeps_key;
                let account = is_ours.then_some(self.options.park_for);
                learn(response.status(), failed, &error, account, &mut trial);
                let goes_on = failed.filter(|trigger| self.goes_on(*trigger, &error));
                if let Some(trigger) = goes_on {
                    view.moves_on(trigger.name());
                }
                match goes_on {
                    None => Step::Done(Ok(response)),
                    Some(Trigger::KeyRefused)
                        if is_ours && error.class == ErrorClass::KeyRefused =>
                    {
                        // What is said of our key is not for the caller.
                        self.pass_over(candidate, PassedOverWhy::KeyRefused, Some(KEY_REFUSED));
                        Step::Skip
                    }
                    // All that there is of it was read, and it breaks for the caller where it did here.
                    Some(_) if error.broke_off => Step::Next(Came::Answered(response)),
                    Some(trigger) => {
                        self.look_ahead(trigger, &error, candidate, outlook);
                        // It is over as soon as its answer is read: nothing is held at the next target.
                        let read = Instant::now() + LONGEST_READ;
                        Step::Next(Came::Answered(Box::pin(keep(response, read)).await))
                    }
                }
            }
        }
    }

    /// The attempt at a target, if it can be asked now.
    fn prepare(
        &self,
        candidate: &Arc<Candidate>,
        until: Option<Instant>,
        outlook: &mut Outlook,
        now: Instant,
    ) -> Option<Prepared> {
        let entry = self.entry;
        let (dialect, foreign) = (entry.dialect(), &self.shared.headers);
        let body = (self.body, entry.asked_model());
        let Some(mut to) = rewrite(self.parts, body, dialect, candidate, foreign) else {
            self.pass_over(candidate, PassedOverWhy::OtherApi, None);
            return None;
        };
        let own = self.with_callers_key(candidate, &to);
        let toward = Toward {
            tags: own.as_ref().unwrap_or(&candidate.tags),
            model: &candidate.target.sent_as,
            keeps_key: to.keeps_key,
            until,
        };
        let (view, body) = entry.toward(&toward, &mut to.parts, to.body);
        let last_resort = outlook.is_last_resort();
        let Some(trial) = self.shared.health.begin(candidate, last_resort, now) else {
            // Somebody else tries it just now.
            self.pass_over(candidate, PassedOverWhy::BreakerOpen, None);
            outlook.is_open(candidate, now);
            return None;
        };
        view.begin(entry);
        outlook.asks(candidate);
        Some(Prepared {
            view,
            request: Some((to.parts, body)),
            keeps_key: to.keeps_key,
            trial,
        })
    }

    /// The tags of an attempt that shows the caller's own key, where neither the call nor the target says which one that is. What
    /// its answer says of limits is said of that key's account, and holds back no caller with another.
    fn with_callers_key(&self, candidate: &Candidate, to: &Rewritten) -> Option<Arc<Tags>> {
        let is_said = candidate.name.api_key.is_some();
        if !to.keeps_key || is_said || self.entry.tags().get(&Tag::ApiKey).is_some() {
            return None;
        }
        let provider = &candidate.target.provider;
        let (name, own) = (Some(provider.name()), provider.auth.name());
        let (headers, query) = (&to.parts.headers, to.parts.uri.query());
        let label = ApiKey::label_of_callers(headers, query, name, own)?;
        let tags = Tags::clone(&candidate.tags);
        Some(Arc::new(tags.with(Tag::ApiKey, label)))
    }

    /// The request of a view that was prepared, which was taken before: a layer further in repeats it.
    fn once_more(&self, candidate: &Candidate, view: &Entry) -> (Parts, Bytes) {
        let foreign = &self.shared.headers;
        let body = (self.body, self.entry.asked_model());
        let to = rewrite(self.parts, body, self.entry.dialect(), candidate, foreign);
        let Rewritten {
            mut parts, body, ..
        } = to.expect("it was rewritten before");
        let body = view.fitted_body(&mut parts).unwrap_or(body);
        (parts, body)
    }

    /// Whether the call goes on to the next target for this reason.
    fn goes_on(&self, trigger: Trigger, error: &ProviderError) -> bool {
        let may = !error.broke_off || self.repeats_uncertain();
        may && self.options.triggers.contain(trigger)
    }

    /// Whether it is sent once more where it may have been billed.
    fn repeats_uncertain(&self) -> bool {
        self.options.repeats_uncertain && self.asked.repeatable
    }

    /// What an error of the inner service means.
    fn broke<R: Body, E: 'static>(
        &self,
        error: E,
        has_left: bool,
        trial: &mut Trial,
    ) -> Step<R, E> {
        let options = self.options;
        let failure = options.classifier.classify(&error, has_left);
        if failure == Failure::Permanent {
            return Step::Done(Err(error));
        }
        trial.failed();
        let is_safe = failure == Failure::BeforeDispatch || self.repeats_uncertain();
        if is_safe && options.triggers.contain(Trigger::Connection) {
            Step::Next(Came::Failed(error))
        } else {
            Step::Done(Err(error))
        }
    }

    /// Whether the target may serve the call later.
    fn look_ahead(
        &self,
        trigger: Trigger,
        error: &ProviderError,
        candidate: &Arc<Candidate>,
        outlook: &mut Outlook,
    ) {
        if trigger == Trigger::ContextLength {
            // One that is too large for a limit may fit that of another key.
            if error.class == ErrorClass::ContextLength {
                outlook.was_too_long(candidate);
            }
            return;
        }
        let after = |wait| Instant::now().checked_add(wait);
        outlook.tells(error.wait.and_then(after));
        // As often as one target is asked by a layer that repeats; a caller that repeats by itself has had that before.
        if !error.retryable || self.asked.again || outlook.asked(candidate) >= MOST_EACH {
            return;
        }
        match (trigger, error.wait) {
            (Trigger::RateLimited, Some(wait)) => {
                outlook.later(candidate, after(spread_out(wait)), true);
            }
            (Trigger::ServerError, Some(wait)) => {
                outlook.failed(candidate, after(spread_out(wait)));
            }
            (Trigger::RateLimited, None) => {
                let repeat = u32::try_from(outlook.asked(candidate)).unwrap_or(u32::MAX);
                outlook.later(candidate, after(Backoff::default().wait(repeat)), true);
            }
            _ => {}
        }
    }

    fn pass_over(&self, candidate: &Candidate, why: PassedOverWhy, still: Option<Duration>) {
        let passed = PassedOver::new(&candidate.name, why, still);
        self.entry.pass_over(passed);
    }
}

/// Whether a wait may help that was not waited for.
fn may_have_room_later(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::RateLimited(_)
            | Rejection::QueueFull { .. }
            | Rejection::DeadlineExceeded(_)
            | Rejection::BudgetExceeded(_)
    )
}
