//! One server: on a free port, in a folder that goes with it, killed when it is dropped, also by a test that panics.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::{Connection, Folder, Reply, until};

/// Nothing is kept, unless the test says otherwise.
const SETTINGS: [(&str, &str); 6] = [
    ("bind", "127.0.0.1"),
    ("daemonize", "no"),
    ("logfile", "log"),
    ("save", ""),
    ("appendonly", "no"),
    ("repl-diskless-sync-delay", "0"),
];

/// Below the ports that the system gives to clients; 10 000 more, the bus of a cluster, is too.
const PORTS: std::ops::Range<u16> = 10_500..22_000;
const TRIES: usize = 20;

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: Folder,
    settings: Vec<(String, String)>,
}

impl Server {
    /// Starts one with settings as `redis.conf` has them (`appendonly`, `maxmemory`, …), and waits until it answers.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let started = (0..TRIES).find_map(|_| Self::try_start(settings));
        started.expect("no port is free")
    }

    /// The same, of one that speaks TLS at a second port.
    pub(crate) fn start_with_tls(settings: &[(&str, &str)]) -> (Self, u16) {
        let started = (0..TRIES).find_map(|_| {
            let port = free_port();
            let text = port.to_string();
            let own = [("tls-port", text.as_str())];
            let server = Self::try_start(&[&own[..], settings].concat())?;
            Some((server, port))
        });
        started.expect("no port is free")
    }

    /// None where somebody else has taken a port of it meanwhile.
    fn try_start(settings: &[(&str, &str)]) -> Option<Self> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings: Vec<_> = SETTINGS.iter().chain(settings).map(owned).collect();
        let (port, folder) = (free_port(), Folder::new());
        let mut server = Server {
            child: spawn(port, &folder, &settings),
            port,
            folder,
            settings,
        };
        match server.stands() {
            Ok(()) => Some(server),
            Err(log) if log.contains("Address already in use") => None,
            Err(log) => panic!("redis-server does not start:\n{log}"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// `redis://127.0.0.1:7777/0`
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// What it says to a command, on a connection of its own. Panics where it says nothing.
    pub(crate) fn ask(&self, command: &[&str]) -> Reply {
        self.connect().ask(command).unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().unwrap()
    }

    fn try_connect(&self) -> std::io::Result<Connection> {
        let mut connection = Connection::open(self.address())?;
        let password = self.settings.iter().find(|(name, _)| name == "requirepass");
        if let Some((_, password)) = password {
            connection.ask(&["AUTH", password])?;
        }
        Ok(connection)
    }

    /// A line of `INFO`: `role`, `master_link_status`, `used_memory`.
    pub(crate) fn info(&self, section: &str, name: &str) -> Option<String> {
        line_of(&self.ask(&["INFO", section]).text(), name)
    }

    /// How often it has done this command since it started, or since `CONFIG RESETSTAT`; those in scripts too.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let line = self.info("commandstats", &format!("cmdstat_{command}"));
        let line = line.unwrap_or_default();
        let calls = line.split(',').find_map(|part| part.strip_prefix("calls="));
        calls.map_or(0, |calls| calls.parse().unwrap())
    }

    /// Ends it at once, whatever it does: `kill -9`.
    pub(crate) fn kill(&mut self) {
        // One that has ended already cannot be killed.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }

    /// Ends it in good order: what it is to keep is on the disk.
    pub(crate) fn shut_down(&mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with what is left in its folder, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.folder, &self.settings);
        if let Err(log) = self.stands() {
            panic!("redis-server does not start again:\n{log}");
        }
    }

    /// How long its log on the disk is (`appendonly`).
    pub(crate) fn logged(&self) -> u64 {
        fs::metadata(self.log()).unwrap().len()
    }

    /// After a kill: of its log on the disk only so much is left, as where the power fails.
    pub(crate) fn cut_log_at(&self, length: u64) {
        let log = fs::OpenOptions::new().write(true).open(self.log());
        log.unwrap().set_len(length).unwrap();
    }

    fn log(&self) -> PathBuf {
        let files = fs::read_dir(self.folder.file("appendonlydir")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        let log = files.find(|path| path.to_string_lossy().ends_with(".incr.aof"));
        log.expect("it keeps a log")
    }

    /// It stops where it stands and answers nothing; connections stay, and new ones are taken by the system.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// It goes on where it stopped.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// A server that has what this one has, and gets all that comes.
    pub(crate) fn replica(&self) -> Server {
        let of = format!("127.0.0.1 {}", self.port);
        let replica = Server::start(&[("replicaof", of.as_str())]);
        until("the replica has everything", || {
            replica.info("replication", "master_link_status").as_deref() == Some("up")
        });
        replica
    }

    /// Waits until a replica has all that was done until now.
    pub(crate) fn wait_for(&self, replica: &Server) {
        let done = || self.info("replication", "master_repl_offset");
        let wanted: u64 = done().unwrap().parse().unwrap();
        until("the replica has what was done", || {
            let has = replica.info("replication", "slave_repl_offset");
            has.is_some_and(|has| has.parse::<u64>().unwrap() >= wanted)
        });
    }

    /// Makes a replica one that is written to.
    pub(crate) fn promote(&self) {
        assert_eq!(self.ask(&["REPLICAOF", "NO", "ONE"]), Reply::ok());
        until("it is nobody's replica", || {
            self.info("replication", "role").as_deref() == Some("master")
        });
    }

    /// Waits until it answers by itself, and not another on its port. Where it ends instead: its log.
    fn stands(&mut self) -> Result<(), String> {
        let pid = self.child.id().to_string();
        let mut ended = false;
        until("redis-server answers", || {
            ended = self.child.try_wait().unwrap().is_some();
            ended || self.is_ready(&pid)
        });
        if ended {
            let log = fs::read_to_string(self.folder.file("log"));
            return Err(log.unwrap_or_else(|_| "without a word in its log".to_owned()));
        }
        Ok(())
    }

    fn is_ready(&self, pid: &str) -> bool {
        let asked = self.try_connect().and_then(|mut connection| {
            Ok((connection.ask(&["PING"])?, connection.ask(&["INFO"])?))
        });
        let Ok((Reply::Text(pong), Reply::Text(info))) = asked else {
            return false;
        };
        pong == "PONG"
            && line_of(&info, "loading").as_deref() == Some("0")
            && line_of(&info, "process_id").as_deref() == Some(pid)
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success(), "{command}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn line_of(info: &str, name: &str) -> Option<String> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

fn spawn(port: u16, folder: &Folder, settings: &[(String, String)]) -> Child {
    let mut command = Command::new("redis-server");
    command.arg("--port").arg(port.to_string());
    command.arg("--dir").arg(folder.file(""));
    for (name, value) in settings {
        command.arg(format!("--{name}"));
        // `replicaof` has two words.
        let words = if value.is_empty() {
            vec![""]
        } else {
            value.split(' ').collect()
        };
        command.args(words);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!("redis-server, which scripts/test installs where it is missing: {error}")
    })
}

/// A port that nobody listens at, nor at that of the bus that belongs to it.
fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let tries = std::iter::repeat_with(|| fastrand::u16(PORTS));
    let mut free = tries
        .take(1_000)
        .filter(|port| is_free(*port) && is_free(port + 10_000));
    free.next().expect("a port is free")
}
