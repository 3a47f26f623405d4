//! `tower-quota serve`

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use tokio::sync::oneshot;
use tower_quota::{
    config::Stack,
    gateway::{self, Gateway},
};

#[cfg(feature = "otlp")]
use super::push;
use super::{
    alerts,
    cli::ServeArgs,
    failure::Failure,
    output::{announce, complain},
    reload,
    signals::{Hangups, Signals},
    source::Source,
    targets,
};

/// Serves until a signal comes and the calls that came are answered. What they used is in the store then, where that
/// outlives the process.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let mut built = None;
    let served = serve(args, &mut built).await;
    let closed = built.map_or(Ok(()), |stack| stack.close());
    served.and(closed.map_err(Failure::Close))
}

async fn serve(args: ServeArgs, built: &mut Option<Stack>) -> Result<(), Failure> {
    // First of all: a hangup that nobody listens for ends the program, and opening a store may take a while.
    let mut hangups = Hangups::listen().map_err(Failure::Signals)?;
    let source = Source::of(&args)?;
    let read = source.read().and_then(|said| {
        said.gateway.check_store(&said.rate_limiting.store)?;
        let stack = said.rate_limiting.build()?;
        Ok((said, stack))
    });
    let ServeArgs {
        listen, upstream, ..
    } = args;
    let (said, stack) = read.map_err(|error| source.failure(error))?;
    let stack = &*built.insert(stack);
    #[cfg(feature = "sqlite")]
    if let Some(lost) = stack
        .file
        .as_ref()
        .map(|file| file.lost())
        .filter(|lost| *lost > 0)
    {
        complain(format_args!(
            "{lost} calls were in flight when it ended; they count as reserved"
        ));
    }
    let mut config = said.gateway;
    let as_read = config.clone();
    if let Some(upstream) = upstream {
        let upstream = upstream.parse().map_err(Failure::Upstream)?;
        config.upstream = Some(upstream);
    }
    let layer = stack.layer.clone();
    let layer = layer.on_failover(|event| complain(format_args!("failover: {event}")));
    let gateway = Gateway::new(&layer, &stack.limiter, &config);
    let gateway = gateway.map_err(|error| Failure::gateway(&source, error))?;
    #[cfg(feature = "sqlite")]
    let gateway = match &stack.file {
        Some(file) => gateway.pruning(file.clone()),
        None => gateway,
    };
    if let Some(prices) = &stack.price_file {
        complain(format_args!(
            "{} prices were read of the file, {} models have none in it, of {} something is not understood",
            prices.models,
            prices.left_out.len(),
            prices.not_understood.len()
        ));
    }
    for part in &said.not_understood {
        complain(format_args!("not in force: {part}"));
    }
    let unpriced = targets::unpriced(&said.rate_limiting, stack);
    for doubt in stack.doubts.iter().chain(&unpriced) {
        complain(format_args!("warning: {doubt}"));
    }
    stack
        .limiter
        .on_event(|event| complain(format_args!("budget: {event}")));
    gateway.alerts().on_outcome(alerts::say);
    let addr = listen.unwrap_or(config.listen);
    let listener = gateway::bind(addr, gateway.is_keyed()).await?;
    let addr = listener.local_addr().map_err(Failure::Serve)?;
    let providers = said.rate_limiting.failover.providers.iter();
    let bases =
        providers.filter_map(|(name, provider)| Some((name, provider.base_url.as_deref()?)));
    for (provider, base) in bases {
        if leads_to(base, addr) {
            return Err(Failure::Loop(provider.clone(), base.to_owned()));
        }
    }
    // Not before: until now there is no call to wait for, and whoever asks it to end need not wait for a store to open.
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    announce(&format!("listening on {}://{addr}", gateway.scheme()));

    #[cfg(feature = "otlp")]
    let push = push::begin(&gateway).map_err(Failure::Otlp)?;
    let (stop, stopped) = oneshot::channel::<()>();
    // By itself: calls go on while a configuration is read again.
    let served = gateway.clone();
    let mut serving = tokio::spawn(async move {
        let stopped = async {
            // Dropping the other end is the word, too.
            let _ = stopped.await;
        };
        served.serve(listener, stopped).await;
    });
    loop {
        tokio::select! {
            ended = &mut serving => return ended.map_err(|error| Failure::Serve(error.into())),
            () = hangups.next() => reload::run(&source, (&as_read, &gateway), stack).await,
            () = signals.next() => break,
        }
    }
    drop(stop);
    complain(format_args!(
        "stopping when open calls are answered; a second signal stops at once"
    ));
    let ended = tokio::select! {
        ended = serving => ended.map_err(|error| Failure::Serve(error.into())),
        () = tokio::time::sleep(config.drain.into()) => Err(Failure::TooLong(config.drain)),
        () = signals.next() => Err(Failure::CutOff),
    };
    #[cfg(feature = "otlp")]
    if !matches!(ended, Err(Failure::CutOff)) {
        tokio::select! {
            () = push::end(push) => {}
            // A collector that hangs holds nobody up who wants it to end at once.
            () = signals.next() => {}
        }
    }
    ended
}

/// Whether a URL is of this address: a variable such as `OPENAI_BASE_URL` may lead callers to the gateway, and it to itself.
fn leads_to(url: &str, addr: SocketAddr) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let usual = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = |ip: IpAddr| ip.is_loopback() || ip == addr.ip();
    url.port_u16().unwrap_or(usual) == addr.port()
        && (host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_back_here_is_seen() {
        let addr: SocketAddr = "10.0.0.7:8080".parse().unwrap();
        for (url, expected) in [
            ("http://127.0.0.1:8080/v1", true),
            ("http://LOCALHOST:8080", true),
            ("http://[::1]:8080/v1", true),
            ("http://10.0.0.7:8080", true),
            ("http://127.0.0.1:8081/v1", false),
            ("http://10.0.0.8:8080", false),
            ("https://api.openai.com/v1", false),
            ("${BASE}", false),
        ] {
            assert_eq!(leads_to(url, addr), expected, "{url}");
        }
    }
}
