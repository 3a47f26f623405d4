//! `model_list`: where calls go, and what is said of it.

use std::fmt;

use super::{
    ApiKey,
    address::{self, Address},
    fields::Fields,
    lent,
    place::{self, Place, Said},
    prices,
    settings::Router,
    terms::{self, Amounts},
};
use crate::{
    config::{Config, ConfigError},
    pricing::{PriceTable, provider_name},
};

/// A place that calls can go to: one entry of `model_list`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployment {
    /// The name that callers use, `model_name`. Any deployment with the same name can serve a call.
    pub group: String,
    /// `model_info.id`, or else the group and the place in the list: `fast#0`.
    pub id: String,
    /// The provider, by our name for it; `None` if the file does not say and the model is not known.
    pub provider: Option<String>,
    /// The model, as the provider names it. A name with a `*` stands for any model.
    pub model: String,
    /// The provider's address, if it is not the usual one: what the file says, or the environment for all deployments to
    /// the provider.
    pub api_base: Option<String>,
    /// The key.
    pub api_key: Option<ApiKey>,
    /// Deployments with a lower order go first.
    pub order: Option<u64>,
    /// How many times as often this deployment is used as one of weight 1.
    pub weight: Option<u64>,
    pub(super) amounts: Amounts,
    /// Its address and key; `None` if no route can lead there.
    pub(super) place: Option<Place>,
}

impl fmt::Debug for Deployment {
    /// Without who is named in an address: that may be a secret as the key is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |base: &'_ String| -> String {
            let address = base.split(['?', '#']).next().unwrap_or_default();
            let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
            host.to_owned()
        };
        let base = self.api_base.as_ref().map(plain);
        f.debug_struct("Deployment")
            .field("group", &self.group)
            .field("id", &self.id)
            .field("provider", &self.provider)
            .field("model", &self.model)
            .field("api_base", &base)
            .field("api_key", &self.api_key)
            .field("order", &self.order)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

/// Our name of a provider.
pub(super) fn ours(name: &str) -> String {
    provider_name(name).to_owned()
}

/// Reads one entry, and what it says of prices and budgets.
pub(super) fn read(
    mut entry: Fields<'_>,
    router: &Router,
    config: &mut Config,
) -> Result<Option<Deployment>, ConfigError> {
    let group = entry.text("model_name");
    let params = entry.map("litellm_params");
    let (Some(group), Some(mut params)) = (group, params) else {
        entry.notes.note(
            &entry.path,
            entry.line,
            "has no `model_name` or no `litellm_params`; it is not read",
        );
        return Ok(None);
    };
    let Some(full) = params.text("model") else {
        entry
            .notes
            .note(&params.path, params.line, "has no `model`; it is not read");
        return Ok(None);
    };
    lent::lend(&mut params, router)?;
    let says = [params.has("custom_llm_provider"), params.has("api_key")];
    let said = params.text("custom_llm_provider");
    let (provider, model) = named(said.as_deref(), &full, &params);
    let mut info = entry.map("model_info");
    let number = entry
        .path
        .trim_end_matches(']')
        .rsplit('[')
        .next()
        .unwrap_or_default();
    let id = info.as_mut().and_then(|info| info.text("id"));
    let theirs = said
        .as_deref()
        .or_else(|| full.split_once('/').map(|(first, _)| first))
        .or(provider.as_deref())
        .map(str::to_owned);
    let address = address::of(&mut params, theirs.as_deref(), router);
    let mut deployment = Deployment {
        id: id.unwrap_or_else(|| format!("{group}#{number}")),
        group,
        provider,
        model,
        api_base: address.found().map(|found| found.url.clone()),
        api_key: params.secret("api_key").map(ApiKey::of),
        order: params.whole("order"),
        weight: params.whole("weight"),
        amounts: terms::amounts(&mut params, &mut entry, router),
        place: None,
    };
    // What is not understood of these was told already.
    let is_understood = !matches!(address, Address::NotUnderstood)
        && says == [said.is_some(), deployment.api_key.is_some()];
    if let (Some(provider), Some(named), true) = (&deployment.provider, &theirs, is_understood) {
        let said = Said {
            named,
            provider,
            model: &deployment.model,
            address: address.found(),
            api_key: deployment.api_key.as_ref(),
        };
        deployment.place = place::of(&said, &mut params);
    }
    prices::budget(&deployment, &mut params, config);
    prices::price(&deployment, &mut params, info.as_mut(), config);
    prices::base_model(&deployment, &mut params, info.as_mut(), config);
    rest(params);
    if let Some(info) = info {
        info.rest("describes the model for LiteLLM alone");
    }
    entry.rest("has no counterpart here");
    Ok(Some(deployment))
}

/// Says of what LiteLLM sends with requests why it is not read.
pub(super) fn rest(mut params: Fields<'_>) {
    for name in ["timeout", "stream_timeout", "max_retries"] {
        params.pass(name, "is a matter of the client, or of `retry`");
    }
    for name in [
        "aws_secret_access_key",
        "aws_access_key_id",
        "vertex_credentials",
    ] {
        params.pass(name, "signs requests; here they leave as they came");
    }
    params.rest("is sent with requests by LiteLLM; here requests leave as they came");
}

/// The provider and the model of `azure/gpt-4o-eu`.
fn named(said: Option<&str>, full: &str, params: &Fields<'_>) -> (Option<String>, String) {
    let (provider, model) = match (said, full.split_once('/')) {
        (Some(said), Some((first, model))) if first == said => (Some(ours(said)), model),
        (Some(said), _) => (Some(ours(said)), full),
        (None, Some((first, model))) => (Some(ours(first)), model),
        (None, None) => (maker(full), full),
    };
    if provider.is_none() && full != "*" {
        let reason = "does not say whose it is; its limits hold for whoever serves it, and no route leads there: write \
             provider/model";
        params.wrong::<()>("model", params.at("model"), reason);
    }
    // How Bedrock is called is no part of the name.
    let called = ["converse/", "invoke/"]
        .into_iter()
        .find_map(|way| model.strip_prefix(way));
    let model = match provider.as_deref() {
        Some("bedrock") => called.unwrap_or(model),
        _ => model,
    };
    (provider, model.to_owned())
}

/// Who makes a model that is named without its provider.
fn maker(model: &str) -> Option<String> {
    const BEGINNINGS: [(&str, &str); 6] = [
        ("gpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("claude-", "anthropic"),
        ("gemini-", "gemini"),
    ];
    let begins = BEGINNINGS
        .iter()
        .find(|(beginning, _)| model.starts_with(beginning));
    let known = || {
        Some(
            PriceTable::built_in()
                .find(None, model)?
                .provider
                .to_owned(),
        )
    };
    begins
        .map(|(_, provider)| (*provider).to_owned())
        .or_else(known)
}
