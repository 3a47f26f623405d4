use super::*;
use crate::{
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Store as _,
        asked::Asked,
        later::Told,
        redis::{
            RedisOptions,
            entry::{Place, Process},
            options::Keys,
            replica::Replica,
        },
    },
    tags::Tags,
};

const DAY: Duration = Duration::from_secs(86_400);

/// One that reaches no server: what would come from there is put in by hand.
fn worker() -> Worker {
    worker_with_lease(Duration::ZERO)
}

/// The same, which takes room so far ahead.
fn worker_with_lease(lease: Duration) -> Worker {
    let limits = Limits::new([Limit::requests(10).every(DAY)]).unwrap();
    let options = RedisOptions::new("redis://127.0.0.1:1", limits.clone()).unwrap();
    let options = options.on_error(OnError::Local).lease(lease);
    let replica = Replica::new(limits, None, "one", At::default());
    let keys = Keys::of(&options.namespace);
    Worker {
        shared: Arc::new(Shared::new(&options, Process::new(), replica)),
        link: Link::new(options.address.clone(), keys, options.timeout),
        pending: VecDeque::new(),
        found: None,
        page: crate::store::redis::trip::ENTRIES,
        is_behind: false,
        ring: Ring::default(),
        images: Images::default(),
        settings: Settings {
            silence: options.silence,
            each_alone: options.each_alone,
            image_after: options.image_after,
            form: options.form,
        },
        asked: instant(),
        pace: Pace::new(options.lease_span()),
        replies: Vec::new(),
        notes: Vec::new(),
        renewed: instant(),
        restored: 0,
        told: 0,
    }
}

fn claim() -> Claim {
    Claim::new(Tags::new(), Demand::default())
}

fn asked(worker: &Worker) -> Asked {
    let limits = worker.shared.lock().replica.store().limits();
    Asked::of(&claim(), &limits)
}

fn queue(worker: &Worker, op: Op) {
    let state = &mut *worker.shared.lock();
    worker.shared.queue(state, op, None);
}

/// A process has done that, as the server says.
fn comes(worker: &mut Worker, process: Process, numbered: Vec<(u64, Op)>) {
    let first = worker.shared.lock().replica.last().pos + 1;
    let entries = (first..).zip(numbered).map(|(pos, (number, op))| Entry {
        place: Place { pos, tag: 1 },
        at: At::default(),
        process,
        number,
        op,
    });
    let entries = entries.collect();
    worker.absorb(entries, At::default()).unwrap();
}

/// So much of what is queued is done.
fn goes(worker: &mut Worker, count: usize) {
    let taken: Vec<(u64, Op)> = {
        let state = &mut *worker.shared.lock();
        let taken = state.queue.drain(..count);
        taken.map(|next| (next.number, next.op)).collect()
    };
    let me = worker.shared.me;
    comes(worker, me, taken);
}

/// Others take so many, from a number on.
fn others_take(worker: &mut Worker, other: Process, numbers: std::ops::Range<u64>) {
    let asked = asked(worker);
    let taken = numbers.map(|number| (number, Op::Take(asked.clone())));
    comes(worker, other, taken.collect());
}

/// Two processes are there, of which the other has taken one.
fn one_of_two() -> (Worker, Process) {
    let (mut worker, other) = (worker(), Process::new());
    queue(&worker, Op::Nothing);
    goes(&mut worker, 1);
    others_take(&mut worker, other, 1..2);
    (worker, other)
}

fn goes_away(worker: &Worker) {
    worker.shared.lock().failing = Some("it is away".into());
}

/// Whether a claim is granted while the server is away.
fn is_granted_alone(worker: &Worker) -> bool {
    let asked = asked(worker);
    let shared = &worker.shared;
    let state = &mut *shared.lock();
    let error = shared.error("it is away");
    let said = shared.claim_alone(state, (&claim(), asked), None, error);
    matches!(said, Ok(Outcome::GrantedAlone(_)))
}

#[test]
fn an_outage_is_decided_by_what_is_left_when_it_begins_also_where_something_is_queued_always() {
    let (mut worker, other) = one_of_two();
    goes_away(&worker);
    assert!(is_granted_alone(&worker));
    // While the server is told of that, the next comes.
    queue(&worker, Op::Nothing);
    goes(&mut worker, 1);
    worker.recovered();
    queue(&worker, Op::Nothing);
    goes(&mut worker, 1);
    worker.recovered();
    assert!(!worker.shared.lock().queue.is_empty());
    others_take(&mut worker, other, 2..9);
    // One is left, for two.
    goes_away(&worker);
    assert!(!is_granted_alone(&worker));
}

#[test]
fn what_was_granted_alone_counts_in_the_next_outage_too_where_nobody_was_told_of_it() {
    let (mut worker, _) = one_of_two();
    goes_away(&worker);
    // Nine are left for two.
    for _ in 0..3 {
        assert!(is_granted_alone(&worker));
    }
    goes(&mut worker, 2);
    worker.recovered();
    goes_away(&worker);
    assert!(is_granted_alone(&worker));
    assert!(!is_granted_alone(&worker));
}

/// One that takes room ahead, and has just asked for one of an attempt that may ask for several: under which number, and
/// where the answer comes.
fn asks_ahead() -> (Worker, u64, Told<Outcome>) {
    let mut worker = worker_with_lease(Duration::from_secs(1));
    queue(&worker, Op::Nothing);
    goes(&mut worker, 1);
    let limits = worker.shared.lock().replica.store().limits();
    let one_of_several = Claim {
        attempt: 7,
        ..claim()
    };
    let asked = Asked::of(&one_of_several, &limits);
    let (number, told) = {
        let state = &mut *worker.shared.lock();
        let asking = Op::Claim(asked.clone());
        let (number, told) = worker.shared.queue_and_wait(state, asking);
        state.along.asks(number, &asked);
        (number, told)
    };
    worker.take();
    assert_eq!((worker.pending.len(), not_ended(&worker)), (1, 1));
    (worker, number, told)
}

/// Of how many claims it is remembered what they asked for.
fn not_ended(worker: &Worker) -> usize {
    worker.shared.lock().along.open()
}

#[test]
fn a_claim_whose_connection_breaks_is_remembered_no_more() {
    let (mut worker, number, mut told) = asks_ahead();
    worker.failed(&Failure {
        reason: "it is away".into(),
        unknown: true,
    });
    let said = told.try_recv().unwrap();
    assert!(matches!(said, Ok(Outcome::GrantedAlone(other)) if other != number));
    assert_eq!(not_ended(&worker), 0);
}

#[test]
fn nor_is_one_that_is_granted_to_somebody_who_has_gone_away() {
    let (mut worker, number, told) = asks_ahead();
    drop(told);
    let (me, granted) = (worker.shared.me, worker.pending[0].op.clone());
    comes(&mut worker, me, vec![(number, granted)]);
    assert_eq!(not_ended(&worker), 0);
}

#[test]
fn nor_is_one_whose_answer_was_lost() {
    let (mut worker, number, mut told) = asks_ahead();
    // It is known that it was done, and not what came of it.
    let (me, pending) = (worker.shared.me, std::mem::take(&mut worker.pending));
    comes(&mut worker, me, vec![(number, Op::Nothing)]);
    worker.pending = pending;
    let shared = worker.shared.clone();
    worker.answer_done(&mut shared.lock());
    worker.deliver();
    assert!(told.try_recv().unwrap().is_err());
    assert_eq!(not_ended(&worker), 0);
}
