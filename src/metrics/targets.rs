//! How targets are, by what was told of them.

use std::{collections::HashMap, time::Duration};

use opentelemetry::KeyValue;
use parking_lot::Mutex;
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
pub(super) struct Targets(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Until when they are left alone.
    cooling: HashMap<Vec<KeyValue>, Instant>,
    /// By provider, model and key: whether the breaker is open, and until when they are parked.
    routed: HashMap<[String; 3], Routed>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Routed {
    is_open: bool,
    parked_until: Option<Instant>,
}

impl Targets {
    pub(super) fn cools(&self, labels: Vec<KeyValue>, span: Duration) {
        let (known, now) = (&mut self.0.lock().cooling, Instant::now());
        if known.len() >= MOST {
            known.retain(|_, until| *until > now);
        }
        if known.len() < MOST || known.contains_key(&labels) {
            let until = known.entry(labels).or_insert(now);
            *until = (*until).max(now + span);
        }
    }

    pub(super) fn changed(&self, event: &FailoverEvent) {
        let target = event.target();
        let name = |name: &Option<std::sync::Arc<str>>| name.as_deref().unwrap_or("").to_owned();
        let key = [&target.provider, &target.model, &target.api_key].map(name);
        let known = &mut self.0.lock().routed;
        let routed = known.entry(key).or_default();
        match event {
            FailoverEvent::BreakerOpened { .. } => routed.is_open = true,
            FailoverEvent::BreakerClosed { .. } => routed.is_open = false,
            FailoverEvent::Parked { span, .. } => {
                routed.parked_until = Instant::now().checked_add(*span);
            }
        }
    }

    /// How they are now. Several keys of one target are shown as one: 1 where any of them is passed over.
    pub(super) fn read(&self, labels: &Labels, readings: &mut Vec<Reading>) {
        let (known, now) = (&mut *self.0.lock(), Instant::now());
        known.cooling.retain(|_, until| *until > now);
        for (target, until) in &known.cooling {
            let left = until.saturating_duration_since(now).as_secs_f64();
            readings.push((Gauge::CooldownRemaining, left, target.clone()));
        }
        let mut shown: HashMap<Vec<KeyValue>, (bool, bool)> = HashMap::new();
        for ([provider, model, _], routed) in &known.routed {
            let tags = Tags::new()
                .with(Tag::Provider, provider.as_str())
                .with(Tag::Model, model.as_str());
            let (open, parked) = shown.entry(labels.target(&tags)).or_default();
            *open |= routed.is_open;
            *parked |= routed.parked_until.is_some_and(|until| until > now);
        }
        for (target, (open, parked)) in shown {
            readings.push((
                Gauge::BreakerOpen,
                f64::from(u8::from(open)),
                target.clone(),
            ));
            readings.push((Gauge::Parked, f64::from(u8::from(parked)), target));
        }
    }
}
