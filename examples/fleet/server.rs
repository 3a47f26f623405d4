//! A `redis-server` of this program's own.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::Error;

/// What a client asks for a round trip: a script, news, or what it looks up. What is called inside of scripts is not here.
const ASKED: [&str; 8] = [
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
    "xread",
    "script|load",
];

/// Ended when it is dropped.
pub(crate) struct Server {
    child: Child,
    client: redis::Client,
    url: String,
}

impl Server {
    /// Starts one, and waits until it answers.
    pub(crate) async fn start() -> Result<Self, Error> {
        for _ in 0..10 {
            // Given back at once: somebody else may be faster, and then it is tried again.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
                .local_addr()?
                .port();
            let url = format!("redis://127.0.0.1:{port}/0");
            let mut server = Server {
                child: spawn(port)?,
                client: redis::Client::open(url.as_str())?,
                url,
            };
            for _ in 0..500 {
                if server.child.try_wait()?.is_some() {
                    break;
                }
                if server.is_ours() {
                    return Ok(server);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Err("redis-server does not start".into())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How often it was asked since it started.
    pub(crate) fn round_trips(&self) -> Result<u64, Error> {
        let stats = self.info("commandstats")?;
        let calls = |line: &str| {
            let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let calls = figures
                .split(',')
                .find_map(|figure| figure.strip_prefix("calls="))?;
            ASKED.contains(&name).then(|| calls.parse::<u64>().ok())?
        };
        Ok(stats.lines().filter_map(calls).sum())
    }

    /// Whether it answers, and not another one at its port.
    fn is_ours(&self) -> bool {
        let pid = format!("process_id:{}", self.child.id());
        self.info("server")
            .is_ok_and(|info| info.lines().any(|line| line == pid))
    }

    fn info(&self, section: &str) -> redis::RedisResult<String> {
        let mut connection = self.client.get_connection()?;
        redis::cmd("INFO").arg(section).query(&mut connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

fn spawn(port: u16) -> Result<Child, Error> {
    let spawned = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            "redis-server is not installed; in Debian: apt-get install redis-server".into()
        }
        _ => error.into(),
    })
}
