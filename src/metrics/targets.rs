//! How targets are, by what was told of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    gauges::{Gauge, Reading},
    labels::Labels,
};
use crate::{
    failover::FailoverEvent,
    tags::{Tag, Tags},
};

/// So many are kept at most: who calls may have brought their names.
const MOST: usize = 1_000;

/// What is known of targets.
#[derive(Debug, Default)]
pub(super) struct Targets(Mutex<BTreeMap<Name, Known>>);

/// Provider, model and key.
type Name = [Arc<str>; 3];

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    cooling_until: Option<Instant>,
    open_until: Option<Instant>,
    is_open: bool,
    parked_until: Option<Instant>,
    /// Whether a route leads there.
    is_routed: bool,
}

/// The state of a target: a model at a provider, with one key if there are several. Spans are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TargetStanding {
    /// The provider; empty if it is not known.
    pub provider: Arc<str>,
    /// The model; empty if it is about all models.
    pub model: Arc<str>,
    /// The name of the key, if there are several; not the key itself.
    pub api_key: Arc<str>,
    /// How long until it may be called again, if its provider has asked to be left alone.
    pub cooling: Option<f64>,
    /// Whether it has failed so often that it is passed over, and tried by one call at a time.
    pub is_open: bool,
    /// How long until it is tried again, if it is open.
    pub tried_in: Option<f64>,
    /// How long until it is used again, if its money or quota is used up or its key is refused.
    pub parked: Option<f64>,
}

fn left(until: Option<Instant>, now: Instant) -> Option<f64> {
    let left = until?.saturating_duration_since(now);
    (!left.is_zero()).then_some(left.as_secs_f64())
}

impl Targets {
    /// Something is known of one. Callers may have brought its name: of such there are only so many. Those of routes are as
    /// many as the routes have.
    fn know(&self, name: Name, is_routed: bool, learn: impl FnOnce(&mut Known, Instant)) {
        let (known, now) = (&mut *self.0.lock(), Instant::now());
        if !is_routed && known.len() >= MOST && !known.contains_key(&name) {
            let is_done = |known: &Known| known.cooling_until.is_none_or(|until| until <= now);
            known.retain(|_, known| known.is_routed || !is_done(known));
            let ours = known.iter().filter(|(_, known)| !known.is_routed);
            // The one that is over first makes room.
            let next = ours.min_by_key(|(_, known)| known.cooling_until);
            if let (true, Some(next)) = (known.len() >= MOST, next.map(|(name, _)| name.clone())) {
                known.remove(&next);
            }
        }
        learn(known.entry(name).or_default(), now);
    }

    pub(super) fn cools(&self, tags: &Tags, span: Duration) {
        let name = [Tag::Provider, Tag::Model, Tag::ApiKey];
        let name = name.map(|tag| Arc::from(tags.get(&tag).unwrap_or_default()));
        self.know(name, false, |known, now| {
            known.cooling_until = known.cooling_until.max(now.checked_add(span));
        });
    }

    pub(super) fn changed(&self, event: &FailoverEvent) {
        let target = event.target();
        let name = |name: &Option<Arc<str>>| name.clone().unwrap_or_default();
        let name = [&target.provider, &target.model, &target.api_key].map(name);
        self.know(name, true, |known, now| {
            known.is_routed = true;
            match event {
                FailoverEvent::BreakerOpened { span, .. } => {
                    known.is_open = true;
                    known.open_until = now.checked_add(*span);
                }
                FailoverEvent::BreakerClosed { .. } => known.is_open = false,
                FailoverEvent::Parked { span, .. } => known.parked_until = now.checked_add(*span),
                FailoverEvent::Unparked { .. } => known.parked_until = None,
            }
        });
    }

    /// How they are now.
    pub(super) fn standings(&self) -> Vec<TargetStanding> {
        let (known, now) = (self.0.lock(), Instant::now());
        let each = known.iter().map(|(name, known)| {
            let [provider, model, api_key] = name.clone();
            TargetStanding {
                provider,
                model,
                api_key,
                cooling: left(known.cooling_until, now),
                is_open: known.is_open,
                tried_in: left(known.open_until.filter(|_| known.is_open), now),
                parked: left(known.parked_until, now),
            }
        });
        each.collect()
    }

    /// How they are now. Several keys of one target are shown as one: 1 where any of them is passed over.
    pub(super) fn read(&self, labels: &Labels, readings: &mut Vec<Reading>) {
        let (known, now) = (self.0.lock(), Instant::now());
        let (mut cooling, mut routed) = (HashMap::new(), HashMap::new());
        for ([provider, model, _], known) in &*known {
            let tags = Tags::new()
                .with(Tag::Provider, provider.clone())
                .with(Tag::Model, model.clone());
            let labels = labels.target(&tags);
            if let Some(left) = left(known.cooling_until, now) {
                let longest: &mut f64 = cooling.entry(labels.clone()).or_default();
                *longest = longest.max(left);
            }
            if known.is_routed {
                let (open, parked): &mut (bool, bool) = routed.entry(labels).or_default();
                *open |= known.is_open;
                *parked |= left(known.parked_until, now).is_some();
            }
        }
        let flag = |is: bool| f64::from(u8::from(is));
        for (target, left) in cooling {
            readings.push((Gauge::CooldownRemaining, left, target));
        }
        for (target, (open, parked)) in routed {
            readings.push((Gauge::BreakerOpen, flag(open), target.clone()));
            readings.push((Gauge::Parked, flag(parked), target));
        }
    }
}
