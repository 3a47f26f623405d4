//! Processes of this program's own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child as Process, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::Error;

/// A process that listens. Ended when it is dropped.
pub(crate) struct Child {
    process: Process,
    pub(crate) addr: SocketAddr,
}

impl Child {
    /// Starts one that prints where it listens.
    pub(crate) fn that_says(command: &mut Command) -> Result<Self, Error> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let addr = line.trim().rsplit("//").next().map(str::parse);
        match addr {
            Some(Ok(addr)) => Ok(Child { process, addr }),
            _ => {
                drop((process.kill(), process.wait()));
                Err(format!("{command:?} did not say where it listens, but {line:?}").into())
            }
        }
    }

    /// Starts one that is told where to listen, and waits until it does.
    pub(crate) async fn told(
        command: impl Fn(u16) -> Result<Command, Error>,
    ) -> Result<Self, Error> {
        for _ in 0..5 {
            // Given back at once: somebody else may be faster, and then it is tried again.
            let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let process = command(addr.port())?
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?;
            let mut child = Child { process, addr };
            for _ in 0..500 {
                if child.process.try_wait()?.is_some() {
                    break;
                }
                if TcpStream::connect(addr).is_ok() {
                    return Ok(child);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Err("it does not start".into())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<ExitStatus, Error> {
        let told = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()?;
        if !told.success() {
            return Err("it is gone already".into());
        }
        Ok(self.process.wait()?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that was stopped is gone, and says so.
        drop((self.process.kill(), self.process.wait()));
    }
}

/// A program of this folder of builds: beside the examples' one.
pub(crate) fn beside(name: &str) -> Result<std::path::PathBuf, Error> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent);
    let path = folder.ok_or("there is no folder")?.join(name);
    if fs::exists(&path)? {
        Ok(path)
    } else {
        let command = format!("cargo build --release --all-features --bin {name}");
        Err(format!("{} is not there: {command}", path.display()).into())
    }
}
