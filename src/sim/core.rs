//! The shared heart: one clock, one lock, the decision on each arrival.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::ask::Ask;
use super::clock::Clock;
use super::config::SimConfig;
use super::dialect::Dialect;
use super::enforce::{Enforcer, Gauges, Refusal};
use super::faults::{FaultRule, Faults};
use super::ledger::{Attempt, Billed, Ledger};
use super::open::{End, Open};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: SimConfig,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    /// Told each time the last open attempt ends.
    idle: Notify,
}

#[derive(Debug)]
struct State {
    enforcer: Enforcer,
    attempts: Vec<Attempt>,
    names: HashSet<Arc<str>>,
    random: fastrand::Rng,
    /// What comes unasked.
    faults: Vec<FaultRule>,
    /// Arrivals and ends so far.
    order: u64,
    open: usize,
}

/// The decision on an arrival.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) open: Open,
    pub(crate) at: Duration,
    /// The limit that refuses it; none if it was admitted or a fault refuses it.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) gauges: Gauges,
    pub(crate) faults: Faults,
    /// Time until the headers.
    pub(crate) delay: Duration,
    pub(crate) output: u64,
}

impl Core {
    pub(crate) fn new(config: SimConfig) -> Self {
        let state = State {
            enforcer: Enforcer::new(config.limits.clone()),
            attempts: Vec::new(),
            names: HashSet::new(),
            random: fastrand::Rng::with_seed(config.seed),
            faults: config.faults.clone(),
            order: 0,
            open: 0,
        };
        Self {
            config,
            clock: Clock::default(),
            state: Mutex::new(state),
            idle: Notify::new(),
        }
    }

    /// Stamps an arrival, and decides on it in the same critical section.
    pub(crate) fn arrive(self: &Arc<Self>, ask: &Ask<'_>, asked: &Faults) -> Decision {
        let mut guard = self.lock();
        let state = &mut *guard;
        let at = self.clock.now();
        let seq = state.attempts.len() as u64;
        let (key, model) = (state.name(ask.key), state.name(&ask.model));
        let faults = state.strike(seq, asked);

        let enforcer = &mut state.enforcer;
        let mut touched = enforcer.touch(&key, &model, ask.prompt, ask.max_tokens);
        let mut refusal = enforcer.refusal(at, &touched);
        if faults.refuses() || !self.config.enforce {
            refusal = None;
        }
        let admitted = refusal.is_none() && !faults.refuses();
        if admitted {
            enforcer.charge(at, &touched);
        } else if self.config.count_refused {
            enforcer.charge_refused(at, &touched);
            // The refusal has itself put off the time at which there will be room.
            refusal = refusal.and_then(|_| enforcer.refusal(at, &touched));
        }
        let gauges = enforcer.gauges(at, &touched);
        let (mut charged, mut delay) = (0, faults.slow_headers);
        if admitted {
            charged = enforcer.tokens(&touched);
            delay += self.config.latency + state.jitter(self.config.jitter);
        } else {
            // Nothing is held, so nothing is to be given back.
            touched.clear();
        }
        state.enter(Attempt {
            arrival: at,
            stream: ask.stream,
            prompt: ask.prompt,
            max_tokens: ask.max_tokens,
            charged,
            refused_by: refusal.map(|refusal| refusal.limit),
            admitted,
            ..Attempt::new(ask.dialect, key, model)
        });
        let answers = admitted && faults.status.is_none() && !faults.dropped;
        let billed = Billed {
            input: if answers { ask.prompt } else { 0 },
            output: 0,
        };
        drop(guard);
        Decision {
            open: Open::new(Arc::clone(self), seq, touched, billed),
            at,
            refusal,
            gauges,
            faults,
            delay,
            output: self.output(ask),
        }
    }

    /// The tokens that are generated for it: those of a call's text, or of an answer.
    fn output(&self, ask: &Ask<'_>) -> u64 {
        match &ask.call {
            _ if !ask.dialect.generates() => 0,
            Some(call) => call
                .tokens(self.config.token_bytes())
                .min(ask.max_tokens.unwrap_or(u64::MAX)),
            None => self.config.output(ask.max_tokens),
        }
    }

    /// Records a request that could not be read.
    pub(crate) fn malformed(self: &Arc<Self>, dialect: Dialect, key: &str) -> Open {
        let mut state = self.lock();
        let (key, model) = (state.name(key), state.name(""));
        let seq = state.enter(Attempt {
            arrival: self.clock.now(),
            ..Attempt::new(dialect, key, model)
        });
        drop(state);
        Open::new(Arc::clone(self), seq, Vec::new(), Billed::default())
    }

    /// Ends an attempt: frees its slots, charges its output, completes its line.
    pub(crate) fn ended(&self, seq: u64, end: &End) {
        let mut state = self.lock();
        let at = self.clock.now();
        state.enforcer.ended(at, &end.touched, end.billed.output);
        let order = state.next();
        let attempt = usize::try_from(seq).ok();
        if let Some(attempt) = attempt.and_then(|index| state.attempts.get_mut(index)) {
            attempt.status = end.status;
            attempt.billed = end.billed;
            attempt.outcome = end.outcome;
            attempt.finish = Some(at);
            attempt.ended = Some(order);
        }
        state.open -= 1;
        let idle = state.open == 0;
        drop(state);
        if idle {
            self.idle.notify_waiters();
        }
    }

    pub(crate) fn set_amount(&self, limit: usize, amount: u64) {
        let mut state = self.lock();
        let at = self.clock.now();
        state.enforcer.set_amount(at, limit, amount);
    }

    pub(crate) fn set_faults(&self, faults: Vec<FaultRule>) {
        self.lock().faults = faults;
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.lock().attempts.clone())
    }

    /// Waits until no attempt is open.
    pub(crate) async fn idle(&self) {
        loop {
            let mut told = pin!(self.idle.notified());
            told.as_mut().enable();
            if self.lock().open == 0 {
                return;
            }
            told.await;
        }
    }

    /// Nothing panics under the lock half way through a change, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The faults that an attempt asks for, and those that strike it unasked.
    fn strike(&mut self, seq: u64, asked: &Faults) -> Faults {
        let mut faults = Faults::default();
        for rule in &self.faults {
            if rule.strikes(seq + 1, &mut self.random) {
                faults.add(&rule.fault);
            }
        }
        faults.add(asked);
        faults
    }

    /// One shared copy of each name.
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    /// Opens a line, and numbers it.
    fn enter(&mut self, attempt: Attempt) -> u64 {
        let seq = self.attempts.len() as u64;
        let arrived = self.next();
        self.open += 1;
        self.attempts.push(Attempt {
            seq,
            arrived,
            ..attempt
        });
        seq
    }

    fn next(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn jitter(&mut self, most: Duration) -> Duration {
        match u64::try_from(most.as_nanos()).unwrap_or(u64::MAX) {
            0 => Duration::ZERO,
            most => Duration::from_nanos(self.random.u64(0..=most)),
        }
    }
}
