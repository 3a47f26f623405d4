//! `tower-quota admin`

mod args;
mod asked;
mod offline;
mod table;

use std::env;

use secrecy::SecretString;
use tower_quota::gateway::admin::AdminClient;

pub(crate) use args::AdminArgs;

use super::failure::Failure;

/// Where the key to ask with is.
const KEY: &str = "TOWER_QUOTA_KEY";

/// Does one thing, and prints what came of it.
pub(crate) async fn run(args: AdminArgs) -> Result<(), Failure> {
    let AdminArgs { json, what, .. } = &args;
    let answer = match &args.state {
        Some(path) => offline::run(path, what)?,
        None => {
            let (method, path, body) = asked::of(what, args.why.as_deref())?;
            let key = env::var(KEY).ok().map(|key| SecretString::from(key.trim()));
            let client =
                AdminClient::new(args.url.parse()?, key.as_ref(), args.authorities.as_deref())
                    .map_err(|error| Failure::Gateway(error.into()))?;
            client.ask(method, &path, body.as_ref()).await?
        }
    };
    match *json {
        true => println!("{answer:#}"),
        false => table::print(&answer),
    }
    Ok(())
}
