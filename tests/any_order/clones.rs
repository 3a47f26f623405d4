//! Every order again, with a layer of somebody else's at each place in it that clones the request, or answers it itself.
//!
//! A layer that clones has one of ours inside: what is sent twice further in than that nobody of ours sees. It is with the
//! redirects and retries of a client.

use std::time::Duration;

use tokio::sync::mpsc;
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    Providers,
    foreign::{Acted, Foreign},
    ledger::Defect,
    run::Answering,
    stack::orders,
    table::Row,
    world::NAMES,
};

const CALLS: u64 = 30;

/// Longer than any call takes.
const RUNS_ON: Duration = Duration::from_secs(300);

/// All that stand between ours, these and those of the other tests.
const FOREIGN: [&str; 11] = ["r", "h", "d", "g", "c", "n", "b", "t", "s", "q", "p"];

/// What is not tried in one order.
const NEVER_BOTH: [(&str, &str); 7] = [
    // What is dropped in a buffer may have left by all that we know.
    ("b", "h"),
    ("b", "d"),
    ("b", "g"),
    // So may what is dropped in the instant in which a task of its own was made for it.
    ("s", "h"),
    // A mark that is taken off tells nothing.
    ("n", "p"),
    // Which of them has answered, and in whose name, the table cannot tell.
    ("n", "c"),
    ("c", "c"),
];

/// What the table tells of an order, and how often the foreign layer in it has acted.
async fn row(order: &str, calls: u64, seed: u64, defect: Option<Defect>) -> (Row, u64) {
    let providers = if order.contains(['r', 'd']) {
        // So that there is enough to repeat.
        Providers::failing(seed, &["status=503", "status=429"])
    } else {
        Providers::new(seed)
    };
    let acted = Acted::default();
    let (running, mut rest) = mpsc::channel(1);
    let foreign = Foreign {
        simulators: NAMES.map(|_| Simulator::new(SimConfig::default())),
        acted: acted.clone(),
        running,
    };
    // What says nothing of it counts for whoever is around it, like an answer of the provider.
    let passed = order.split_once('c').map(|(passed, _)| passed);
    let answering = |(name, simulator)| {
        passed.map(|passed| Answering {
            name,
            simulator,
            passed,
        })
    };
    let simulators = foreign.simulators.clone();
    let cached = NAMES.into_iter().zip(&simulators);
    let cached: Vec<Answering<'_>> = cached.filter_map(answering).collect();
    let run = providers.run(order, calls, defect);
    let row = run
        .through(
            |parts, delivered, client| foreign.stack(order, parts, delivered, client),
            async {
                assert_eq!(rest.recv().await, None);
                // What another layer has in a task of its own runs on without its caller.
                tokio::time::sleep(RUNS_ON).await;
            },
            &cached,
        )
        .await;
    let row = row.unwrap();
    assert_eq!(row.calls as u64, calls);
    (row, acted.times())
}

/// Every order of every subset with `letter` at each place in it; where it clones, with one of ours inside.
fn places(letter: char) -> Vec<String> {
    let clones = matches!(letter, 'h' | 'd' | 'g' | 'r');
    let mut places = Vec::new();
    for order in orders() {
        for place in 0..=order.len() - usize::from(clones) {
            let (outside, inside) = order.split_at(place);
            places.push(format!("{outside}{letter}{inside}"));
        }
    }
    places
}

/// Tries all of them; how many calls there were, and how often foreign layers have acted.
async fn all(places: &[String]) -> (u64, u64) {
    let (mut acted, mut unclean) = (0, Vec::new());
    for (number, order) in (1..).zip(places) {
        let (row, times) = row(order, CALLS, number, None).await;
        println!("{}", row.line());
        if !row.is_clean() {
            unclean.push(row.line());
        }
        acted += times;
    }
    let unclean_count = unclean.len();
    let unclean = unclean.join("\n");
    assert!(
        unclean.is_empty(),
        "{unclean_count} of {}:\n{}\n{unclean}",
        places.len(),
        Row::head()
    );
    (places.len() as u64 * CALLS, acted)
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_clones_changes_nothing() {
    let (calls, again) = all(&places('r')).await;
    assert!(again * 20 > calls, "{again} times for {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_changes_nothing() {
    let (calls, again) = all(&places('h')).await;
    assert!(again * 4 > calls, "{again} times for {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_lets_what_is_late_run_on_changes_nothing() {
    let (calls, again) = all(&places('d')).await;
    assert!(again * 4 > calls, "{again} times for {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_lets_what_it_gave_up_run_on_changes_nothing() {
    let (calls, times) = all(&places('g')).await;
    assert!(times * 10 > calls, "{times} times for {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_answers_and_marks_counts_nothing() {
    let (calls, answers) = all(&places('n')).await;
    assert!(answers * 4 > calls, "{answers} of {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_answers_and_does_not_mark_counts_as_what_it_says() {
    let (calls, answers) = all(&places('c')).await;
    assert!(answers * 4 > calls, "{answers} of {calls} calls");
}

/// Up to four foreign layers at any places of an order.
fn mixed(order: &str, chance: &mut fastrand::Rng) -> String {
    let mut mixed = order.to_owned();
    for _ in 0..chance.usize(2..=4) {
        let letter = FOREIGN[chance.usize(..FOREIGN.len())];
        if NEVER_BOTH.iter().any(|(one, other)| {
            (letter == *one && mixed.contains(*other)) || (letter == *other && mixed.contains(*one))
        }) {
            continue;
        }
        let ours = ['F', 'R', 'B', 'A'];
        let (outmost, inmost) = (mixed.find(ours).unwrap(), mixed.rfind(ours).unwrap());
        let places = match letter {
            "h" | "d" | "g" | "r" => 0..=inmost,
            // What the caller says of the call is for the first of ours.
            "q" => outmost + 1..=mixed.len(),
            _ => 0..=mixed.len(),
        };
        mixed.insert_str(chance.usize(places), letter);
    }
    mixed
}

#[tokio::test(start_paused = true)]
async fn several_of_them_at_once_change_nothing() {
    let mut chance = fastrand::Rng::with_seed(1);
    let orders = orders();
    let rounds = orders.iter().cycle().take(2 * orders.len());
    let mixed: Vec<String> = rounds.map(|order| mixed(order, &mut chance)).collect();
    let (calls, acted) = all(&mixed).await;
    assert!(acted * 4 > calls, "{acted} times for {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn the_table_tells_what_is_wrong_around_them() {
    let planted = [
        ("FRrBA", Some(Defect::Resends)),
        ("FRhBA", Some(Defect::Overbooks)),
        ("FRBnA", Some(Defect::Forgets)),
        ("FcRBA", Some(Defect::Rounds)),
        ("FRBdA", Some(Defect::Trusts)),
        // Clones that none of ours sees, and a mark on what was sent.
        ("FRBAr", None),
        ("FRBAh", None),
        ("FRBAl", None),
    ];
    for (number, (order, defect)) in (1..).zip(planted) {
        let (row, _) = row(order, 600, number, defect).await;
        println!("{}", row.line());
        let told = match defect {
            None | Some(Defect::Resends) => row.unclaimed > Some(0),
            Some(Defect::Overbooks) => row.over_limit > Some(0),
            Some(Defect::Forgets) => row.settle_errors > Some(0),
            Some(Defect::Rounds) => row.bill > Some(0),
            Some(Defect::Trusts) => row.under > Some(0),
        };
        assert!(told, "{defect:?}: {row:?}");
    }
}
