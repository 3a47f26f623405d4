//! A random trace over a memory store: claims, sends, ends, pauses, and a judge who has written down everything.

use std::time::Duration;

use tokio::time::advance;
use tower_quota::{
    Tag, Tags, Usage,
    limit::{Demand, LimitKey, Limits, Quantities, Quantity, Tick},
    store::{Claim, Decision, Grant, MemoryStore, NotNow, Observation, Settlement, Store as _},
};

use crate::{
    log::Log,
    plan::{self, Life, Plan},
    said::{Said, Seen, all_or_nothing, now},
};

pub(crate) struct World {
    random: fastrand::Rng,
    scale: u64,
    limits: Limits,
    plans: Vec<Plan>,
    store: MemoryStore,
    log: Log,
    open: Vec<Open>,
    /// Microseconds since the start, kept by hand.
    now: u64,
    /// What was decided, where it is wanted.
    said: Option<Vec<Said>>,
    /// Whether providers tell to wait. No snapshot knows of that.
    told: bool,
    pub(crate) seen: Seen,
}

/// A grant that has not ended.
struct Open {
    grant: Grant,
    number: usize,
    claim: Claim,
    reserved: Demand,
    sent: Option<u64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Typical periods from 30 milliseconds to 8 minutes.
        let scale = 1 << random.u32(15..29);
        let (limits, plans) = plan::random_limits(&mut random, scale);
        World {
            random,
            scale,
            store: MemoryStore::new(limits.clone()),
            limits,
            log: Log::new(plans.clone()),
            plans,
            open: Vec::new(),
            now: 0,
            said: None,
            told: false,
            seen: Seen::default(),
        }
    }

    pub(crate) fn told(seed: u64) -> Self {
        World {
            told: true,
            ..Self::new(seed)
        }
    }

    pub(crate) fn listening(seed: u64) -> Self {
        World {
            said: Some(Vec::new()),
            ..Self::new(seed)
        }
    }

    pub(crate) fn said(self) -> Vec<Said> {
        self.said.unwrap_or_default()
    }

    pub(crate) async fn step(&mut self) {
        match self.random.u8(..100) {
            0..55 => self.call().await,
            55..78 => self.end_one(),
            78..82 => self.send_one(),
            82..83 => self.stream_one(),
            83..84 => self.record(),
            84..86 => self.look(),
            86..89 if self.told => self.tell(),
            _ => {
                let most = self.scale >> self.random.u32(..12);
                let pause = self.random.u64(..=most);
                self.pass(pause).await;
            }
        }
    }

    async fn call(&mut self) {
        let claim = self.random_claim();
        let Err(refused) = self.claim(&claim) else {
            return;
        };
        if let Some(refused) = refused {
            self.wait_it_out(&claim, &refused).await;
        }
        if self.random.u8(..8) == 0 {
            now(self.store.refuse(&claim));
            self.log.refused(&claim, self.now);
        }
    }

    /// Room comes at the instant that was said, and not a tick earlier.
    async fn wait_it_out(&mut self, claim: &Claim, refused: &NotNow) {
        let from = |tick: Tick| tick.as_micros() - self.now;
        match (refused.at.map(from), refused.not_before.map(from)) {
            (Some(wait), _) if self.random.u8(..3) == 0 => {
                self.pass(wait - 1).await;
                let Err(Some(again)) = self.claim(claim) else {
                    panic!("granted a tick before {refused:?}")
                };
                assert_eq!((&again.key, again.at), (&refused.key, refused.at));
                self.pass(1).await;
                self.claim(claim).expect("there is room when it was said");
                self.seen.exact += 1;
            }
            (None, Some(wait)) if self.random.u8(..12) == 0 => {
                self.pass(wait - 1).await;
                self.claim(claim).expect_err("not before what was said");
            }
            _ => {}
        }
    }

    /// Claims, and has it judged. Refused for good: no reason.
    fn claim(&mut self, claim: &Claim) -> Result<(), Option<NotNow>> {
        let look = self.random.u8(..8) == 0;
        let before = look.then(|| now(self.store.peek(claim)));
        let decision = now(self.store.claim(claim));
        let number = self.log.judge(claim, &decision, self.now);
        if let Some(before) = before {
            all_or_nothing(&before, &now(self.store.peek(claim)), number.is_some());
        }
        let said = Said::of(&decision, self.store.now());
        self.said.iter_mut().for_each(|all| all.push(said.clone()));
        match decision {
            Decision::Granted(grant) => {
                self.seen.admissions += 1;
                self.open.push(Open {
                    grant,
                    number: number.unwrap(),
                    claim: claim.clone(),
                    reserved: claim.demand,
                    sent: None,
                });
                if self.random.u8(..10) > 0 {
                    self.send(self.open.len() - 1);
                }
                Ok(())
            }
            Decision::NotNow(refused) => {
                self.seen.refusals += 1;
                self.seen.held_back += usize::from(refused.key.is_cooldown());
                Err(Some(refused))
            }
            Decision::Never(_) => {
                self.seen.never += 1;
                Err(None)
            }
        }
    }

    fn random_claim(&mut self) -> Claim {
        let random = &mut self.random;
        let mut tags = Tags::new();
        for (tag, values) in [
            (Tag::Agent, ["a", "b", "c", ""]),
            (Tag::Model, ["m", "n", "m", ""]),
            (Tag::Run, ["r", "s", "t", ""]),
        ] {
            let value = values[random.usize(..4)];
            if !value.is_empty() {
                tags.set(tag, value);
            }
        }
        let size = |random: &mut fastrand::Rng| match random.u8(..20) {
            0 => 0,
            1 => random.u64(..20_000),
            _ => random.u64(..400),
        };
        let demand = Demand {
            input: size(random),
            output: size(random),
            input_declared: random.bool(),
            output_declared: random.u8(..3) > 0,
            ..Demand::default()
        };
        let some = [Quantity::Requests, Quantity::Concurrency];
        Claim {
            quantities: match random.u8(..12) {
                0 => some.into_iter().collect(),
                _ => Quantities::ADMISSION,
            },
            repeat: random.u8(..8) == 0,
            held: if random.u8(..8) == 0 {
                self.slots_held()
            } else {
                Vec::new()
            },
            ..Claim::new(tags, demand)
        }
    }

    /// The slots of a call in flight, as a call inside it names them.
    fn slots_held(&mut self) -> Vec<LimitKey> {
        let Some(outer) = self.random.choice(&self.open) else {
            return Vec::new();
        };
        let slots = Claim {
            quantities: [Quantity::Concurrency].into_iter().collect(),
            ..outer.claim.clone()
        };
        let standings = now(self.store.peek(&slots));
        standings.into_iter().map(|standing| standing.key).collect()
    }

    fn look(&mut self) {
        let claim = self.random_claim();
        let mut standings = now(self.store.peek(&claim));
        standings.retain(|standing| !standing.key.is_cooldown());
        let in_use: Vec<u64> = standings.iter().map(|standing| standing.in_use).collect();
        self.log.judge_in_use(&claim, &in_use, self.now);
    }

    /// Sends one, perhaps again: later than it was thought, and while it counts still.
    fn send_one(&mut self) {
        let Some(number) = self.random_open() else {
            return;
        };
        let stays = |plan: &Plan| match plan.life {
            Life::Sliding { stay, .. } => stay,
            _ => u64::MAX,
        };
        let shortest = self.plans.iter().map(stays).min().unwrap_or(u64::MAX);
        let sent = self.open[number].sent;
        if sent.is_none_or(|sent| self.now - sent < shortest) {
            self.send(number);
        }
    }

    fn send(&mut self, number: usize) {
        let open = &mut self.open[number];
        self.store.date(&mut open.grant);
        open.sent = Some(self.now);
        self.log.dated(open.number, self.now);
    }

    /// Some of its output has come.
    fn stream_one(&mut self) {
        let Some(number) = self.random_open() else {
            return;
        };
        let open = &mut self.open[number];
        if open.sent.is_some() {
            let output = self.random.u64(..=open.reserved.output * 5 / 4);
            self.store.streamed(&mut open.grant, output);
            self.log.streamed(open.number, output, self.now);
            self.seen.streamed += 1;
        }
    }

    /// A provider tells to leave a model alone, or takes that back.
    fn tell(&mut self) {
        let told = self.log.told();
        if told > 0 && self.random.u8(..4) == 0 {
            let (model, until) = self.log.reopened(self.random.usize(..told));
            let until = Tick::from_micros(until);
            let Some(open) = self.open.first() else {
                return self.log.closed(&model, until.as_micros());
            };
            let tags = Tags::new().with(Tag::Model, model);
            let seen = Observation::Reopened { until };
            now(self.store.observe(&tags, &open.grant, &seen));
            return;
        }
        // A store keeps only the latest of very many.
        let Some(number) = self.random_open().filter(|_| told < 8) else {
            return;
        };
        let open = &self.open[number];
        let span = Duration::from_micros(self.random.u64(..=self.scale));
        let until = self.store.now().after(span);
        let seen = Observation::Closed { until };
        now(self.store.observe(&open.claim.tags, &open.grant, &seen));
        if let Some(model) = open.claim.tags.get(&Tag::Model) {
            self.log.closed(model, until.as_micros());
            self.seen.told += 1;
        }
    }

    fn random_open(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.random.usize(..self.open.len()))
    }

    fn end_one(&mut self) {
        let Some(number) = self.random_open() else {
            return;
        };
        let open = self.open.swap_remove(number);
        if self.random.u8(..6) == 0 {
            now(self.store.release(open.grant));
            return self.log.released(open.number, self.now);
        }
        let Demand { input, output, .. } = open.reserved;
        let usage = match self.random.u8(..8) {
            0 => None,
            1 => Some(Usage::new(input, output)),
            2 => {
                self.seen.debts += 1;
                Some(Usage::new(input * 2 + 1, output + self.random.u64(..3_000)))
            }
            3 => Some(Usage::new(0, 0)),
            4 => {
                let mut usage = Usage::new(input, self.random.u64(..=output));
                usage.cache_read = self.random.u64(..=input);
                Some(usage)
            }
            _ => Some(Usage::new(input, self.random.u64(..=output))),
        };
        self.settle(open, usage);
    }

    fn settle(&mut self, open: Open, usage: Option<Usage>) {
        let settlement = usage.map_or(Settlement::Unknown, Settlement::Usage);
        now(self.store.settle(open.grant, settlement));
        self.log.settled(open.number, usage, self.now);
    }

    fn record(&mut self) {
        let usage = Usage::new(self.random.u64(..300), self.random.u64(..300));
        let tags = self.random_claim().tags;
        now(self.store.record(&tags, usage));
        self.log.recorded(&tags, &usage, self.now);
    }

    pub(crate) async fn pass(&mut self, micros: u64) {
        advance(Duration::from_micros(micros)).await;
        self.now += micros;
    }

    /// What is open ends, and nobody knows how: so says a snapshot.
    pub(crate) fn end_all(&mut self) {
        for open in std::mem::take(&mut self.open) {
            self.settle(open, None);
        }
    }

    /// Another process goes on with what was counted here, some time later.
    pub(crate) async fn move_out(&mut self, micros: u64) {
        let text = serde_json::to_string(&self.store.snapshot()).unwrap();
        for open in std::mem::take(&mut self.open) {
            self.log.settled(open.number, None, self.now);
        }
        // Its clock is another one.
        advance(Duration::from_secs(self.random.clone().u64(..100_000))).await;
        let (limits, since) = (self.limits.clone(), Duration::from_micros(micros));
        let snapshot = serde_json::from_str(&text).unwrap();
        self.store = MemoryStore::restore(limits, &snapshot, since).unwrap();
        self.now += micros;
    }

    /// Everything ends; the promise holds over all that was; nothing is in flight; in the end nothing counts.
    pub(crate) async fn finish(&mut self) {
        while !self.open.is_empty() {
            self.end_one();
        }
        assert_eq!(self.log.granted(), self.seen.admissions);
        self.log.judge_intervals();
        // Twice the longest period there can be, and its margin.
        self.pass(self.scale * 20 + 10_000).await;
        for agent in ["a", "b", "c", ""] {
            for model in ["m", "n", ""] {
                for run in ["r", "s", "t", ""] {
                    self.nothing_left(agent, model, run);
                }
            }
        }
    }

    fn nothing_left(&mut self, agent: &str, model: &str, run: &str) {
        let mut tags = Tags::new();
        for (tag, value) in [(Tag::Agent, agent), (Tag::Model, model), (Tag::Run, run)] {
            if !value.is_empty() {
                tags.set(tag, value);
            }
        }
        let claim = Claim {
            quantities: Quantities::ADMISSION,
            ..Claim::new(tags, Demand::default())
        };
        let standings = now(self.store.peek(&claim));
        for standing in &standings {
            let plan = &self.plans[standing.key.limit()];
            assert!(
                plan.life == Life::Run || standing.in_use == 0,
                "{standing:?} of {plan:?}"
            );
        }
        let in_use: Vec<u64> = standings.iter().map(|standing| standing.in_use).collect();
        self.log.judge_in_use(&claim, &in_use, self.now);
    }
}
