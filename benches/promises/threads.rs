//! What a second thread on the same key costs the first.

use std::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::{
    calls::{call, one_limit},
    measure::{Verdicts, median, now},
    speed::{check, keyed},
};

/// Short, so that as a rule none of the threads is set aside in it.
const CALLS: u32 = 5_000;
/// How often one looks whether another is done.
const LOOK: u32 = 50;
/// How often it is tried to have two at once, which a busy machine does not always grant.
const TRIES: u32 = 800;
/// How often that is enough.
const ROUNDS: usize = 101;

/// Nanoseconds a round of `work`, where so many threads do it at once, until the first of them has done so many.
/// `None`: they did not, one was set aside meanwhile.
fn at_once(threads: usize, work: &(dyn Fn() + Sync)) -> Option<f64> {
    let (there, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || {
        // Nobody sleeps: who is woken late works alone.
        there.fetch_add(1, Ordering::SeqCst);
        while there.load(Ordering::SeqCst) < threads {
            spin_loop();
        }
        let (start, mut calls) = (now(), 0);
        while calls < CALLS && !done.load(Ordering::Relaxed) {
            (0..LOOK).for_each(|_| work());
            calls += LOOK;
        }
        done.store(true, Ordering::Relaxed);
        (calls, start.elapsed().as_secs_f64())
    };
    let runs: Vec<(u32, f64)> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.map(|run| run.expect("no panic")).collect()
    });
    let calls: u32 = runs.iter().map(|(calls, _)| calls).sum();
    let seconds: f64 = runs.iter().map(|(_, seconds)| seconds).sum();
    let all = runs.iter().all(|(calls, _)| *calls >= CALLS / 4);
    all.then(|| seconds * 1e9 / f64::from(calls))
}

/// How many times as long a call takes of two threads, and a check of the peer's. Each time anew: where in memory it
/// stands matters to both.
fn factors() -> Option<(f64, f64)> {
    let (store, [claim, ..]) = one_limit();
    let (keyed, key) = (keyed(), String::from("gpt-5.5"));
    let ours = &|| call(&store, &claim);
    let peer = &|| check(&keyed, &key);
    let factor = |work| Some(1.0 / at_once(1, work)? * at_once(2, work)?);
    Some((factor(ours)?, factor(peer)?))
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    // Ours and the peer's of one moment are compared: two threads share more or less, as the machine places them.
    let mut rounds: Vec<[f64; 3]> = Vec::new();
    for _ in 0..TRIES {
        if let Some((ours, peer)) = factors() {
            rounds.push([ours, peer, ours / peer]);
        }
        if rounds.len() == ROUNDS {
            break;
        }
    }
    assert!(
        !rounds.is_empty(),
        "two threads never ran at once: is there a second core?"
    );
    let [ours, peer, ratio] =
        [0, 1, 2].map(|place| median(rounds.iter().map(|round| round[place]).collect()));
    verdicts.told(
        "a second thread on the same key: times",
        (ours, peer),
        ratio,
        1.5,
    );
}
