//! The connection, and what is asked over it.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

use super::{
    address::{Address, Node},
    options::Keys,
};

/// What takes longer than a claim, as an image does, has so many times as long.
const LONG: u32 = 20;
/// After so many redirections no further one is followed.
const REDIRECTIONS: usize = 5;

/// A connection to the server that answers for the namespace, made when it is needed.
pub(super) struct Link {
    address: Address,
    keys: Keys,
    timeout: Duration,
    /// Which node is tried, and where one has named another, that.
    next: usize,
    told: Option<Node>,
    open: Option<MultiplexedConnection>,
    pub(super) scripts: Scripts,
}

/// A script, and the hash by which a server knows it that has run it.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        let hash = redis::Script::new(source).get_hash().to_owned();
        Script { source, hash }
    }

    /// Runs it by its hash, or with its source where the server does not know it: from then on it does. Nothing is asked
    /// beside that, which a proxy may not pass on, or a user may have no right to.
    async fn run(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &[&str],
        args: &[Vec<u8>],
    ) -> RedisResult<Value> {
        let by_hash = command("EVALSHA", &self.hash, keys, args);
        let answer: RedisResult<Value> = by_hash.query_async(connection).await;
        match answer {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let whole = command("EVAL", self.source, keys, args);
                whole.query_async(connection).await
            }
            answer => answer,
        }
    }
}

/// The command that runs a script, which is named by its hash or is there as a whole.
fn command(name: &str, script: &str, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(*key);
    }
    for arg in args {
        command.arg(arg);
    }
    command
}

pub(super) struct Scripts {
    pub(super) begin: Script,
    pub(super) read: Script,
    pub(super) append: Script,
    pub(super) image: Script,
    pub(super) restore: Script,
    pub(super) note: Script,
    pub(super) notes: Script,
}

impl Scripts {
    fn new() -> Self {
        macro_rules! script {
            ($name:literal) => {
                Script::new(concat!(
                    include_str!("scripts/clock.lua"),
                    include_str!(concat!("scripts/", $name))
                ))
            };
        }
        Scripts {
            begin: script!("begin.lua"),
            read: script!("read.lua"),
            append: script!("append.lua"),
            image: script!("image.lua"),
            restore: script!("restore.lua"),
            note: script!("note.lua"),
            notes: script!("notes.lua"),
        }
    }
}

/// Which script, and of which keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Begin,
    Read,
    Append,
    Image,
    Restore,
    Note,
    Notes,
}

/// Why there was no answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// Whether it may have been done all the same.
    pub(super) unknown: bool,
}

impl Link {
    pub(super) fn new(address: Address, keys: Keys, timeout: Duration) -> Self {
        Link {
            address,
            keys,
            timeout,
            next: 0,
            told: None,
            open: None,
            scripts: Scripts::new(),
        }
    }

    /// How long it has for what takes longer than a claim.
    pub(super) fn patience(&self) -> Duration {
        self.timeout * LONG
    }

    /// Asks, on a new connection where there is none. Whatever went wrong, the next question is asked on another.
    pub(super) async fn ask(&mut self, what: Ask, args: &[Vec<u8>]) -> Result<Vec<Value>, Failure> {
        for _ in 0..REDIRECTIONS {
            let mut connection = self.connect().await?;
            let span = match what {
                Ask::Append => self.timeout,
                _ => self.patience(),
            };
            let (script, keys) = (self.script(what), self.keys_of(what));
            let answer = timeout(span, script.run(&mut connection, &keys, args)).await;
            match answer {
                Err(_) => return Err(self.silent(span)),
                Ok(Ok(Value::Array(parts))) => return Ok(parts),
                Ok(Ok(other)) => return Ok(vec![other]),
                Ok(Err(error)) => self.follow(&error)?,
            }
        }
        Err(lost_between_nodes())
    }

    /// Waits until something stands in the log after `last`, for at most `span`. Whether there is.
    pub(super) async fn blocks(&mut self, last: &str, span: Duration) -> Result<bool, Failure> {
        for _ in 0..REDIRECTIONS {
            let mut connection = self.connect().await?;
            let mut ask = redis::cmd("XREAD");
            ask.arg("COUNT")
                .arg(1)
                .arg("BLOCK")
                .arg(span.as_millis().to_string());
            ask.arg("STREAMS").arg(&*self.keys.log).arg(last);
            let long = span + self.timeout;
            match timeout(long, ask.query_async::<Value>(&mut connection)).await {
                Err(_) => return Err(self.silent(long)),
                Ok(Ok(answer)) => return Ok(answer != Value::Nil),
                Ok(Err(error)) => self.follow(&error)?,
            }
        }
        Err(lost_between_nodes())
    }

    fn silent(&mut self, span: Duration) -> Failure {
        self.open = None;
        Failure {
            reason: format!("it has not answered for {span:?}"),
            unknown: true,
        }
    }

    /// Goes where the server said that somebody else answers.
    fn follow(&mut self, error: &RedisError) -> Result<(), Failure> {
        let Some((host, port)) = moved_to(error) else {
            return Err(self.failed(error));
        };
        self.open = None;
        self.told = Some(Node { host, port });
        Ok(())
    }

    fn failed(&mut self, error: &RedisError) -> Failure {
        // One that has no memory, or lets this user do nothing, is the right one all the same. Whoever says anything else
        // may be a replica, or cut off from its cluster.
        let right = ["OOM", "MISCONF", "NOPERM", "TRYAGAIN"];
        if !error.code().is_some_and(|code| right.contains(&code)) {
            self.another();
        }
        Failure {
            reason: reason(error),
            unknown: error.is_io_error() || error.is_unrecoverable_error(),
        }
    }

    fn another(&mut self) {
        self.open = None;
        self.told = None;
        self.next = self.next.wrapping_add(1);
    }

    fn script(&self, what: Ask) -> &Script {
        match what {
            Ask::Begin => &self.scripts.begin,
            Ask::Read => &self.scripts.read,
            Ask::Append => &self.scripts.append,
            Ask::Image => &self.scripts.image,
            Ask::Restore => &self.scripts.restore,
            Ask::Note => &self.scripts.note,
            Ask::Notes => &self.scripts.notes,
        }
    }

    fn keys_of(&self, what: Ask) -> Vec<&str> {
        let Keys {
            head,
            log,
            image,
            audit,
        } = &self.keys;
        match what {
            Ask::Read => vec![head, image],
            Ask::Note | Ask::Notes => vec![audit],
            Ask::Append | Ask::Begin | Ask::Image | Ask::Restore => vec![head, log, image],
        }
    }

    /// The node that is asked, or would be.
    pub(super) fn node(&self) -> Node {
        let nodes = &self.address.nodes;
        let told = self.told.clone();
        told.unwrap_or_else(|| nodes[self.next % nodes.len()].clone())
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, Failure> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        // Each is tried once.
        let mut failure = None;
        for _ in 0..=self.address.nodes.len() {
            let node = self.node();
            match open(&self.address, &node, self.timeout).await {
                Ok(connection) => {
                    self.open = Some(connection.clone());
                    return Ok(connection);
                }
                Err(error) => {
                    failure = Some(reason(&error));
                    self.another();
                }
            }
        }
        Err(Failure {
            reason: failure.unwrap_or_else(|| "it names no host".into()),
            unknown: false,
        })
    }
}

fn lost_between_nodes() -> Failure {
    Failure {
        reason: "its nodes send each to another".into(),
        unknown: false,
    }
}

async fn open(
    address: &Address,
    node: &Node,
    span: Duration,
) -> RedisResult<MultiplexedConnection> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(span))
        // Each question has a time of its own.
        .set_response_timeout(None);
    let client = address.client(node)?;
    client
        .get_multiplexed_async_connection_with_config(&settings)
        .await
}

/// Where the server said that somebody else answers.
fn moved_to(error: &RedisError) -> Option<(String, u16)> {
    if error.code() != Some("MOVED") {
        return None;
    }
    let (address, _) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// In words, which have no password.
fn reason(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        // So it says it to a question that is longer than it reads of strangers.
        (_, Some(detail)) if detail.contains("unauthenticated") => {
            format!("NOAUTH it wants a password: {detail}")
        }
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// The parts of an answer as what they are.
pub(super) fn part<T: FromRedisValue>(parts: &[Value], place: usize) -> Result<T, String> {
    let part = parts.get(place).ok_or("the answer is cut short")?;
    T::from_redis_value_ref(part).map_err(|error| error.to_string())
}
