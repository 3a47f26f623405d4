//! `tower-quota demo`: the gateway with simulated providers behind it and a population of agents in front.

mod agent;
mod incident;
mod population;
mod tally;
mod world;

use std::{
    io::{self, IsTerminal as _},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tower_quota::{
    config::Span,
    gateway::{self, Gateway},
};

use super::{failure::Failure, output::announce, signals::Signals};
use tally::Tally;
use world::World;

/// Where it listens, if that is free.
const USUAL: u16 = 8080;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The address to listen on. Without it, 127.0.0.1:8080, or any free port if another program has that one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// End after this time: 30s, 5m. Without it, the demonstration runs until Ctrl-C.
    #[arg(long = "for", value_name = "TIME")]
    span: Option<Span>,
    /// Do not open the dashboard in a browser. Without this flag, it is opened if the output is a terminal.
    #[arg(long)]
    no_open: bool,
    /// How many agents there are, in addition to the one that loops.
    #[arg(long, value_name = "NUMBER", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    agents: u32,
}

/// Runs until a signal comes or the time is over, and says what came of it.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let world = World::start().await.map_err(Failure::Serve)?;
    let config = world.config().map_err(Failure::File)?;
    let stack = config.rate_limiting.build().map_err(Failure::File)?;
    let gateway = Gateway::new(&stack.layer, &stack.limiter, &config.gateway);
    let gateway = gateway.map_err(Failure::Gateway)?;
    let listener = listen(args.listen, gateway.is_keyed()).await?;
    let addr = listener.local_addr().map_err(Failure::Serve)?;
    let mut signals = Signals::listen().map_err(Failure::Signals)?;

    let (stop, stopped) = oneshot::channel::<()>();
    let served = gateway.clone();
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        served.serve(listener, stopped).await;
    });
    let url = format!("http://{addr}/quota/");
    announce(&format!("the dashboard: {url}"));
    announce(&format!(
        "{} agents in three teams call simulated providers, one more loops for ever, and now and then something breaks. Ctrl-C ends it.",
        args.agents
    ));
    if !args.no_open && io::stdout().is_terminal() {
        // Without a browser there is the address above.
        let _ = open::that_detached(&url);
    }

    let tally = Tally::default();
    let mut at_work = JoinSet::new();
    population::start(&mut at_work, args.agents, addr, &tally);
    at_work.spawn(incident::run(world.clone()));
    let over = async {
        match args.span {
            Some(span) => tokio::time::sleep(Duration::from(span)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        () = signals.next() => {}
    }
    at_work.shutdown().await;
    drop(stop);
    let ended = serving.await.map_err(|error| Failure::Serve(error.into()));
    world.idle().await;
    announce(&tally.report(&world));
    ended
}

async fn listen(wanted: Option<SocketAddr>, is_keyed: bool) -> Result<TcpListener, Failure> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match wanted {
        Some(addr) => gateway::bind(addr, is_keyed).await?,
        None => match gateway::bind(at(USUAL), is_keyed).await {
            Ok(listener) => listener,
            Err(_) => gateway::bind(at(0), is_keyed).await?,
        },
    };
    Ok(listener)
}
