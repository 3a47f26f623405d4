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
                let mut when = when(deployment);
                when.insert("api_key".to_owned(), OneOrMore(vec![deployment.id.clone()]));
                push(deployment.amounts, &when, config);
            }
        }
    }
}

/// What goes to one model of one provider in all.
fn together(place: &[&Deployment], config: &mut Config) {
    let sum = |amount: fn(&Amounts) -> Option<u64>| {
        let amounts = place.iter().map(|deployment| amount(&deployment.amounts));
        // Where one has none, there is none for all of them.
        amounts
            .into_iter()
            .try_fold(0_u64, |sum, amount| Some(sum.saturating_add(amount?)))
    };
    let amounts = Amounts {
        rpm: sum(|one| one.rpm),
        tpm: sum(|one| one.tpm),
        itpm: sum(|one| one.itpm),
        otpm: sum(|one| one.otpm),
        parallel: sum(|one| one.parallel),
    };
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
