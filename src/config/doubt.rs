//! Names that can be read and that hardly anybody means: misspelled tags and providers, and what looks like a pattern.
//! Nothing would ever count under them.

use std::collections::BTreeMap;

use super::{ConfigError, OneOrMore, RateLimiting, failover::known};
use crate::{
    limit::Quantity,
    pricing::{provider_name, provider_names},
    tags::Tag,
};

/// The tags that are not free.
const TAGS: [&str; 7] = [
    "provider", "model", "api_key", "agent", "user", "team", "run",
];
/// Words that are near one of these, and good names of free tags.
const WORDS: [&str; 2] = ["mode", "term"];
/// Further providers, whose address is not known.
const PROVIDERS: [&str; 12] = [
    "vertex",
    "perplexity",
    "vllm",
    "ollama",
    "llamacpp",
    "llama_cpp",
    "llama",
    "llm",
    "lm_studio",
    "lmstudio",
    "llama.cpp",
    "sglang",
];

/// The providers that a file names beside the block. They make no two blocks different.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elsewhere(pub(super) Vec<String>);

impl PartialEq for Elsewhere {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A name, and where it stands.
type Named<'c> = (String, &'c str);
/// Where a limit or a budget stands, which calls it is on, and what it is split by.
type Scope<'c> = (String, &'c BTreeMap<String, OneOrMore>, &'c [String]);

impl RateLimiting {
    /// A tag without a name is that of no call.
    pub(super) fn check_tags(&self) -> Result<(), ConfigError> {
        for (path, tag) in self.tags() {
            let reason = match tag.trim() {
                "" => "has a tag without a name; name one: `agent`, `team`",
                name if name.contains(',') => {
                    "names several tags in one text; write a list: `[agent, team]`"
                }
                _ => continue,
            };
            return Err(ConfigError::Value {
                path: format!("rate_limiting.{path}"),
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    /// What of the names is in force, and may not be meant.
    pub(super) fn doubts(&self) -> Vec<String> {
        if !self.enabled {
            return Vec::new();
        }
        let mut doubts: Vec<(String, String)> = Vec::new();
        for (path, tag) in self.tags() {
            doubts.extend(doubt_tag(tag).map(|reason| (path, reason)));
        }
        for (path, provider) in self.named_providers() {
            let reason = self.doubt_provider(provider);
            doubts.extend(reason.map(|reason| (path, reason)));
        }
        for (path, value) in self.values() {
            doubts.extend(doubt_pattern(value).map(|reason| (path, reason)));
        }
        doubts.extend(self.doubt_alert());
        let doubts = doubts.into_iter();
        doubts
            .map(|(path, reason)| format!("rate_limiting.{path}: {reason}"))
            .collect()
    }

    /// The tags that limits, budgets and the queue go by.
    fn tags(&self) -> Vec<Named<'_>> {
        let mut tags = vec![("queue.share_by".to_owned(), self.queue.share_by.as_str())];
        for (path, when, per) in self.scopes() {
            tags.extend(when.keys().map(|tag| (format!("{path}.when"), &**tag)));
            let per = per.iter().enumerate();
            tags.extend(per.map(|(place, tag)| (format!("{path}.per[{place}]"), &**tag)));
        }
        for (place, limit) in self.limits.iter().enumerate() {
            let shares = limit.shares.keys();
            tags.extend(shares.map(|tag| (format!("limits[{place}].shares"), &**tag)));
        }
        tags
    }

    /// Those of all limits and budgets that are written in full.
    fn scopes(&self) -> Vec<Scope<'_>> {
        let limits = self.limits.iter().enumerate();
        let limits =
            limits.map(|(place, limit)| (format!("limits[{place}]"), &limit.when, &*limit.per));
        let budgets = self.budgets.iter().enumerate();
        let budgets = budgets
            .map(|(place, budget)| (format!("budgets[{place}]"), &budget.when, &*budget.per));
        limits.chain(budgets).collect()
    }

    /// The providers that limits and budgets are on.
    fn named_providers(&self) -> Vec<Named<'_>> {
        let keys = self.providers.keys();
        let mut named: Vec<Named<'_>> = keys
            .map(|name| (format!("providers.{name}"), &**name))
            .collect();
        for (path, when, _) in self.scopes() {
            let values = when.get("provider").into_iter().flat_map(|all| &all.0);
            named.extend(values.map(|name| (format!("{path}.when.provider"), &**name)));
        }
        named
    }

    /// The values of tags that something is said of, and the models that have routes.
    fn values(&self) -> Vec<Named<'_>> {
        let mut values = Vec::new();
        for (provider, models) in &self.providers {
            add(&mut values, &format!("providers.{provider}"), models.keys());
        }
        for (provider, models) in &self.prices {
            add(&mut values, &format!("prices.{provider}"), models.keys());
        }
        add(&mut values, "agents", self.agents.keys());
        add(&mut values, "queue.weights", self.queue.weights.keys());
        add(&mut values, "failover.routes", self.failover.routes.keys());
        for (path, when, _) in self.scopes() {
            for (tag, all) in when {
                add(&mut values, &format!("{path}.when.{tag}"), &all.0);
            }
        }
        for (place, limit) in self.limits.iter().enumerate() {
            let path = format!("limits[{place}]");
            add(
                &mut values,
                &format!("{path}.amounts"),
                limit.amounts.keys(),
            );
            for (tag, parts) in &limit.shares {
                add(&mut values, &format!("{path}.shares.{tag}"), parts.keys());
            }
        }
        for (place, budget) in self.budgets.iter().enumerate() {
            let path = format!("budgets[{place}].amounts");
            add(&mut values, &path, budget.amounts.keys());
        }
        values
    }

    /// A provider that nothing else in the file is about, and whose name is nearly that of a known one.
    fn doubt_provider(&self, name: &str) -> Option<String> {
        let mut own = self.failover.providers.iter();
        let is_own = own
            .any(|(other, provider)| other == name || provider.provider.as_deref() == Some(name));
        if is_own || self.elsewhere.0.iter().any(|other| other == name) {
            return None;
        }
        let meant = meant_provider(name)?;
        Some(format!(
            "no provider that is known or named here is called `{name}`; did you mean `{meant}`?"
        ))
    }

    /// A share of budgets where there is no budget.
    fn doubt_alert(&self) -> Option<(String, String)> {
        self.alert_threshold?;
        let limits = self.named();
        let mut quantities = limits.iter().map(|(_, limit)| limit.quantity);
        let reason = "there is no budget that it could warn of";
        (!quantities.any(|quantity| quantity == Quantity::Cost))
            .then(|| ("alert_threshold".to_owned(), reason.to_owned()))
    }
}

/// Adds names that stand in one place.
fn add<'c>(named: &mut Vec<Named<'c>>, path: &str, names: impl IntoIterator<Item = &'c String>) {
    let names = names.into_iter();
    named.extend(names.map(|name| (path.to_owned(), name.as_str())));
}

fn doubt_tag(tag: &str) -> Option<String> {
    let meant = meant_tag(tag)?;
    Some(format!(
        "`{tag}` is a tag of your own, which calls have only where it is set by this name; did you mean `{meant}`?"
    ))
}

/// A name in small letters, and with one sign between its words.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' ', '.'], "_")
}

/// The tag that a free one is nearly called like.
fn meant_tag(tag: &str) -> Option<&'static str> {
    let is_free = matches!(Tag::from(tag), Tag::Free(_));
    let plain = plain(tag);
    if !is_free || WORDS.contains(&plain.as_str()) {
        return None;
    }
    let one = plain.strip_suffix('s');
    let same = |known: &&'static str| plain == *known || one == Some(*known);
    let found = TAGS.into_iter().find(same);
    found.or_else(|| nearest(&plain, &TAGS))
}

/// The known provider that another one is nearly called like.
fn meant_provider(name: &str) -> Option<&'static str> {
    let known: Vec<&'static str> = known::all()
        .chain(provider_names())
        .chain(PROVIDERS)
        .collect();
    if known.contains(&name) || provider_name(name) != name {
        return None;
    }
    let name = plain(name);
    if let Some(same) = known.iter().find(|known| plain(known) == name) {
        return Some(*same);
    }
    // `openai-eu` is another account.
    if known.iter().any(|known| name.starts_with(*known)) {
        return None;
    }
    match name.as_str() {
        // A model, whose provider is not the one that is nearly called so.
        "grok" => Some("xai"),
        _ => nearest(&name, &known),
    }
}

/// How many letters may be wrong.
fn slips(known: &str) -> usize {
    match known.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// What this is a misspelling of.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let apart = known
        .iter()
        .map(|known| (strsim::osa_distance(name, known), *known));
    let near = apart.filter(|(apart, known)| *apart <= slips(known));
    near.min().map(|(_, known)| known)
}

fn doubt_pattern(value: &str) -> Option<String> {
    value.contains('*').then(|| {
        format!(
            "`{value}` is taken as it stands, with its `*`: there are no patterns; name each value"
        )
    })
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
