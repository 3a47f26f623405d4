//! The program as a child process.

use std::{
    fs,
    path::PathBuf,
    process::{ExitStatus, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

/// Waits for what is sure to come, and fails the test instead of hanging if it does not.
pub(crate) async fn soon<T>(coming: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), coming).await;
    waited.expect("nothing came for a minute")
}

/// A configuration file, there as long as this is.
pub(crate) struct ConfigFile(PathBuf);

impl ConfigFile {
    pub(crate) fn new(text: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("quota-{}-{number}.yaml", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        ConfigFile(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// `tower-quota` with these arguments, killed when dropped.
pub(crate) fn tower_quota(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-quota"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("TOKIO_WORKER_THREADS")
        .kill_on_drop(true);
    command
}

/// A program that serves.
pub(crate) struct Gateway {
    /// `http://127.0.0.1:PORT`
    pub(crate) base_url: String,
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// None where a test has it elsewhere.
    stderr: Option<Lines<BufReader<ChildStderr>>>,
    upstream: String,
    config: ConfigFile,
}

impl Gateway {
    /// Starts it in front of this upstream, with this under `rate_limiting:`, and waits until it listens.
    pub(crate) async fn start(upstream: &str, rate_limiting: &str) -> Self {
        Self::start_text(upstream, &text(upstream, rate_limiting)).await
    }

    /// The same with a whole file.
    pub(crate) async fn start_text(upstream: &str, text: &str) -> Self {
        let config = ConfigFile::new(text);
        let mut gateway = Self::start_args(&["--config", config.path()]).await;
        gateway.upstream = upstream.to_owned();
        gateway.config = config;
        gateway
    }

    /// The same with these arguments.
    pub(crate) async fn start_args(args: &[&str]) -> Self {
        Self::start_with(args, &[]).await
    }

    /// The same with these variables in its environment.
    pub(crate) async fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let args = [&["serve"], args].concat();
        let mut command = tower_quota(&args);
        command.envs(environment.iter().copied());
        Self::start_command(command).await
    }

    /// The same by this command.
    pub(crate) async fn start_command(mut command: Command) -> Self {
        Self::started(command.spawn().unwrap()).await
    }

    /// The same of one that was started, as soon as it listens.
    pub(crate) async fn started(mut child: Child) -> Self {
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = child.stderr.take();
        let stderr = stderr.map(|stderr| BufReader::new(stderr).lines());
        let line = soon(stdout.next_line()).await.unwrap();
        let line = line.expect("it ended without listening");
        let base_url = line.strip_prefix("listening on ").expect(&line).to_owned();
        Gateway {
            base_url,
            child,
            stdout,
            stderr,
            upstream: String::new(),
            config: ConfigFile(PathBuf::new()),
        }
    }
}

/// A configuration of the gateway.
fn text(upstream: &str, rate_limiting: &str) -> String {
    format!(
        "rate_limiting: {rate_limiting}\ngateway:\n  listen: 127.0.0.1:0\n  upstream: {upstream}\n"
    )
}

#[allow(dead_code, reason = "not every test ends its gateway by hand")]
impl Gateway {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn addr(&self) -> &str {
        let (_, addr) = self.base_url.split_once("://").unwrap();
        addr
    }

    /// Sends it SIGTERM.
    pub(crate) async fn term(&self) {
        self.signal("-TERM").await;
    }

    /// Writes another file in place of its own, and sends it SIGHUP: what it says to that.
    pub(crate) async fn reload(&mut self, rate_limiting: &str) -> String {
        let upstream = self.upstream.clone();
        self.reload_text(&text(&upstream, rate_limiting)).await
    }

    /// The same with a whole file.
    pub(crate) async fn reload_text(&mut self, text: &str) -> String {
        fs::write(&self.config.0, text).unwrap();
        self.hangup().await
    }

    /// Sends it SIGHUP: what it says to that.
    pub(crate) async fn hangup(&mut self) -> String {
        self.hup().await;
        self.complaint().await
    }

    /// Sends it SIGHUP.
    pub(crate) async fn hup(&self) {
        self.signal("-HUP").await;
    }

    /// Kills it.
    pub(crate) async fn kill(&self) {
        self.signal("-KILL").await;
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").args([name, &pid]).status().await;
        assert!(killed.unwrap().success());
    }

    /// How many threads it has.
    #[cfg(target_os = "linux")]
    pub(crate) fn threads(&self) -> usize {
        let tasks = format!("/proc/{}/task", self.child.id().unwrap());
        fs::read_dir(tasks).unwrap().count()
    }

    /// What it says next on stderr.
    pub(crate) async fn complaint(&mut self) -> String {
        let stderr = self.stderr.as_mut().unwrap();
        soon(stderr.next_line()).await.unwrap().unwrap()
    }

    /// Ends it, and all that it said on stdout and stderr beside the line that it listens.
    pub(crate) async fn said(mut self) -> Vec<String> {
        self.term().await;
        let mut said = Vec::new();
        while let Some(line) = soon(self.stdout.next_line()).await.unwrap() {
            said.push(line);
        }
        let stderr = self.stderr.as_mut().unwrap();
        while let Some(line) = soon(stderr.next_line()).await.unwrap() {
            said.push(line);
        }
        soon(self.child.wait()).await.unwrap();
        said
    }

    /// How it ended.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let status = soon(self.child.wait()).await.unwrap();
        let more = soon(self.stdout.next_line()).await.unwrap();
        assert_eq!(more, None, "one line on stdout is all");
        status
    }
}

/// Runs it to its end.
#[allow(dead_code, reason = "not every test does")]
pub(crate) async fn run(args: &[&str]) -> Output {
    soon(tower_quota(args).output()).await.unwrap()
}
