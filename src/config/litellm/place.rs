//! Where a deployment is, and with which key: what a target needs.

use super::{ApiKey as Named, address::Found, fields::Fields};
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
    /// The address, if it is not the usual one.
    pub(super) address: Option<&'d Found>,
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
            if found.is_none() && said.address.is_none() && !is_local(said.named) {
                let reason = format!(
                    "is missing, and so is the environment variable `{variable}`; no route leads there"
                );
                return params.wrong("api_key", params.at("model"), reason);
            }
            found
        }
    };
    if let (Some(address), Err(_)) = (said.address, Provider::new(said.provider, &base_url)) {
        return address.refused(params);
    }
    // It is not shown: it may be what a variable stands for.
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

/// Whether it usually runs on the machine that LiteLLM runs on, where it takes no key.
pub(super) fn is_local(named: &str) -> bool {
    ["ollama", "ollama_chat"].contains(&named)
}

/// The base URL as we have it, which is that of the provider's SDK.
fn base_url(said: &Said<'_>, params: &mut Fields<'_>) -> Option<String> {
    let version = match said.named {
        "azure" => params.text("api_version"),
        _ => None,
    };
    let Some(base) = said.address.map(|found| found.url.trim_end_matches('/')) else {
        let known = match said.named {
            named if is_local(named) => Some("http://localhost:11434/v1"),
            _ => known::address(said.provider),
        };
        return known.map(str::to_owned).or_else(|| {
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
