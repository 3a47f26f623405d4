//! The command line of `tower-quota admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};
use tower_quota::gateway::Role;

use super::super::reach::ReachArgs;

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// Work on the key file itself, gateway.state, instead of asking a gateway; needed for the first key. A running
    /// gateway picks up the change at the next SIGHUP.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) state: Option<PathBuf>,
    /// Print the gateway's whole answer, as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The reason for the change, for the audit log.
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
    /// Limits, including budgets.
    Limit {
        #[command(subcommand)]
        what: LimitWhat,
    },
    /// Pauses: whose calls are refused for now.
    Pause {
        #[command(subcommand)]
        what: PauseWhat,
    },
    /// Targets of routes: models at providers, each with a key.
    Target {
        #[command(subcommand)]
        what: TargetWhat,
    },
    /// What is spent of budgets.
    Spend {
        #[command(subcommand)]
        what: SpendWhat,
    },
    /// Circuits: budgets that, once they are exceeded, stop calls until they are reset.
    Circuit {
        #[command(subcommand)]
        what: CircuitWhat,
    },
    /// Lists the open calls: what each waits for and for how much longer, or where it was sent.
    Calls,
    /// Shows what has become of a call that is open or has ended recently.
    Call {
        /// The call's number, which is in the header x-quota-call of its answer, in `calls` and in `refusals`.
        id: u64,
    },
    /// Lists the latest refusals, and why.
    Refusals {
        /// Only refusals of calls with these tags: team=blue.
        #[arg(value_name = "TAG=VALUE", value_parser = pair)]
        tags: Vec<(String, String)>,
    },
    /// Ends an open call. What a waiting call holds is given back; an attempt that was already sent still counts.
    Cancel {
        /// The call's number, which is in `calls` and in the header x-quota-call of its answer.
        id: u64,
    },
    /// Lists what was changed by hand, by whom, and why.
    Audit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyWhat {
    /// Creates a key and prints its token, which is shown only this once and stored nowhere.
    Create(CreateArgs),
    /// Lists the keys.
    List,
    /// Disables a key: it is refused until it is enabled again.
    Disable {
        /// The key's name.
        name: String,
    },
    /// Enables a disabled key again.
    Enable {
        /// The key's name.
        name: String,
    },
    /// Deletes a key.
    Delete {
        /// The key's name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The key's name. Calls with the key have it as the tag `key`.
    pub(crate) name: String,
    /// caller: may make calls. viewer: may also see the state of everything, or, with --tag, of what has those tags.
    /// admin: may also change things.
    #[arg(long, value_name = "ROLE", default_value = "caller", value_parser = role)]
    pub(crate) role: Role,
    /// A tag that every call with the key has: team=blue. May be given several times. Not for an admin's key, which sees
    /// everything.
    #[arg(long = "tag", value_name = "TAG=VALUE", value_parser = pair)]
    pub(crate) tags: Vec<(String, String)>,
    /// A tag that the key's holder may set by header, and the value it may have: agent=*, agent=scout-*, user=zoe. May
    /// be given several times. Without it, agent, user and run may be set to anything. `--may nothing=` allows no tag
    /// at all.
    #[arg(long = "may", value_name = "TAG=VALUE", value_parser = pair)]
    pub(crate) may: Vec<(String, String)>,
    /// The highest priority that the key's holder may ask for, from -1000 to 1000.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = value_parser!(i32).range(-1_000..=1_000)
    )]
    pub(crate) max_priority: i32,
    /// When the key expires: an instant, 2027-01-01T00:00:00Z, or a time from now, 90d.
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetWhat {
    /// Lists every budget: what is spent, reserved and left of it.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitWhat {
    /// Lists the limits that hold now, in words.
    List,
    /// Changes the amount of a limit or a budget.
    Set {
        /// The limit, as `limit list` words it, in single quotes: 'cost $10.00/hour per team'.
        limit: String,
        /// The new amount: a whole number, or dollars for a budget.
        amount: String,
        /// Change it only for this value of the tag that it is counted per.
        #[arg(long, value_name = "VALUE")]
        of: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PauseWhat {
    /// Lists the pauses: whose calls are refused.
    List,
    /// Refuses all calls that have all of these tags, until the pause is ended: agent=scout, run=7, key=ci.
    Begin {
        /// The tags of the pause.
        #[arg(value_name = "TAG=VALUE", value_parser = pair, required = true)]
        tags: Vec<(String, String)>,
    },
    /// Ends a pause: calls with these tags are accepted again.
    End {
        /// The tags of the pause.
        #[arg(value_name = "TAG=VALUE", value_parser = pair, required = true)]
        tags: Vec<(String, String)>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TargetWhat {
    /// Uses parked targets again before their time is over: when an account was topped up, or a key was put right.
    ///
    /// An account is parked as a whole: all targets that share its key are used again. Breakers that are open and waits
    /// that a provider asked for are left to end by themselves.
    Unpark {
        /// The provider, as `status` names it. Without --model and --api-key, all of its targets.
        provider: String,
        /// Only the targets with this model, and the accounts that they are paid from.
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// Only the targets with the API key of this label.
        #[arg(long, value_name = "LABEL")]
        api_key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpendWhat {
    /// Corrects what is spent of every budget that calls with these tags count in.
    Correct {
        /// The tags of those calls: agent=scout. Without any, the budgets that are for all calls are corrected.
        #[arg(value_name = "TAG=VALUE", value_parser = pair)]
        tags: Vec<(String, String)>,
        /// Count this many dollars more as spent.
        #[arg(
            long,
            value_name = "DOLLARS",
            conflicts_with = "less",
            required_unless_present = "less"
        )]
        more: Option<String>,
        /// Count this many dollars less as spent.
        #[arg(long, value_name = "DOLLARS")]
        less: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CircuitWhat {
    /// Closes the open circuits that stop calls with these tags, and forgets what was spent of those budgets.
    Reset {
        /// The tags of those calls: agent=scout.
        #[arg(value_name = "TAG=VALUE", value_parser = pair)]
        tags: Vec<(String, String)>,
    },
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(tag, _)| !tag.is_empty());
    let (tag, value) = pair.ok_or("a tag and a value are written as team=blue")?;
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
