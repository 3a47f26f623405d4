//! `tower-quota admin`

mod args;
mod asked;
mod offline;
pub(crate) mod table;

pub(crate) use args::{AdminArgs, pair};

use super::{failure::Failure, output::print};

/// Does one thing, and prints what came of it.
pub(crate) async fn run(args: AdminArgs) -> Result<(), Failure> {
    let AdminArgs { json, what, .. } = &args;
    let answer = match &args.state {
        Some(path) => offline::run(path, what)?,
        None => {
            let (method, path, body) = asked::of(what, args.why.as_deref())?;
            let client = args.reach.client()?;
            client.ask(method, &path, body.as_ref()).await?
        }
    };
    print(|out| match *json {
        true => writeln!(out, "{answer:#}"),
        false => table::print(&answer, out),
    })
}
