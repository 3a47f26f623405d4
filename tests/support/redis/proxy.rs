//! What is between a program and a server: TCP that goes wrong as told, on a thread and a clock of its own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{self, Runtime},
    sync::watch,
};

use super::pump::{Cut, Way, pump};

/// What is wrong, until another is set. It is so at once, also for what is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Pass,
    /// It takes so much longer.
    Delay {
        to_server: Duration,
        to_client: Duration,
    },
    /// Nothing comes through and nothing breaks, as where a cable is pulled: who connects is let in, and hears nothing.
    /// What was sent meanwhile comes when that is over, also from those who have given up.
    Hold,
    /// Replies alone are held: the server does what it is told.
    HoldReplies,
    /// Replies are lost: the server does what it is told. A connection with such a hole is cut when that is over.
    DropReplies,
    /// So many bytes a second come through, each way of each connection.
    Throttle(usize),
    /// Who is connected is cut off, and who connects.
    Refuse,
}

/// Listens, and passes on what is said, both ways.
#[derive(Debug)]
pub(crate) struct Proxy {
    state: Arc<State>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct State {
    server: Mutex<SocketAddr>,
    fault: watch::Sender<Fault>,
    cuts: watch::Sender<()>,
    aim: Mutex<Option<Aim>>,
    connections: AtomicUsize,
}

/// The next reply to this command is cut after so many bytes.
#[derive(Debug)]
struct Aim {
    command: String,
    after: usize,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let state = Arc::new(State {
            server: Mutex::new(server),
            fault: watch::Sender::new(Fault::Pass),
            cuts: watch::Sender::new(()),
            aim: Mutex::new(None),
            connections: AtomicUsize::new(0),
        });
        runtime.spawn(listen(listener, state.clone()));
        Proxy {
            state,
            address,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://127.0.0.1:7777/0`
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
    }

    /// Cuts all who are connected now: both ends get a reset.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_replace(());
    }

    /// Cuts the connection on which this word comes next, in the reply to it: after so many bytes, at 0 before any. Then the
    /// server has done it. The reply is the one to this command where the client waits for each.
    pub(crate) fn cut_reply_to(&self, command: &str, after: usize) {
        let command = command.to_owned();
        *self.state.aim.lock() = Some(Aim { command, after });
    }

    /// Whether that has found its command.
    pub(crate) fn has_found(&self) -> bool {
        self.state.aim.lock().is_none()
    }

    /// Leads who connects from now on to another server.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.state.server.lock() = server;
    }

    /// How many are connected.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not waited for: that may be within another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl State {
    /// How many bytes of the next reply come through, where what is sent here is aimed at.
    fn aimed_at(&self, sent: &[u8]) -> Option<usize> {
        let mut aim = self.aim.lock();
        let word = aim.as_ref()?.command.as_bytes();
        let is_there = sent
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word));
        is_there.then(|| aim.take().map(|aim| aim.after)).flatten()
    }
}

async fn listen(listener: std::net::TcpListener, state: Arc<State>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        // Seen from here on, so that a cut right after this one is for it too.
        let (fault, cuts) = (state.fault.subscribe(), state.cuts.subscribe());
        let state = state.clone();
        tokio::spawn(async move {
            state.connections.fetch_add(1, Ordering::SeqCst);
            connection(client, fault, cuts, &state).await;
            state.connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn connection(
    mut client: TcpStream,
    mut fault: watch::Receiver<Fault>,
    mut cuts: watch::Receiver<()>,
    state: &State,
) {
    let server = *state.server.lock();
    let Ok(mut server) = TcpStream::connect(server).await else {
        drop(client.set_zero_linger());
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let faults = fault.clone();
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let cut_at = Mutex::new(None);
        let asked = |sent: &[u8]| {
            if let Some(after) = state.aimed_at(sent) {
                *cut_at.lock() = Some(after);
            }
            None
        };
        let told = |_: &[u8]| cut_at.lock().take();
        let requests = pump(Way::ToServer, from_client, to_server, faults.clone(), asked);
        let replies = pump(Way::ToClient, from_server, to_client, faults, told);
        tokio::select! {
            // In this order: of who is refused nothing comes through.
            biased;
            _ = fault.wait_for(|fault| *fault == Fault::Refuse) => Err(Cut),
            _ = cuts.changed() => Err(Cut),
            ended = async { tokio::try_join!(requests, replies) } => ended.map(drop),
        }
    };
    if ended.is_err() {
        // What is on its way is not sent: a reset, and no end in good order.
        drop((client.set_zero_linger(), server.set_zero_linger()));
    }
}
