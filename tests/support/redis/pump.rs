//! One way of a connection through the proxy: what is read waits until it may come through.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::Fault;

/// The connection is to end with a reset.
#[derive(Debug)]
pub(super) struct Cut;

/// What has been read, and when; whether the connection is cut behind it.
struct Chunk {
    bytes: Vec<u8>,
    at: Instant,
    is_last: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// A throttled way lets something through so often.
const STEP: Duration = Duration::from_millis(20);

/// Passes on until the one end closes, and closes the other. `look` sees what is read, and says after how many bytes of it
/// the connection is to be cut.
pub(super) async fn pump(
    way: Way,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    fault: watch::Receiver<Fault>,
    look: impl FnMut(&[u8]) -> Option<usize>,
) -> Result<(), Cut> {
    let (queue, queued) = mpsc::unbounded_channel();
    let reads = read(way, from, fault.clone(), queue, look);
    tokio::try_join!(reads, write(way, to, fault, queued)).map(drop)
}

async fn read(
    way: Way,
    mut from: impl AsyncRead + Unpin,
    mut fault: watch::Receiver<Fault>,
    queue: mpsc::UnboundedSender<Chunk>,
    mut look: impl FnMut(&[u8]) -> Option<usize>,
) -> Result<(), Cut> {
    let drops = |fault: &Fault| way == Way::ToClient && *fault == Fault::DropReplies;
    let mut buffer = vec![0; 16_384];
    let mut has_hole = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.map_err(|_| Cut)?,
            _ = fault.wait_for(|fault| !drops(fault)), if has_hole => return Err(Cut),
        };
        if read == 0 {
            return Ok(());
        }
        let (mut bytes, cut) = (buffer[..read].to_vec(), look(&buffer[..read]));
        if drops(&fault.borrow()) {
            has_hole = true;
            continue;
        }
        bytes.truncate(cut.unwrap_or(read));
        let chunk = Chunk {
            bytes,
            at: Instant::now(),
            is_last: cut.is_some(),
        };
        queue.send(chunk).map_err(|_| Cut)?;
    }
}

async fn write(
    way: Way,
    mut to: impl AsyncWrite + Unpin,
    mut fault: watch::Receiver<Fault>,
    mut queued: mpsc::UnboundedReceiver<Chunk>,
) -> Result<(), Cut> {
    while let Some(chunk) = queued.recv().await {
        let mut rest = chunk.bytes.as_slice();
        while !rest.is_empty() {
            passes(way, chunk.at, &mut fault).await;
            let rate = match *fault.borrow() {
                Fault::Throttle(rate) => Some(rate),
                _ => None,
            };
            let step = rate.map_or(rest.len(), |rate| (rate / 50).max(1));
            let (now, later) = rest.split_at(step.min(rest.len()));
            to.write_all(now).await.map_err(|_| Cut)?;
            rest = later;
            if rate.is_some() {
                sleep(STEP).await;
            }
        }
        if chunk.is_last {
            // What came through is to arrive: a reset overtakes it.
            sleep(STEP).await;
            return Err(Cut);
        }
    }
    // Where the other end is closed too, there is nothing to close.
    drop(to.shutdown().await);
    Ok(())
}

/// Waits until what was read then may come through.
async fn passes(way: Way, at: Instant, fault: &mut watch::Receiver<Fault>) {
    loop {
        let now = *fault.borrow_and_update();
        let until = match (now, way) {
            (Fault::Hold, _) | (Fault::HoldReplies, Way::ToClient) => None,
            (Fault::Delay { to_server, .. }, Way::ToServer) => Some(at + to_server),
            (Fault::Delay { to_client, .. }, Way::ToClient) => Some(at + to_client),
            _ => return,
        };
        let waits = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = waits => return,
            changed = fault.changed() => if changed.is_err() { return },
        }
    }
}
