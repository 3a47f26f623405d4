//! Where a deployment is, and with which key: what a target needs.

use super::{ApiKey as Named, fields::Fields};
use crate::{
    config::{Secret, failover::known},
    failover::{ApiKey, Provider},
};

/// The address and the key of a deployment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base_url: String,
    pub(super) key: Option<Secret>,
}

/// The parts of a deployment that say it.
pub(super) struct Said<'d> {
    /// The provider as the file names it.
    pub(super) named: &'d str,
    /// Our name for it.
    pub(super) provider: &'d str,
    pub(super) model: &'d str,
    pub(super) api_base: Option<&'d str>,
    pub(super) api_key: Option<&'d Named>,
}

/// Nothing where no call can be sent there as it is; says why.
pub(super) fn of(said: &Said<'_>, params: &mut Fields<'_>) -> Option<Place> {
    if said.model.contains('*') {
        let reason =
            "stands for any model; a route is for one name, so calls for these go on as they came";
        return params.wrong("model", params.at("model"), reason);
    }
    if ["bedrock", "sagemaker"].contains(&said.provider) || said.named.starts_with("vertex_ai") {
        let reason = "takes no API keys; no route leads there, and calls for it go on as they came";
        return params.wrong("model", params.at("model"), reason);
    }
    let local = said.api_base.is_none().then(|| local(said.named, params));
    let local = local.flatten();
    let said = &Said {
        api_base: said.api_base.or(local.as_deref()),
        ..*said
    };
    let base_url = base_url(said, params)?;
    let own = said.api_key.map(|key| {
        let name = key.variable();
        (
            name.map(str::to_owned),
            key.reveal(params.notes.environment()),
        )
    });
    let key = match own {
        Some((_, Some(key))) => Some(key),
        Some((name, None)) => {
            let name = name.unwrap_or_default();
            let reason =
                format!("the environment variable `{name}` is not set; no route leads there");
            return params.wrong("api_key", params.at("api_key"), reason);
        }
        None => {
            // Where LiteLLM looks for it.
            let variable = format!("{}_API_KEY", said.named.to_uppercase());
            let ours = format!("{}_API_KEY", said.provider.to_uppercase());
            let look = params.notes.environment();
            let found = look(&variable).or_else(|| look(&ours));
            if found.is_none() && said.api_base.is_none() {
                let reason = format!(
                    "is missing, and so is the environment variable `{variable}`; no route leads there"
                );
                return params.wrong("api_key", params.at("model"), reason);
            }
            found
        }
    };
    // Neither is shown: it may be a secret, and what a variable stands for.
    if Provider::new(said.provider, &base_url).is_err() {
        let reason = "is no address, or names a user; no route leads there: write it as https://example.com/v1";
        return params.wrong("api_base", params.at("model"), reason);
    }
    if key
        .as_ref()
        .is_some_and(|key| ApiKey::new("key", key.as_str()).is_err())
    {
        let reason = "is empty, or cannot stand in a header; no route leads there";
        return params.wrong("api_key", params.at("model"), reason);
    }
    Some(Place {
        base_url,
        key: key.map(Secret::of),
    })
}

/// Where LiteLLM looks for what runs on the machine that it runs on.
fn local(named: &str, params: &Fields<'_>) -> Option<String> {
    if !["ollama", "ollama_chat"].contains(&named) {
        return None;
    }
    let said = (params.notes.environment())("OLLAMA_API_BASE");
    Some(said.unwrap_or_else(|| "http://localhost:11434".to_owned()))
}

/// The base URL as we have it, which is that of the provider's SDK.
fn base_url(said: &Said<'_>, params: &mut Fields<'_>) -> Option<String> {
    let version = match said.named {
        "azure" => params.text("api_version"),
        _ => None,
    };
    let Some(base) = said.api_base.map(|base| base.trim_end_matches('/')) else {
        let known = known::address(said.provider).map(str::to_owned);
        return known.or_else(|| {
            let reason = format!(
                "is missing, and no address of `{}` is known; no route leads there",
                said.named
            );
            params.wrong("api_base", params.at("model"), reason)
        });
    };
    let is_newer = |version: &String| ["v1", "latest", "preview"].contains(&version.as_str());
    Some(match said.named {
        "azure" if !base.contains("/openai") => {
            match version.filter(|version| !is_newer(version)) {
                Some(version) => {
                    format!(
                        "{base}/openai/deployments/{}?api-version={version}",
                        said.model
                    )
                }
                None => format!("{base}/openai/v1"),
            }
        }
        "anthropic" | "ollama" | "ollama_chat" if !base.ends_with("/v1") => format!("{base}/v1"),
        _ => base.to_owned(),
    })
}
