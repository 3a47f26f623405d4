//! What is done to the file of keys itself, where no gateway runs yet.

use std::path::Path;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower_quota::gateway::{Key, NewKey, State};

use super::super::failure::Failure;
use super::{
    args::{KeyWhat, What},
    asked,
};

/// Who has the file has every right. There is no audit log without a gateway: one that runs notes what it finds.
pub(super) fn run(path: &Path, what: &What) -> Result<Value, Failure> {
    let What::Key { what } = what else {
        return Err(Failure::Argument(
            "--state works on keys alone; for all else ask a gateway that runs, by --url"
                .to_owned(),
        ));
    };
    let state = State::open(path).map_err(|error| Failure::Gateway(error.into()))?;
    Ok(match what {
        KeyWhat::Create(args) => {
            let key: NewKey = serde_json::from_value(asked::key(args)?)
                .map_err(|error| Failure::Argument(error.to_string()))?;
            let (key, token) = state.make_key(key)?;
            let mut shown = shown(&key);
            shown["token"] = token.expose_secret().into();
            shown
        }
        KeyWhat::List => {
            json!({ "keys": state.keys().iter().map(shown).collect::<Vec<_>>() })
        }
        KeyWhat::Disable { name } => shown(&state.disable_key(name, true)?.0),
        KeyWhat::Enable { name } => shown(&state.disable_key(name, false)?.0),
        KeyWhat::Delete { name } => shown(&state.delete_key(name)?),
    })
}

fn shown(key: &Key) -> Value {
    json!({
        "name": key.name, "role": key.role, "state": key.state_now(), "tags": key.tags,
        "may": key.may, "max_priority": key.max_priority, "expires": key.expires, "created": key.created,
    })
}
