//! One row: what went wrong, what is done then, and what came of it.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use tower_quota::{
    Limiter, StoreError, Tags,
    limit::Demand,
    limiter::QueueOptions,
    sim::{Ledger, SimConfig, Simulator},
    store::{
        Claim, Store as _,
        redis::{OnError, RedisOptions, RedisStore},
    },
};

use crate::{
    load::{MARGIN, OUTPUT, Process, REQUESTS, SCOUT, Seen, cost, limits, provider_limits},
    redis::until,
    site::{Site, Wrong},
};

/// How long the server has.
const TIMEOUT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) wrong: Wrong,
    pub(crate) policy: OnError,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) row: Row,
    pub(crate) calls: usize,
    pub(crate) ok: usize,
    pub(crate) store: usize,
    pub(crate) limits: usize,
    /// How many attempts came when the provider had no room for them.
    pub(crate) over: usize,
    /// What "scout" was billed above its budget, and whether it has spent that to the end.
    pub(crate) overspent: u64,
    pub(crate) used_up: bool,
    /// What is spent by the budget of each process, and by the provider's bill; how many attempts were counted, and came.
    pub(crate) spent: Vec<u64>,
    pub(crate) billed: u64,
    pub(crate) counted: Vec<u64>,
    pub(crate) came: u64,
    /// What is still held, though nothing is under way.
    pub(crate) held: u64,
    /// How many calls waited for longer beyond their deadline than the timeouts of the store, and than the machine let
    /// others wait; the longest.
    pub(crate) late: usize,
    pub(crate) longest: Duration,
    /// Until each process let calls in again.
    pub(crate) back: Vec<Option<Duration>>,
    /// For how long, at most, the machine let something rest that was due.
    rest: Duration,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { wrong, policy } = self;
        write!(f, "{} ({}), {policy:?}", wrong.name(), wrong.fsync())
    }
}

impl Row {
    pub(crate) fn run(self) -> Line {
        let site = Site::start(self.wrong);
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(self.under_load(site))
    }

    async fn under_load(self, mut site: Site) -> Line {
        let config = SimConfig {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(30),
            output_share: 0.5,
            ..SimConfig::default()
        };
        let provider = Simulator::new(config);
        let stores: Vec<Arc<RedisStore>> = site.urls.iter().map(|url| self.open(url)).collect();
        let limiters: Vec<Limiter> = stores
            .iter()
            .map(|store| Limiter::build(store.clone(), QueueOptions::new()))
            .collect();
        let rest = Arc::<Mutex<Duration>>::default();
        let rests = tokio::spawn(rests(rest.clone()));
        let processes: Vec<Process> = limiters
            .iter()
            .map(|limiter| Process::start(limiter, &provider))
            .collect();
        let has_let_in = |process: &Process| !process.seen.lock().let_in.is_empty();
        while !processes.iter().all(has_let_in) {
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(700)).await;
        site.strike(self.wrong).await;
        let over = Instant::now();
        // Until each is back at work, or for long.
        let is_back = |process: &Process| {
            let seen = process.seen.lock();
            seen.let_in.last().is_some_and(|last| *last > over)
        };
        for _ in 0..800 {
            if processes.iter().all(is_back) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(900)).await;
        let mut seen = Vec::new();
        for process in processes {
            seen.push(process.end().await);
        }
        rests.abort();
        provider.idle().await;
        let (ledger, rest) = (provider.ledger(), *rest.lock());
        self.line(&ledger, &stores, &seen, (over, rest)).await
    }

    fn open(self, url: &str) -> Arc<RedisStore> {
        let options = RedisOptions::new(url, limits()).unwrap();
        let options = options.timeout(TIMEOUT).on_error(self.policy);
        // It has little time, and the machine does much at once.
        let mut store = None;
        block_in_place(|| {
            until("it is opened", || {
                store = options.clone().open().ok();
                store.is_some()
            });
        });
        Arc::new(store.unwrap())
    }

    async fn line(
        self,
        ledger: &Ledger,
        stores: &[Arc<RedisStore>],
        seen: &[Seen],
        (over, rest): (Instant, Duration),
    ) -> Line {
        let may_be = TIMEOUT * 4 + *REST.lock();
        let mut said = said(stores).await;
        // What a driver asked for one that had gone is given back a moment later.
        for _ in 0..200 {
            if said.held == 0 {
                break;
            }
            sleep(Duration::from_millis(10)).await;
            said = self::said(stores).await;
        }
        let Said {
            spent,
            counted,
            held,
        } = said;
        let bill = |key: Option<&str>| {
            let of_key = ledger.entries().iter().filter(|attempt| {
                key.is_none_or(|key| attempt.key.trim_start_matches("Bearer ") == key)
            });
            of_key
                .map(|attempt| cost(attempt.billed.input, attempt.billed.output))
                .sum::<u64>()
        };
        let late = || seen.iter().flat_map(|seen| &seen.late);
        let back = seen.iter().map(|seen| {
            let first = seen.let_in.iter().find(|at| **at > over)?;
            Some(first.duration_since(over))
        });
        Line {
            row: self,
            calls: seen.iter().map(|seen| seen.calls).sum(),
            ok: seen.iter().map(|seen| seen.ok).sum(),
            store: seen.iter().map(|seen| seen.store).sum(),
            limits: seen.iter().map(|seen| seen.limits).sum(),
            over: ledger.over_limit(&provider_limits()),
            overspent: bill(Some("scout")).saturating_sub(SCOUT),
            used_up: bill(Some("scout")) + cost(10, OUTPUT) > SCOUT,
            spent,
            billed: bill(None),
            counted,
            came: ledger.attempts() as u64,
            held,
            late: late().filter(|late| **late > may_be).count(),
            longest: late().copied().max().unwrap_or_default(),
            back: back.collect(),
            rest,
        }
    }
}

/// What the processes say.
#[derive(Default)]
struct Said {
    spent: Vec<u64>,
    counted: Vec<u64>,
    held: u64,
}

/// The server has little time for each answer, and the machine does much at once: they are asked until all have answered.
async fn said(stores: &[Arc<RedisStore>]) -> Said {
    for _ in 0..200 {
        if let Ok(said) = ask(stores).await {
            return said;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the server is there, and is not heard");
}

async fn ask(stores: &[Arc<RedisStore>]) -> Result<Said, StoreError> {
    // What each has told first, then what all say.
    for store in stores {
        store.budgets().get().await?;
    }
    let mut said = Said::default();
    for store in stores {
        let all = store.budgets().get().await?;
        let of_all = all.iter().find(|budget| !budget.budget.contains("scout"));
        let of_all = of_all.unwrap();
        said.spent.push(of_all.settled.as_nanos());
        let (requests, slots) = used(store).await?;
        said.counted.push(requests);
        said.held += of_all.reserved.as_nanos() + slots;
    }
    // Some that cannot ask answer by what they knew: who still cannot ask has answered so.
    for store in stores {
        store.budgets().get().await?;
    }
    Ok(said)
}

/// How many requests of a day are counted, and how many slots are taken.
async fn used(store: &RedisStore) -> Result<(u64, u64), StoreError> {
    let claim = Claim::new(Tags::new(), Demand::default());
    let standings = store.peek(&claim).get().await?;
    let of = |limit| {
        let standing = standings
            .iter()
            .find(|standing| standing.key.limit() == limit);
        standing.unwrap().in_use
    };
    Ok((of(4), of(1)))
}

/// For how long the machine has let something rest that was due, whatever the row.
static REST: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// Keeps the longest of a row.
async fn rests(of_row: Arc<Mutex<Duration>>) {
    let each = Duration::from_millis(5);
    loop {
        let due = Instant::now() + each;
        sleep(each).await;
        let late = due.elapsed();
        for longest in [&REST, &*of_row] {
            let longest = &mut *longest.lock();
            *longest = (*longest).max(late);
        }
    }
}

impl Line {
    /// Whether this cannot be judged by when attempts came: too many came at once, and the machine let things rest for so long
    /// that those may have come late which were let in long before.
    pub(crate) fn came_late(&self) -> bool {
        self.over as u64 > self.allowed().0 && self.rest > MARGIN / 2
    }

    /// So many attempts over a limit, and so much money.
    fn allowed(&self) -> (u64, u64) {
        match self.row.policy {
            // What one was granted last, and the server has not when it goes on, may be granted once more until it is told again.
            OnError::Deny if self.row.wrong.goes_back() => (REQUESTS, SCOUT / 2),
            OnError::Deny => (0, 0),
            // While some are cut off and others are not, as when it begins and when it is over, a share may be taken twice.
            OnError::Local => (REQUESTS, SCOUT / 2),
            _ => (u64::MAX, u64::MAX),
        }
    }

    /// Whether the budget was not used up, which is to hold: the machine was too busy.
    pub(crate) fn shows_nothing(&self) -> bool {
        !self.used_up && self.row.policy == OnError::Deny
    }

    /// What is not as it has to be.
    pub(crate) fn wrong(&self) -> Option<String> {
        let mut wrong = Vec::new();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        let (over, overspent) = self.allowed();
        check(self.over as u64 <= over, "attempts over a limit");
        check(self.overspent <= overspent, "money overspent");
        check(
            self.spent.iter().all(|spent| *spent == self.billed),
            "what is spent is not what is billed",
        );
        check(
            self.counted.iter().all(|counted| *counted == self.came),
            "what is counted is not what came",
        );
        check(self.held == 0, "something is held still");
        check(self.late == 0, "a call waited too long");
        check(
            self.back.iter().all(Option::is_some),
            "a process is not back at work",
        );
        check(
            !self.shows_nothing(),
            "a budget that is not used up shows nothing",
        );
        check(self.ok > 30, "a load that does nothing shows nothing");
        let row = &self.row;
        (!wrong.is_empty()).then(|| format!("{row}: {}: {self:?}", wrong.join(", ")))
    }
}
