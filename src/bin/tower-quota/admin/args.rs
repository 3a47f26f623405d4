//! The command line of `tower-quota admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tower_quota::gateway::Role;

use super::super::reach::ReachArgs;

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// Work on the file of keys itself, gateway.state, in place of asking a gateway: for the first key. A gateway that runs
    /// takes it at the next SIGHUP.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) state: Option<PathBuf>,
    /// Print what the gateway answers as it stands, as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT", global = true)]
    pub(crate) why: Option<String>,
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Keys for callers.
    Key {
        #[command(subcommand)]
        what: KeyWhat,
    },
    /// Budgets.
    Budget {
        #[command(subcommand)]
        what: BudgetWhat,
    },
    /// Limits, budgets among them.
    Limit {
        #[command(subcommand)]
        what: LimitWhat,
    },
    /// Whose calls are refused for now.
    Pause {
        #[command(subcommand)]
        what: PauseWhat,
    },
    /// What is spent.
    Spend {
        #[command(subcommand)]
        what: SpendWhat,
    },
    /// Circuits: budgets that stop what went over until they are reset.
    Circuit {
        #[command(subcommand)]
        what: CircuitWhat,
    },
    /// The calls that are open: what they wait for and how long still, or where they went.
    Calls,
    /// What became of a call that is open, or was over a while ago.
    Call {
        /// Its number, in the header x-quota-call of its answer, in `calls` and in `refusals`.
        id: u64,
    },
    /// The last refusals, and why.
    Refusals {
        /// Of calls with these tags alone: team=blue.
        #[arg(value_name = "TAG=VALUE", value_parser = pair)]
        tags: Vec<(String, String)>,
    },
    /// Ends a call that is open: what it held is given back.
    Cancel {
        /// Its number, in `calls` and in the header x-quota-call of its answer.
        id: u64,
    },
    /// What was done by hand, by whom, and why.
    Audit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyWhat {
    /// Makes a key, and prints its token: it is shown this once, and kept nowhere.
    Create(CreateArgs),
    /// Lists the keys.
    List,
    /// Has a key refused until it is enabled.
    Disable {
        /// Its name.
        name: String,
    },
    /// Has a key taken again.
    Enable {
        /// Its name.
        name: String,
    },
    /// Deletes a key.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What it is called. Calls with it have it as the tag `key`.
    pub(crate) name: String,
    /// caller: makes calls. viewer: sees the state of everything, too. admin: changes things, too.
    #[arg(long, value_name = "ROLE", default_value = "caller", value_parser = role)]
    pub(crate) role: Role,
    /// A tag that every call with it has: team=blue.
    #[arg(long = "tag", value_name = "TAG=VALUE", value_parser = pair)]
    pub(crate) tags: Vec<(String, String)>,
    /// A tag that its holder may set by header, and to what: agent=*, agent=scout-*, user=zoe. As often as need be; where
    /// none is named, any agent, user and run. `--may nothing=` is none.
    #[arg(long = "may", value_name = "TAG=VALUE", value_parser = pair)]
    pub(crate) may: Vec<(String, String)>,
    /// The highest priority that its holder may ask for.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) max_priority: i32,
    /// From when on it is refused: an instant, 2027-01-01T00:00:00Z, or a time from now, 90d.
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetWhat {
    /// How every budget stands.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitWhat {
    /// The limits that hold now, in words.
    List,
    /// Gives a limit or a budget another amount.
    Set {
        /// The limit, in the words of `limit list`, in single quotes: 'cost $10.00/hour per team'.
        limit: String,
        /// A whole number; of a budget, dollars.
        amount: String,
        /// Only for this value of the tag that it counts per.
        #[arg(long, value_name = "VALUE")]
        of: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PauseWhat {
    /// Whose calls are refused.
    List,
    /// Refuses calls with all of these tags, until it is ended: agent=scout, run=7, key=ci.
    Begin {
        /// The tags.
        #[arg(value_name = "TAG=VALUE", value_parser = pair, required = true)]
        tags: Vec<(String, String)>,
    },
    /// Takes them again.
    End {
        /// The tags.
        #[arg(value_name = "TAG=VALUE", value_parser = pair, required = true)]
        tags: Vec<(String, String)>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpendWhat {
    /// Corrects what is spent of every budget that calls with these tags count in.
    Correct {
        /// Their tags: agent=scout. None: the budgets that are for all calls.
        #[arg(value_name = "TAG=VALUE", value_parser = pair)]
        tags: Vec<(String, String)>,
        /// So many dollars more were spent.
        #[arg(
            long,
            value_name = "DOLLARS",
            conflicts_with = "less",
            required_unless_present = "less"
        )]
        more: Option<String>,
        /// So many dollars less were spent.
        #[arg(long, value_name = "DOLLARS")]
        less: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CircuitWhat {
    /// Closes the open circuits that calls with these tags are stopped by, and forgets what was spent of them.
    Reset {
        /// Their tags: agent=scout.
        #[arg(value_name = "TAG=VALUE", value_parser = pair)]
        tags: Vec<(String, String)>,
    },
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (tag, value) = text
        .split_once('=')
        .ok_or("a tag and a value are written as team=blue")?;
    Ok((tag.to_owned(), value.to_owned()))
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "caller" => Ok(Role::Caller),
        "viewer" => Ok(Role::Viewer),
        "admin" => Ok(Role::Admin),
        _ => Err("a role is caller, viewer or admin".to_owned()),
    }
}
