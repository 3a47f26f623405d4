//! `tower-quota status`

mod bar;
mod draw;

use std::{
    env,
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tower_quota::{config::Span, gateway::admin::AdminError};

use super::{
    failure::Failure,
    output::{complain, print},
    reach::ReachArgs,
    signals::Signals,
};

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Repeat at this interval until Ctrl-C; every second if no interval is given.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1s")]
    watch: Option<Span>,
    /// Show everything the gateway reports of limits and budgets, up to 20 counts of each limit and 100 budgets, and
    /// not only the fullest.
    #[arg(long)]
    all: bool,
    /// Print the gateway's answers as JSON, one line each time.
    #[arg(long)]
    json: bool,
}

/// Whether it may answer later.
fn may_pass(error: &AdminError) -> bool {
    match error {
        AdminError::NoGateway { .. } => true,
        AdminError::Refused { status, .. } => *status >= 500,
        _ => false,
    }
}

/// Shows it once, or until a signal comes.
pub(crate) async fn run(args: StatusArgs) -> Result<(), Failure> {
    let client = args.reach.client()?;
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let look = draw::Look {
        all: args.all,
        colour: io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none(),
    };
    let mut answered = false;
    loop {
        let next = args.watch.map(|span| Instant::now() + Duration::from(span));
        let asked = async {
            let ask = |path| client.ask(Method::GET, path, None);
            let mut status = ask("/quota/status").await?;
            // A key that sees what is its own has no say in these.
            for (name, path) in [
                ("targets", "/quota/targets"),
                ("refusals", "/quota/refusals"),
            ] {
                let said = match ask(path).await {
                    Ok(said) => said.get(name).cloned().unwrap_or_default(),
                    Err(AdminError::Refused { status: 403, .. }) => json!([]),
                    Err(error) => return Err(error),
                };
                if let Some(status) = status.as_object_mut() {
                    status.insert(name.to_owned(), said);
                }
            }
            Ok::<Value, AdminError>(status)
        };
        let status = tokio::select! {
            status = asked => status,
            () = signals.next() => return Ok(()),
        };
        let text = match status {
            Ok(status) if args.json => format!("{status}\n"),
            Ok(status) => draw::status(&status, look),
            // Whoever watches wants to see it come back.
            Err(error) if next.is_some() && answered && may_pass(&error) => {
                if args.json {
                    complain(format_args!("{error}"));
                    String::new()
                } else {
                    format!("tower-quota: {error}\n")
                }
            }
            Err(error) => return Err(error.into()),
        };
        answered = true;
        // The screen is cleared where it is one, and what was there is written over.
        let clear = next.is_some() && !args.json && io::stdout().is_terminal();
        let text = if clear {
            format!("\x1b[H\x1b[2J{text}")
        } else {
            text
        };
        print(|out| out.write_all(text.as_bytes()))?;
        let Some(next) = next else {
            return Ok(());
        };
        tokio::select! {
            () = sleep_until(next) => {}
            () = signals.next() => return Ok(()),
        }
    }
}
