//! What a call asks of a Redis server, by the server's own count: round trips, and its time beside that of a script that
//! does nothing; and what the process spends on it.

use std::time::Instant;

use tower_quota::{
    Usage,
    limit::Limits,
    store::{Claim, Decision, RedisStore, Settlement, Store},
};

use crate::{
    calls::{of_five_levels, of_one_limit},
    measure::{Verdicts, median, now},
    servers::Server,
};

/// So many calls, one after another.
const CALLS: usize = 3_000;

/// One call after another: claimed, dated, settled, each answered before the next. What half of the claims take at most
/// and what a call takes of this process, in microseconds.
async fn calls(store: &RedisStore, claims: &[Claim]) -> (f64, f64) {
    let mut took = Vec::with_capacity(CALLS);
    let before = processor();
    for number in 0..CALLS {
        let asked = now();
        let answer = store.claim(&claims[number % claims.len()]).get().await;
        took.push(micros(asked));
        let Ok(Decision::Granted(mut grant)) = answer else {
            panic!("there is room: {answer:?}");
        };
        store.date(&mut grant);
        let used = Settlement::Usage(Usage::new(9, 5));
        store.settle(grant, used).get().await.expect("settled");
    }
    let spent = (processor() - before) / CALLS as f64;
    (median(took), spent)
}

/// What the server says of a command: how often it was done, and how many microseconds that took.
fn stats(server: &Server, command: &str) -> (f64, f64) {
    let line = server.info("commandstats", &format!("cmdstat_{command}"));
    let line = line.unwrap_or_default();
    let figure = |name: &str| {
        let mut parts = line.split(',').filter_map(|part| part.split_once('='));
        let found = parts.find(|(known, _)| *known == name);
        found.map_or(0.0, |(_, value)| value.parse().expect("a figure"))
    };
    (figure("calls"), figure("usec"))
}

/// A script that does nothing, as often: the server's microseconds, and the client's.
async fn nothing(server: &Server) -> (f64, f64) {
    let client = redis::Client::open(server.url()).expect("an address");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.expect("a connection");
    let script = redis::Script::new("return 1");
    server.ask(&["CONFIG", "RESETSTAT"]);
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let asked = now();
        let answer = script.key("k").invoke_async::<i64>(&mut connection).await;
        took.push(micros(asked));
        assert_eq!(answer, Ok(1));
    }
    let (done, spent) = stats(server, "evalsha");
    (spent / done, median(took))
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Microseconds of the processor that this process has used, all threads together.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse().unwrap_or(0.0)).sum();
    // A hundred a second, wherever Linux runs.
    ticks * 10_000.0
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let server = Server::start(&[]);
    let empty = runtime.block_on(nothing(&server));
    let kinds: [(&str, (Limits, [Claim; 4])); 2] = [
        ("1 limit", of_one_limit()),
        ("5 levels x 2", of_five_levels()),
    ];
    for (name, (limits, claims)) in kinds {
        let url = format!("{}?namespace={}", server.url(), name.len());
        let store = RedisStore::open(&url, limits).expect("a server");
        server.ask(&["CONFIG", "RESETSTAT"]);
        let (claim, process) = runtime.block_on(calls(&store, &claims));
        let (trips, spent) = stats(&server, "evalsha");
        let of = |what: &str| format!("redis, {name}: {what}");
        let each = |figure: f64| figure / CALLS as f64;
        verdicts.shown(&of("round trips a call, claims a call"), each(trips), 1.0);
        verdicts.shown(
            &of("server us a trip, empty script's"),
            spent / trips,
            empty.0,
        );
        verdicts.shown(
            &of("server us a call, empty script's"),
            each(spent),
            empty.0,
        );
        verdicts.shown(&of("a claim, us, empty script's"), claim, empty.1);
        verdicts.shown(&of("this process, us a call, its claim's"), process, claim);
    }
}
