//! Servers, what is between them and the processes, and what goes wrong there.

use std::time::Duration;

use tokio::{task::block_in_place, time::sleep};

use crate::redis::{Cluster, Fault, Proxy, Server};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Nothing, to see what is so without.
    Nothing,
    /// `kill -9`, and started again with what it keeps by this `appendfsync`; "nothing": it keeps nothing.
    Killed(&'static str),
    /// Killed, and what it wrote in the last while never came to the disk.
    PowerLost,
    /// `SIGSTOP`, and two seconds later `SIGCONT`.
    Stopped,
    /// All connections are reset, again and again.
    Cut,
    /// Nobody listens.
    Refused,
    /// Connections are taken, and nothing comes through.
    Silent,
    /// Everything takes long, and comes in time.
    Slow,
    /// Everything takes longer than it may.
    TooSlow,
    /// The server does what it is told, and its replies are lost.
    RepliesLost,
    /// Its memory is full, and nothing may be evicted.
    Full,
    /// `SCRIPT FLUSH`, again and again.
    ScriptsForgotten,
    /// `FLUSHALL`, again and again.
    Emptied,
    /// A replica that lacks the last while takes over.
    FailedOver,
    /// A node of a cluster dies, and its replica takes over by itself.
    NodeFailedOver,
    /// One of the processes is cut off, the other is not.
    OneCutOff,
}

/// Where processes count.
pub(crate) struct Site {
    server: Server,
    other: Option<Server>,
    cluster: Option<Cluster>,
    proxies: Vec<Proxy>,
    /// One a process.
    pub(crate) urls: Vec<String>,
}

/// The usual length of what goes wrong.
const SPAN: Duration = Duration::from_millis(1_200);

impl Wrong {
    /// `appendfsync`, where anything is kept at all.
    pub(crate) fn fsync(self) -> &'static str {
        match self {
            Wrong::Killed("nothing")
            | Wrong::Emptied
            | Wrong::FailedOver
            | Wrong::NodeFailedOver => "nothing kept",
            Wrong::Killed(fsync) => fsync,
            Wrong::PowerLost => "everysec",
            _ => "untouched",
        }
    }

    /// Whether the server goes on from a state that lacks the last of what it answered, and not from nothing.
    pub(crate) fn goes_back(self) -> bool {
        matches!(
            self,
            Wrong::PowerLost | Wrong::FailedOver | Wrong::NodeFailedOver
        )
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Wrong::Nothing => "nothing",
            Wrong::Killed(_) => "kill -9, restart",
            Wrong::PowerLost => "power lost",
            Wrong::Stopped => "SIGSTOP 2 s",
            Wrong::Cut => "connections reset",
            Wrong::Refused => "refused",
            Wrong::Silent => "accepts, silent",
            Wrong::Slow => "slow, in time",
            Wrong::TooSlow => "too slow",
            Wrong::RepliesLost => "replies lost",
            Wrong::Full => "maxmemory",
            Wrong::ScriptsForgotten => "SCRIPT FLUSH",
            Wrong::Emptied => "FLUSHALL",
            Wrong::FailedOver => "failover, behind",
            Wrong::NodeFailedOver => "cluster failover",
            Wrong::OneCutOff => "one of two cut off",
        }
    }
}

impl Site {
    pub(crate) fn start(wrong: Wrong) -> Self {
        let fsync = match wrong {
            Wrong::Killed(fsync) if fsync != "nothing" => Some(fsync),
            Wrong::PowerLost => Some("everysec"),
            _ => None,
        };
        let settings = fsync.map(|fsync| [("appendonly", "yes"), ("appendfsync", fsync)]);
        let server = Server::start(settings.as_ref().map_or(&[][..], |settings| settings));
        let other = (wrong == Wrong::FailedOver).then(|| server.replica());
        let cluster = (wrong == Wrong::NodeFailedOver).then(|| Cluster::start_with_replicas(&[]));
        let (proxies, urls) = match (&cluster, &other) {
            (Some(cluster), _) => {
                let url = format!("redis://{}", cluster.addresses().join(","));
                (Vec::new(), vec![url.clone(), url])
            }
            (None, Some(other)) => {
                let url = format!("redis://{},{}", server.address(), other.address());
                (Vec::new(), vec![url.clone(), url])
            }
            (None, None) => {
                let proxies = [(); 2].map(|()| Proxy::start(server.address()));
                let urls = proxies.iter().map(Proxy::url).collect();
                (proxies.into(), urls)
            }
        };
        Site {
            server,
            other,
            cluster,
            proxies,
            urls,
        }
    }

    /// Has it go wrong, and waits until it is over.
    pub(crate) async fn strike(&mut self, wrong: Wrong) {
        let soon = Duration::from_millis(25);
        match wrong {
            Wrong::Nothing => sleep(SPAN).await,
            Wrong::Killed(_) => {
                block_in_place(|| self.server.kill());
                sleep(SPAN / 2).await;
                block_in_place(|| self.server.restart());
            }
            Wrong::PowerLost => {
                let there = self.server.logged();
                sleep(SPAN / 2).await;
                block_in_place(|| self.server.kill());
                self.server.cut_log_at(there);
                sleep(SPAN / 2).await;
                block_in_place(|| self.server.restart());
            }
            Wrong::Stopped => {
                self.server.freeze();
                sleep(Duration::from_secs(2)).await;
                self.server.thaw();
            }
            Wrong::Cut => {
                for _ in 0..30 {
                    self.proxies.iter().for_each(Proxy::cut);
                    sleep(soon).await;
                }
            }
            Wrong::Refused => self.network(Fault::Refuse).await,
            Wrong::Silent => self.network(Fault::Hold).await,
            Wrong::Slow => {
                self.network(Fault::Delay {
                    to_server: soon,
                    to_client: soon,
                })
                .await;
            }
            Wrong::TooSlow => {
                let long = Duration::from_millis(400);
                self.network(Fault::Delay {
                    to_server: long / 4,
                    to_client: long,
                })
                .await;
            }
            Wrong::RepliesLost => {
                for _ in 0..15 {
                    for proxy in &self.proxies {
                        proxy.cut_reply_to("EVALSHA", fastrand::usize(..40));
                    }
                    sleep(soon).await;
                }
                self.network(Fault::DropReplies).await;
            }
            Wrong::Full => {
                self.server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(SPAN).await;
                self.server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            Wrong::ScriptsForgotten => self.again_and_again(&["SCRIPT", "FLUSH"]).await,
            Wrong::Emptied => self.again_and_again(&["FLUSHALL"]).await,
            Wrong::FailedOver => {
                // It hears no more, and is told to take over when the other is gone.
                let other = self.other.as_ref().unwrap();
                block_in_place(|| other.promote());
                sleep(SPAN / 2).await;
                block_in_place(|| self.server.kill());
                sleep(SPAN / 2).await;
            }
            Wrong::NodeFailedOver => {
                let cluster = self.cluster.as_mut().unwrap();
                block_in_place(|| {
                    let holder = cluster.holder("{tower-quota:default}:none");
                    cluster.nodes[holder].kill();
                    cluster.works_without(holder);
                });
            }
            Wrong::OneCutOff => {
                self.proxies[0].set(Fault::Refuse);
                sleep(SPAN).await;
                self.proxies[0].set(Fault::Pass);
            }
        }
    }

    async fn network(&self, fault: Fault) {
        self.proxies.iter().for_each(|proxy| proxy.set(fault));
        sleep(SPAN).await;
        self.proxies.iter().for_each(|proxy| proxy.set(Fault::Pass));
    }

    async fn again_and_again(&self, command: &[&str]) {
        for _ in 0..20 {
            self.server.ask(command);
            sleep(SPAN / 20).await;
        }
    }
}
