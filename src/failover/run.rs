//! One call on its way along the targets of its route.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use tokio::time::Instant;

use super::{
    ApiKey,
    ahead::Patience,
    candidate::Candidate,
    health::Trial,
    learn::{KEY_REFUSED, learn},
    order,
    outcome::{Best, Came, Outlook, Step},
    rewrite::{Rewritten, rewrite},
    service::{Options, Settings, Shared},
    trigger::{self, Trigger, Triggers},
};
use crate::{
    body::{Answered, Onward, keep},
    call::{Elsewhere, Entered, Entry, Failing, Heard, PassedOverWhy, Toward},
    retry::{Failure, asked::Asked, classifier::is_of_this_machine},
    tags::{Tag, Tags},
    wire::{ErrorClass, path_end},
};

/// How long the body of an answer may take to come that is not handed on.
const LONGEST_READ: Duration = Duration::from_secs(1);

pub(crate) struct Run<'r> {
    pub(super) options: &'r Options,
    pub(super) shared: &'r Shared,
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
        let made = entry.made();
        if let Some(budget) = options.budget.as_ref().filter(|_| made == 0) {
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
        let others = self.others(&candidates, now);
        let (mut best, mut outlook) = (Best::new(), Outlook::after(made));
        for candidate in candidates.iter() {
            if !entry.may_have_another() || best.was_sent() && self.is_late() {
                break;
            }
            if !self.may_be_tried(candidate, &mut outlook, now) {
                continue;
            }
            let patience = Patience {
                until: others.until(now, options.patience),
                for_room: true,
            };
            match self
                .attempt(next, candidate, patience, &mut outlook, now)
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
                    outlook.has_room(waits, Some(Instant::now()));
                    break;
                }
            }
            now = Instant::now();
        }
        // Nobody serves at once: whoever does first is waited for.
        let longest = Instant::now().checked_add(options.longest_wait);
        while entry.may_have_another() {
            let deadline = self.deadline();
            let Some(later) = outlook.first(longest, deadline, best.was_sent()) else {
                break;
            };
            let budget = options.budget.as_ref().filter(|_| later.failed);
            if budget.is_some_and(|budget| !budget.take(Instant::now())) {
                continue;
            }
            if let (true, Some(at)) = (later.told, later.comes_back(deadline)) {
                entry.let_go();
                entry.back_off(at).await;
                // Others may have learnt otherwise meanwhile.
                if !self.may_be_tried(&later.candidate, &mut outlook, Instant::now()) {
                    continue;
                }
            }
            let candidate = &later.candidate;
            let patience = Patience {
                until: outlook.soonest(longest, deadline, candidate),
                for_room: false,
            };
            now = Instant::now();
            match self
                .attempt(next, candidate, patience, &mut outlook, now)
                .await
            {
                Step::Done(done) => return done.map(|response| self.entry.with_attempts(response)),
                Step::Next(came) | Step::Wait(came) => best.add(came),
                Step::Over(refusal) => return self.over(best, refusal, &mut outlook),
                Step::Skip => {}
            }
        }
        self.give_up(best, &outlook)
    }

    /// One attempt at one target, which has so much patience there.
    async fn attempt<N, B>(
        &self,
        next: &mut N,
        candidate: &Arc<Candidate>,
        patience: Patience,
        outlook: &mut Outlook,
        now: Instant,
    ) -> Step<N::Body, N::Error>
    where
        N: Onward<B>,
        B: From<Bytes> + Send + 'static,
    {
        let Some(prepared) = self.prepare(candidate, patience, outlook, now) else {
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
                outlook.was_asked(candidate, self.entry.made(), 1);
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
                outlook.was_asked(candidate, self.entry.made(), 0);
                let goes_on = trigger::of_refusal(&rejection)
                    .filter(|trigger| self.options.triggers.contain(*trigger));
                if let Some(trigger) = goes_on {
                    view.moves_on(trigger.name());
                }
                let (wait, goes_on) = (rejection.retry_after(), goes_on.is_some());
                let may_wait = patience.was_short_of(&rejection);
                if goes_on {
                    outlook.was_refused(candidate, &rejection, may_wait);
                }
                match (goes_on, may_wait) {
                    (true, _) => Step::Next(Came::Refused(response, wait)),
                    (false, true) => Step::Wait(Came::Refused(response, wait)),
                    (false, false) => Step::Over(response),
                }
            }
            Heard::Failed(error) => {
                outlook.was_asked(candidate, self.entry.made(), 1);
                let failed = trigger::of_answer(response.status(), &error);
                // What a provider says of an account that is the caller's own is no news to other callers. A server that is
                // sent no key has one account for all; but it refuses no key of ours.
                let is_ours = !keeps_key;
                let is_of_caller = failed == Some(Trigger::KeyRefused) && candidate.key.is_none();
                let account = (is_ours && !is_of_caller).then_some(self.options.park_for);
                learn(response.status(), failed, &error, account, &mut trial);
                let triggers = self.triggers();
                let goes_on = failed.filter(|trigger| triggers.contain_of(*trigger, &error));
                if let Some(trigger) = goes_on {
                    view.moves_on(trigger.name());
                }
                match goes_on {
                    None => Step::Done(Ok(response)),
                    Some(Trigger::KeyRefused)
                        if candidate.key.is_some()
                            && is_ours
                            && error.class == ErrorClass::KeyRefused =>
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
        patience: Patience,
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
            until: patience.until.filter(|_| patience.for_room),
            elsewhere: patience.until.map(|from| Elsewhere {
                from,
                reasons: self.triggers().number(),
                goes_on: trigger::goes_on,
            }),
            before: outlook.asked(candidate),
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

    /// For which reasons the call goes on to the next target, also where it may have been billed if it may be sent once more
    /// then.
    fn triggers(&self) -> Triggers {
        let repeats = self.options.repeats_uncertain && self.asked.repeatable;
        self.options.triggers.with_uncertain(repeats)
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
        if !is_of_this_machine(&error) {
            trial.failed();
        }
        if trigger::goes_on(self.triggers().number(), Failing::Broke(failure)) {
            Step::Next(Came::Failed(error))
        } else {
            Step::Done(Err(error))
        }
    }
}
