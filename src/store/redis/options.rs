//! How a server is counted on.

use std::{fmt, sync::Arc, time::Duration};

use super::{OpenError, RedisStore, address::Address};
use crate::{limit::Limits, store::clock::Clock};

/// How a server is used to count.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_quota::{limit::{Limit, Limits}, store::redis::RedisOptions};
///
/// let limits = Limits::new([Limit::requests(500).every(Duration::from_secs(60))])?;
/// let store = RedisOptions::new("redis://127.0.0.1:6379", limits)?
///     .namespace("team-search")
///     .timeout(Duration::from_millis(100))
///     .open()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisOptions {
    pub(super) address: Address,
    pub(super) limits: Limits,
    pub(super) namespace: String,
    pub(super) timeout: Duration,
    pub(super) silence: Duration,
    lease: Duration,
    /// A round trip for each claim and each settlement.
    pub(super) each_alone: bool,
    pub(super) most: Option<usize>,
    pub(super) absorb: bool,
    pub(super) by: Arc<str>,
    pub(super) image_after: u64,
    pub(super) on_error: OnError,
    /// Where tests pass the time in: by `tokio::time`, in place of the server's.
    pub(super) passed_in: Option<Arc<Clock>>,
    /// The forms that it writes and wants others to know, where a test plays another version.
    pub(super) form: (u32, u32),
}

/// What becomes of claims while the server cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// They are refused, with an error that says why.
    ///
    /// Nothing is overspent if the server keeps what it has answered (`appendfsync always`). Nor is it if the server
    /// loses everything and the first process to ask is one that was there: then nothing is granted until each process
    /// that was there has told it again what it knows, or is dead. This takes at most a third of the
    /// [`silence`](RedisOptions::silence) if all processes are alive, and is over at once if all are busy.
    ///
    /// If the server loses everything and the first to ask is a new process, that one finds nothing and knows nothing.
    /// It grants as if nothing had been used, until one that was there asks: within a third of the silence, and at once
    /// if one is busy. From then on all of it counts, but what was granted meanwhile may be above the limits.
    ///
    /// If the server loses only the last part, nothing is missing in the end; but what one process was granted last,
    /// and no other had heard of, may be granted once more until it has been told again.
    #[default]
    Deny,
    /// They are granted, and counted when the server is back. Nothing is limited meanwhile.
    Allow,
    /// They are granted up to this process's share of what is left, by what was known last: an equal part for each
    /// process that was there. They are counted when the server is back.
    ///
    /// If all processes are cut off at once, and each had heard of what the others did, nothing is overspent. If only
    /// some are cut off, as also for a moment when an outage begins and ends, the overspending is at most the shares of
    /// those that are. A process that does nothing hears of the others once a second.
    Local,
}

/// A process is dead when nothing was heard from it for so long.
const SILENCE: Duration = Duration::from_secs(30);
/// The server has so long to answer.
const TIMEOUT: Duration = Duration::from_millis(250);
/// So much is done between two images.
const IMAGE_AFTER: u64 = 10_000;
/// What this version writes, and what others have to know to read it.
pub(super) const FORM: (u32, u32) = (1, 1);

impl RedisOptions {
    /// Creates options from the address of a server and the limits to count under.
    ///
    /// The address is `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS. Several hosts, separated by
    /// commas, are nodes of a cluster, or servers of which one is the primary. Further settings follow a `?`, named as
    /// the methods here: `?namespace=search&on_error=local&lease=1s&timeout=100ms&silence=1m`. The
    /// [`silence`](Self::silence) must be the same in all processes.
    ///
    /// ```
    /// use tower_quota::{limit::Limits, store::redis::RedisOptions};
    ///
    /// let limits = || Limits::new([]).unwrap();
    /// assert!(RedisOptions::new("rediss://me:secret@a:7000,b:7000/2?namespace=x&on_error=local", limits()).is_ok());
    /// let error = RedisOptions::new("redis://a?on_error=alow", limits()).unwrap_err();
    /// assert!(error.to_string().starts_with("on_error is deny, allow or local: "));
    /// ```
    ///
    /// # Errors
    /// If the address makes no sense. No message ever contains a password.
    pub fn new(url: &str, limits: Limits) -> Result<Self, OpenError> {
        let (address, said) = Address::read(url)?;
        let mut options = RedisOptions {
            address,
            limits,
            namespace: "default".into(),
            timeout: TIMEOUT,
            silence: SILENCE,
            lease: Duration::ZERO,
            each_alone: false,
            most: None,
            absorb: false,
            by: "this program".into(),
            image_after: IMAGE_AFTER,
            on_error: OnError::Deny,
            passed_in: None,
            form: FORM,
        };
        for (name, value) in said {
            options = options.with(name, value)?;
        }
        Ok(options)
    }

    /// With a setting that stands in an address.
    fn with(self, name: &str, value: &str) -> Result<Self, OpenError> {
        let wrong = |what: &str| Err(OpenError::Address(what.to_owned()));
        let span = || {
            let span = value.parse::<jiff::SignedDuration>().ok();
            span.and_then(|span| Duration::try_from(span).ok())
        };
        match (name, span()) {
            ("namespace", _) if value.is_empty() => wrong("its namespace has no name"),
            ("namespace", _) => Ok(self.namespace(value)),
            ("on_error", _) => match value {
                "deny" => Ok(self.on_error(OnError::Deny)),
                "allow" => Ok(self.on_error(OnError::Allow)),
                "local" => Ok(self.on_error(OnError::Local)),
                _ => wrong("on_error is deny, allow or local"),
            },
            ("lease", Some(span)) => Ok(self.lease(span)),
            ("timeout", Some(span)) => Ok(self.timeout(span)),
            ("silence", Some(span)) => Ok(self.silence(span)),
            ("lease" | "timeout" | "silence", None) => {
                wrong("lease, timeout and silence are spans as 50ms or 1m")
            }
            _ => wrong("behind its ? stand namespace, on_error, lease, timeout and silence"),
        }
    }

    /// Sets the namespace: stores with the same namespace on a server count together. "default" if not set.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Sets the certificates to trust with `rediss://`, in place of the public authorities: the certificate of an
    /// authority of one's own, or several, in PEM. Anything that is not a certificate is reported when the store is
    /// opened.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.address.root = Some(pem.into().into());
        self
    }

    /// Sets how long the server has to answer, and how long it has to accept a connection; a quarter of a second each
    /// by default.
    ///
    /// What is not answered is asked once more on a new connection. So with one host a claim waits for at most about
    /// four times this span, unless much has to be read first that others did; each further host that accepts no connection adds it once more. A call's own deadline ends
    /// its wait before that.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets after how long a silent process counts as dead; thirty seconds by default.
    ///
    /// The slots that it held are free then, and what it had reserved counts as used. Every process reports that it is
    /// alive three times as often.
    ///
    /// Set the same in all processes of a namespace. Whichever process looks for dead ones judges all of them by its own
    /// value: one with a short silence declares others dead that are alive, and report it as seldom as a longer silence
    /// allows. Their slots are given to others then, while they still use them.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence.max(Duration::from_millis(30));
        self
    }

    /// Takes room ahead: each round trip to the server asks for what may leave until the next one, which follows after
    /// this span. With zero, the default, the server is asked as soon as there is anything to ask.
    ///
    /// This is for fleets that are at their limits for long periods; there it saves most round trips. At such a round
    /// trip a waiting call is told the instant within the span at which there will be room for it. It holds that room
    /// from then on, and leaves at that instant without asking again. No limit is exceeded at any instant, whichever
    /// process grants, because a claim is granted ahead by what counts and by what others were granted before. What a
    /// call has used, and when it left, is reported with the next round trip; what was granted to a process that dies
    /// counts as used, as always. Nothing is taken ahead except for calls that wait.
    ///
    /// What it costs:
    /// - A call that comes while others of its process come too waits for up to this span before the server is asked
    ///   for it, and for as long again if it has to wait in the queue. A call that comes alone, after a rest, is asked
    ///   for at once.
    /// - What is given back, and slots of concurrency that become free, are there for others after the next round trip.
    ///   Nothing is granted ahead that has no instant at which it comes free: slots, calendars and money. If a call
    ///   waits for several limits, room that it already has lies idle until it has all of it, for at most half of the
    ///   shortest of their periods.
    /// - A call that is given up after it was granted ahead gives its room back at the instant for which it was
    ///   granted.
    /// - The call that waits first goes first within about two such spans, not to the instant. Each process asks in its
    ///   own part of the span, so that what becomes free is shared among those who want it.
    /// - If processes lose the server, what they know of each other is older by this span.
    ///
    /// A second is already a lot. At most a third of the [`silence`](Self::silence) is used, and more than a quarter of
    /// the period of a limit makes little sense.
    pub fn lease(mut self, span: Duration) -> Self {
        self.lease = span;
        self
    }

    /// No process is dead in between.
    pub(super) fn lease_span(&self) -> Duration {
        self.lease.min(self.silence / 3)
    }

    /// Sets how many counts are kept at most; see [`MemoryStore::max_counts`](crate::store::MemoryStore::max_counts).
    /// The value of the first process applies to all.
    pub fn max_counts(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// Sets who changes budgets and limits, for the audit log, if neither a [reason](crate::store::Reason) names
    /// anybody nor the [`scope`](crate::scope) in which it is done has a `user`. "this program" by default.
    pub fn by(mut self, name: impl Into<Arc<str>>) -> Self {
        self.by = name.into();
        self
    }

    /// Sets whether the counters that providers show to this process are taken in; see
    /// [`MemoryStore::absorb_counters`](crate::store::MemoryStore::absorb_counters). False by default.
    ///
    /// The reason is that some of what the processes send is known to the provider before it is known to all of them,
    /// and would be mistaken for the usage of others. Set it if others use the same account and the processes do not
    /// use it up in bursts.
    pub fn absorb_counters(mut self, absorb: bool) -> Self {
        self.absorb = absorb;
        self
    }

    /// Sets after how many entries in the log one of the processes writes an image of all counts, and the log starts
    /// again; 10 000 by default. With a larger number the log takes more memory, and a process takes longer to join, or
    /// to find out what a server has lost.
    pub fn image_after(mut self, entries: u64) -> Self {
        self.image_after = entries.max(1);
        self
    }

    /// Sets what becomes of claims while the server cannot be reached. By default they are refused.
    pub fn on_error(mut self, then: OnError) -> Self {
        self.on_error = then;
        self
    }

    /// For tests: the time of `tokio::time`, which can be paused, in place of the server's. Clones of these options have the
    /// same.
    #[doc(hidden)]
    pub fn time_passed_in(mut self) -> Self {
        self.passed_in = Some(Arc::new(Clock::alone()));
        self
    }

    /// For measuring: nothing goes together, each claim and each settlement has a round trip of its own.
    #[doc(hidden)]
    pub fn each_alone(mut self) -> Self {
        self.each_alone = true;
        self
    }

    /// For tests: as a version that writes form `form`, and wants others to know at least form `needs`.
    #[doc(hidden)]
    pub fn as_version(mut self, form: u32, needs: u32) -> Self {
        self.form = (form, needs);
        self
    }

    /// Joins the processes that count there, or is the first.
    ///
    /// This asks the server several times, and blocks meanwhile: it is for the start of a program, not for a task among
    /// others.
    ///
    /// # Errors
    /// If the server cannot be reached, or its contents cannot be used to count.
    pub fn open(self) -> Result<RedisStore, OpenError> {
        RedisStore::start(self)
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .field("on_error", &self.on_error)
            .finish_non_exhaustive()
    }
}

/// The keys of a namespace, all in one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) head: Arc<str>,
    pub(super) log: Arc<str>,
    pub(super) image: Arc<str>,
    pub(super) audit: Arc<str>,
}

impl Keys {
    pub(super) fn of(namespace: &str) -> Self {
        let key = |what: &str| format!("{{tower-quota:{namespace}}}:{what}").into();
        Keys {
            head: key("head"),
            log: key("log"),
            image: key("image"),
            audit: key("audit"),
        }
    }
}
