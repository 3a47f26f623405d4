//! What deployments have from elsewhere in the file: what the router says for all, and credentials that they name.

use super::{deployment, fields::Fields, settings::Router};
use crate::config::{
    ConfigError,
    tree::{At, Node},
};

/// The field that names a credential.
const NAME: &str = "litellm_credential_name";

/// The fields that say where calls go, and with which key.
const PLACE: [&str; 5] = [
    "base_url",
    "api_base",
    "api_key",
    "api_version",
    "custom_llm_provider",
];

/// A field that stands elsewhere in the file.
#[derive(Clone)]
pub(super) struct Lent {
    pub(super) name: &'static str,
    /// Where it stands.
    pub(super) path: String,
    pub(super) at: At,
    pub(super) node: Node,
}

/// One of `credential_list`.
pub(super) struct Credential {
    name: String,
    values: Vec<Lent>,
}

/// `router_settings.default_litellm_params`
pub(super) fn defaults(router: &mut Fields<'_>) -> Vec<Lent> {
    let Some(mut params) = router.map("default_litellm_params") else {
        return Vec::new();
    };
    let mut lent = taken(&mut params, &PLACE);
    lent.extend(taken(&mut params, &[NAME]));
    deployment::rest(params);
    lent
}

/// `credential_list`
pub(super) fn credentials(file: &mut Fields<'_>) -> Vec<Credential> {
    let mut read: Vec<Credential> = Vec::new();
    for mut entry in file.maps("credential_list") {
        let at = entry.at("credential_name");
        let name = entry.text("credential_name");
        let values = entry.map("credential_values");
        entry.pass(
            "credential_info",
            "describes the credential for LiteLLM alone",
        );
        match (name, values) {
            (Some(name), _) if read.iter().any(|one| one.name == name) => {
                let reason = "is another's as well, of which the first counts";
                entry.wrong::<()>("credential_name", at, reason);
            }
            (Some(name), Some(mut fields)) => {
                let values = taken(&mut fields, &PLACE);
                deployment::rest(fields);
                read.push(Credential { name, values });
            }
            _ => entry.notes.note(
                &entry.path,
                entry.line,
                "has no `credential_name` or no `credential_values`; it is not read",
            ),
        }
        entry.rest("has no counterpart here");
    }
    read
}

/// Takes those of these fields that are there.
fn taken(fields: &mut Fields<'_>, names: &[&'static str]) -> Vec<Lent> {
    let found = names.iter().filter_map(|&name| {
        let at = fields.at(name);
        Some(Lent {
            name,
            path: fields.path_of(name),
            at,
            node: fields.take(name)?,
        })
    });
    found.collect()
}

/// Gives a deployment what LiteLLM would send with its calls. What the router says goes before what the deployment says
/// itself, and this before its credential.
pub(super) fn lend(params: &mut Fields<'_>, router: &Router) -> Result<(), ConfigError> {
    for field in &router.defaults {
        params.pass(
            field.name,
            "is not in force, as `router_settings.default_litellm_params` goes before it",
        );
        params.lend(field);
    }
    for field in credential(params, router)? {
        if !params.has(field.name) {
            params.lend(field);
        }
    }
    Ok(())
}

/// The values of the credential that is named. One that is not there is an error: it may be all that keeps calls from the
/// provider's public address. Its name is not shown: it may be a key that stands in the wrong field.
fn credential<'r>(params: &mut Fields<'_>, router: &'r Router) -> Result<&'r [Lent], ConfigError> {
    let (is_said, at) = (params.has(NAME), params.at(NAME));
    let name = params.text(NAME);
    if !is_said {
        return Ok(&[]);
    }
    let named = |one: &&Credential| name.as_ref() == Some(&one.name);
    if let Some(found) = router.credentials.iter().find(named) {
        return Ok(&found.values);
    }
    let has_address = params.has("api_base") || params.has("base_url");
    if has_address && params.has("api_key") {
        // All of it goes before whatever the credential says.
        params.wrong::<()>(
            NAME,
            at,
            "names no credential that is in `credential_list`; what stands here is enough",
        );
        return Ok(&[]);
    }
    let (path, at) = params.place_of(NAME, at);
    Err(ConfigError::Syntax {
        path,
        reason: "names no credential that is in `credential_list`, and LiteLLM's database is not read; without it, calls \
                 could go to the provider's public address: write it there with its `credential_values`, or write \
                 `api_base` and `api_key` here in its place"
            .to_owned(),
        line: at.line,
        column: at.column,
    })
}
