//! What deployments are limited to.

use std::collections::BTreeMap;

use super::{Deployment, fields::Fields, settings::Router};
use crate::{
    config::{Config, LimitConfig, OneOrMore, Quota, Span},
    limit::Quantity,
};

/// What a deployment is limited to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) rpm: Option<u64>,
    pub(super) tpm: Option<u64>,
    itpm: Option<u64>,
    otpm: Option<u64>,
    parallel: Option<u64>,
}

pub(super) fn amounts(params: &mut Fields<'_>, entry: &mut Fields<'_>, router: &Router) -> Amounts {
    // Older files have them beside the parameters.
    let mut either = |name| params.amount(name).or_else(|| entry.amount(name));
    Amounts {
        rpm: either("rpm"),
        tpm: either("tpm"),
        itpm: either("itpm"),
        otpm: either("otpm"),
        parallel: either("max_parallel_requests").or(router.max_parallel_requests),
    }
}

/// What calls have that go there.
pub(super) fn when(deployment: &Deployment) -> BTreeMap<String, OneOrMore> {
    let one = |value: &str| OneOrMore(vec![value.to_owned()]);
    let mut when = BTreeMap::new();
    if let Some(provider) = &deployment.provider {
        when.insert("provider".to_owned(), one(provider));
    }
    if !deployment.model.contains('*') {
        when.insert("model".to_owned(), one(&deployment.model));
    }
    when
}

/// The limits of all deployments: on each provider's model, and on each deployment of several.
pub(super) fn limits(deployments: &[Deployment], config: &mut Config) {
    let mut places: Vec<Vec<&Deployment>> = Vec::new();
    for deployment in deployments {
        let same = |other: &&mut Vec<&Deployment>| when(other[0]) == when(deployment);
        match places.iter_mut().find(same) {
            Some(place) => place.push(deployment),
            None => places.push(vec![deployment]),
        }
    }
    for place in places {
        together(&place, config);
        if place.len() > 1 {
            for deployment in place {
                apart(deployment, deployments, config);
            }
        }
    }
}

/// What the calls that go to a deployment without a key have as their `api_key`, so that its limits hold for it alone: where
/// there are others of its model. Those at one address are told apart by nothing, and have the name of the first.
pub(super) fn label<'d>(deployment: &'d Deployment, all: &'d [Deployment]) -> Option<&'d str> {
    let beside = beside(deployment, all);
    let alike = all.iter().filter(|one| is_alike(one, deployment));
    let first = beside.first()?;
    (alike.count() > beside.len()).then_some(first.id.as_str())
}

/// The deployments without a key at the address of one, itself among them; none of one that has a key.
fn beside<'d>(deployment: &'d Deployment, all: &'d [Deployment]) -> Vec<&'d Deployment> {
    let base = keyless(deployment);
    let is_beside =
        |one: &&Deployment| base.is_some() && keyless(one) == base && is_alike(one, deployment);
    all.iter().filter(is_beside).collect()
}

/// The address of a deployment that calls go to without a key.
fn keyless(deployment: &Deployment) -> Option<&str> {
    let place = deployment.place.as_ref()?;
    place.key.is_none().then_some(place.base_url.as_str())
}

/// Whether both are of one model of one provider.
fn is_alike(one: &Deployment, other: &Deployment) -> bool {
    one.provider == other.provider && one.model == other.model
}

/// What goes to one deployment of several.
fn apart(deployment: &Deployment, all: &[Deployment], config: &mut Config) {
    let amounts = match label(deployment, all) {
        None => deployment.amounts,
        Some(label) if label == deployment.id => sum(&beside(deployment, all)),
        // It counts with the first at its address.
        Some(_) => return,
    };
    let mut when = when(deployment);
    when.insert("api_key".to_owned(), OneOrMore(vec![deployment.id.clone()]));
    push(amounts, &when, config);
}

/// What several have in all.
fn sum(place: &[&Deployment]) -> Amounts {
    let sum = |amount: fn(&Amounts) -> Option<u64>| {
        let mut amounts = place.iter().map(|deployment| amount(&deployment.amounts));
        // Where one has none, there is none for all of them.
        amounts.try_fold(0_u64, |sum, amount| Some(sum.saturating_add(amount?)))
    };
    Amounts {
        rpm: sum(|one| one.rpm),
        tpm: sum(|one| one.tpm),
        itpm: sum(|one| one.itpm),
        otpm: sum(|one| one.otpm),
        parallel: sum(|one| one.parallel),
    }
}

/// What goes to one model of one provider in all.
fn together(place: &[&Deployment], config: &mut Config) {
    let amounts = sum(place);
    let first = place[0];
    match &first.provider {
        Some(provider) if !first.model.contains('*') && amounts != Amounts::default() => {
            let models = config
                .rate_limiting
                .providers
                .entry(provider.clone())
                .or_default();
            models.insert(
                first.model.clone(),
                Quota {
                    requests_per_minute: amounts.rpm,
                    tokens_per_minute: amounts.tpm,
                    input_tokens_per_minute: amounts.itpm,
                    output_tokens_per_minute: amounts.otpm,
                    concurrent_requests: amounts.parallel,
                    ..Quota::default()
                },
            );
        }
        _ => push(amounts, &when(first), config),
    }
}

fn push(amounts: Amounts, when: &BTreeMap<String, OneOrMore>, config: &mut Config) {
    let minute = Some(Span::from_secs(60));
    for (quantity, amount, every) in [
        (Quantity::Requests, amounts.rpm, minute),
        (Quantity::Tokens, amounts.tpm, minute),
        (Quantity::InputTokens, amounts.itpm, minute),
        (Quantity::OutputTokens, amounts.otpm, minute),
        (Quantity::Concurrency, amounts.parallel, None),
    ] {
        if let Some(amount) = amount {
            let limit = LimitConfig::on(quantity, amount, every, when.clone());
            config.rate_limiting.limits.push(limit);
        }
    }
}
