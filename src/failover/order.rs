//! In which order the targets of a route are tried for one call.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    candidate::{Candidate, Choices, Turn},
    health::Health,
    service::{Options, Shared},
};
use crate::{
    call::{Entry, PassedOver, PassedOverWhy},
    limiter::Limiter,
    tags::{Tag, Tags},
};

/// The targets for a call, where their order hangs on nothing.
pub(super) fn fixed(shared: &Shared, entry: &Entry) -> Option<Arc<[Arc<Candidate>]>> {
    let way = shared.ways.get(entry.tags().get(&Tag::Model)?)?;
    match way.degraded {
        None => way.targets.fixed().cloned(),
        Some(_) => None,
    }
}

/// The targets for a call, the first first. Where a budget is so far spent that the route is degraded, those that are
/// too dear are passed over.
pub(super) async fn candidates(
    options: &Options,
    shared: &Shared,
    entry: &Entry,
) -> Arc<[Arc<Candidate>]> {
    let model = entry.tag(&Tag::Model).unwrap_or_default();
    let Some(way) = shared.ways.get(&model) else {
        return Arc::default();
    };
    let (limiter, health) = (options.limiter.as_ref(), &*shared.health);
    let Some((from, cheaper)) = &way.degraded else {
        return ordered(&way.targets, health, limiter, entry.tags()).await;
    };
    let cheaper = ordered(cheaper, health, limiter, entry.tags()).await;
    let mut all = Vec::new();
    for candidate in ordered(&way.targets, health, limiter, entry.tags())
        .await
        .iter()
    {
        // By the budgets that it would be paid from there: they may look at where a call goes.
        let tags = entry.tags().callers().overlaid(&candidate.tags);
        if is_spent(limiter, tags, *from).await {
            let why = PassedOverWhy::Degraded;
            entry.pass_over(PassedOver::new(&candidate.name, why, None));
        } else {
            all.push(candidate.clone());
        }
    }
    all.extend(cheaper.iter().cloned());
    all.into()
}

async fn ordered(
    choices: &Choices,
    health: &Health,
    limiter: Option<&Limiter>,
    tags: &Tags,
) -> Arc<[Arc<Candidate>]> {
    if let Some(fixed) = choices.fixed() {
        return fixed.clone();
    }
    let now = Instant::now();
    let is_out = |candidate: &Candidate| health.passes_over(candidate, now).is_some();
    let mut all = Vec::new();
    for Turn { keys, by_headroom } in choices.turn(is_out) {
        match limiter.filter(|_| by_headroom) {
            Some(limiter) => all.extend(with_room_first(limiter, tags, keys).await),
            None => all.extend(keys),
        }
    }
    all.into()
}

async fn with_room_first(
    limiter: &Limiter,
    tags: &Tags,
    keys: Vec<Arc<Candidate>>,
) -> Vec<Arc<Candidate>> {
    let mut all = Vec::with_capacity(keys.len());
    for candidate in keys {
        let tags = tags.callers().overlaid(&candidate.tags);
        all.push((headroom(limiter, tags).await, candidate));
    }
    all.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    all.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The first that limits on targets do not hold up: what lacks is room that all of them need.
pub(super) async fn held_up_by_none(
    limiter: &Limiter,
    tags: &Tags,
    candidates: impl Iterator<Item = &Arc<Candidate>>,
) -> Option<Arc<Candidate>> {
    for candidate in candidates {
        let tags = tags.callers().overlaid(&candidate.tags);
        if !limiter.is_held_up_by_target(tags).await {
            return Some(candidate.clone());
        }
    }
    None
}

/// The share that is left of the limit that has least left; 1 where nobody can say.
async fn headroom(limiter: &Limiter, tags: Tags) -> f64 {
    let fills = limiter.fills(tags).await;
    let left = fills.iter().map(|fill| 1.0 - fill.share);
    left.fold(1.0, f64::min)
}

/// Whether such a share of any budget is spent or reserved.
async fn is_spent(limiter: Option<&Limiter>, tags: Tags, from: f64) -> bool {
    let Some(limiter) = limiter else {
        return false;
    };
    let fills = limiter.fills(tags).await;
    fills.iter().any(|fill| fill.is_money && fill.share >= from)
}
