//! Deployments and fallbacks as providers and routes.

use std::collections::BTreeSet;

use super::{Deployment, LiteLlmConfig, notes::Notes, terms};
use crate::config::{KeyConfig, PoolName, ProviderConfig, RouteConfig, TargetConfig, TriggerName};

/// Deployments of a route that differ in their keys alone: one target.
struct Bucket<'d> {
    deployments: Vec<(&'d Deployment, u32)>,
    /// How often the target is tried first.
    weight: u32,
}

/// A route for each group: its deployments by their weights, behind them those of its fallbacks in order.
pub(super) fn routes(read: &mut LiteLlmConfig, notes: &Notes<'_>) {
    let mut groups: Vec<String> = Vec::new();
    for deployment in &read.deployments {
        if deployment.place.is_some() && !groups.contains(&deployment.group) {
            groups.push(deployment.group.clone());
        }
    }
    let mut names: Vec<(String, String)> = groups
        .iter()
        .map(|group| (group.clone(), group.clone()))
        .collect();
    for (alias, group) in &read.group_aliases {
        if groups.contains(group) && !groups.contains(alias) {
            names.push((alias.clone(), group.clone()));
        }
    }
    for (name, group) in names {
        let mut chain = Vec::new();
        read.chain(&group, &mut chain);
        let buckets = read.buckets(&chain);
        let mut targets = Vec::new();
        let mut providers = Vec::new();
        for bucket in &buckets {
            let others = &read.config.rate_limiting.failover.providers;
            let (entry, provider) = bucket.provider(others, &read.deployments);
            let first = bucket.deployments[0].0;
            targets.push(TargetConfig {
                weight: bucket.weight,
                ..TargetConfig::new(entry.clone(), first.model.clone())
            });
            providers.push((entry, provider));
        }
        let failover = &mut read.config.rate_limiting.failover;
        failover.providers.extend(providers);
        failover.routes.insert(name, RouteConfig::weighted(targets));
    }
    for group in &groups {
        read.special(group, notes);
    }
    let has_filter = groups.iter().any(|group| read.goes_on_when_filtered(group));
    if has_filter {
        read.config
            .rate_limiting
            .failover
            .on
            .push(TriggerName::ContentFilter);
    }
}

impl LiteLlmConfig {
    /// The groups that serve a group's calls, itself first.
    fn chain<'c>(&'c self, group: &'c str, chain: &mut Vec<&'c str>) {
        let group = self.group_aliases.get(group).map_or(group, String::as_str);
        if chain.contains(&group) {
            return;
        }
        chain.push(group);
        let of = &self.fallbacks.of;
        let listed = of.get(group).or_else(|| of.get("*"));
        for next in listed.unwrap_or(&self.fallbacks.default) {
            self.chain(next, chain);
        }
    }

    fn buckets(&self, chain: &[&str]) -> Vec<Bucket<'_>> {
        let mut buckets: Vec<Bucket<'_>> = Vec::new();
        for (place, group) in chain.iter().enumerate() {
            for (deployment, weight) in self.weighed(group) {
                let is_first = place == 0 && self.is_of_first_order(deployment);
                let weight_first = if is_first { weight } else { 0 };
                match buckets.iter_mut().find(|bucket| bucket.is_of(deployment)) {
                    Some(bucket) => {
                        // Keys of those behind are used when no other is left.
                        let own = if bucket.weight > 0 {
                            weight_first
                        } else {
                            weight
                        };
                        bucket.deployments.push((deployment, own));
                        bucket.weight = bucket.weight.saturating_add(weight_first);
                    }
                    None => buckets.push(Bucket {
                        deployments: vec![(deployment, weight)],
                        weight: weight_first,
                    }),
                }
            }
        }
        buckets
    }

    /// The deployments of a group that calls can go to, in their order, with their weights: what is said, else the
    /// requests or tokens per minute where all say them, else the same for each.
    fn weighed(&self, group: &str) -> Vec<(&Deployment, u32)> {
        let all = self.deployments.iter();
        let mut members: Vec<&Deployment> = all
            .filter(|one| one.group == group && one.place.is_some())
            .collect();
        members.sort_by_key(|one| one.order.unwrap_or(u64::MAX));
        let of = |value: fn(&Deployment) -> Option<u64>| -> Vec<Option<u64>> {
            members.iter().map(|one| value(one)).collect()
        };
        let said = of(|one| one.weight);
        let (rpm, tpm) = (of(|one| one.amounts.rpm), of(|one| one.amounts.tpm));
        let weights: Vec<u64> = if said.iter().any(Option::is_some) {
            said.into_iter().map(|weight| weight.unwrap_or(1)).collect()
        } else {
            let measured = [rpm, tpm]
                .into_iter()
                .find_map(|list| list.into_iter().collect());
            measured.unwrap_or_else(|| vec![1; members.len()])
        };
        let none = weights.iter().all(|weight| *weight == 0);
        let weights = weights.into_iter().map(|weight| match weight {
            0 if none => 1,
            weight => u32::try_from(weight).unwrap_or(u32::MAX),
        });
        members.iter().copied().zip(weights).collect()
    }

    /// Whether none of its group goes before it.
    fn is_of_first_order(&self, deployment: &Deployment) -> bool {
        let order = |one: &Deployment| one.order.unwrap_or(u64::MAX);
        let mut others = self
            .deployments
            .iter()
            .filter(|one| one.group == deployment.group);
        !others.any(|one| one.place.is_some() && order(one) < order(deployment))
    }

    /// Says which fallbacks for one reason alone no route has.
    fn special(&self, group: &str, notes: &Notes<'_>) {
        let mut chain = Vec::new();
        self.chain(group, &mut chain);
        for (name, listed) in [
            ("context_window_fallbacks", &self.fallbacks.context_window),
            ("content_policy_fallbacks", &self.fallbacks.content_policy),
        ] {
            let missing = self.missing(&chain, listed.get(group));
            if !missing.is_empty() {
                let missing: Vec<&str> = missing.into_iter().collect();
                let reason = format!(
                    "lead to `{}` for one reason alone; a route serves for all of them: write them under `fallbacks` as well",
                    missing.join("`, `")
                );
                notes.note(&format!("{name}.{group}"), 0, reason);
            }
        }
    }

    /// Of these groups those that are there, and not in a chain.
    fn missing<'c>(&'c self, chain: &[&str], listed: Option<&'c Vec<String>>) -> BTreeSet<&'c str> {
        let listed = listed.into_iter().flatten().map(String::as_str);
        let there = |group: &&str| self.deployments.iter().any(|one| one.group == **group);
        listed
            .filter(there)
            .filter(|group| !chain.contains(group))
            .collect()
    }

    /// Whether what a provider's filter stopped is to go on to a target of the route.
    fn goes_on_when_filtered(&self, group: &str) -> bool {
        let mut chain = Vec::new();
        self.chain(group, &mut chain);
        let listed = self.fallbacks.content_policy.get(group);
        listed.is_some_and(|groups| groups.iter().any(|group| chain.contains(&group.as_str())))
    }
}

impl Bucket<'_> {
    fn is_of(&self, deployment: &Deployment) -> bool {
        let one = self.deployments[0].0;
        let base = |one: &Deployment| one.place.as_ref().map(|place| place.base_url.clone());
        one.provider == deployment.provider
            && one.model == deployment.model
            && base(one) == base(deployment)
    }

    /// The provider of its target, and a name for it: that of the first deployment, with a number where another has it.
    fn provider(
        &self,
        others: &std::collections::BTreeMap<String, ProviderConfig>,
        all: &[Deployment],
    ) -> (String, ProviderConfig) {
        let first = self.deployments[0].0;
        let keys = self.deployments.iter().filter_map(|(deployment, weight)| {
            Some(KeyConfig {
                label: Some(deployment.id.clone()),
                key: deployment.place.as_ref()?.key.clone()?,
                weight: *weight,
            })
        });
        let provider = ProviderConfig {
            base_url: first.place.as_ref().map(|place| place.base_url.clone()),
            provider: first.provider.clone(),
            auth: None,
            keys: keys.collect(),
            pool: PoolName::Weighted,
            label: terms::label(first, all).map(str::to_owned),
        };
        let mut name = first.id.clone();
        let mut number = 1;
        while others.get(&name).is_some_and(|other| *other != provider) {
            number += 1;
            name = format!("{}#{number}", first.id);
        }
        (name, provider)
    }
}
