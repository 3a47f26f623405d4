//! A cluster of three nodes on loopback.

use std::process::Command;

use super::{Reply, Server, until};

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// Starts three nodes without replicas, with these settings, and waits until each says that the cluster works.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::of(3, settings)
    }

    /// The same with three more, each a replica of one of these, which takes over by itself.
    pub(crate) fn start_with_replicas(settings: &[(&str, &str)]) -> Self {
        let cluster = Self::of(6, settings);
        let up = |node: &Server| {
            let is_up = node.info("replication", "master_link_status");
            is_up.is_none_or(|status| status == "up")
        };
        until("each replica has everything", || {
            cluster.nodes.iter().all(up)
        });
        cluster
    }

    fn of(count: usize, settings: &[(&str, &str)]) -> Self {
        let own = [("cluster-enabled", "yes"), ("cluster-node-timeout", "2000")];
        let settings = [&own, settings].concat();
        let nodes: Vec<Server> = (0..count).map(|_| Server::start(&settings)).collect();
        let create = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| node.address().to_string()))
            .args(["--cluster-replicas", if count > 3 { "1" } else { "0" }])
            .arg("--cluster-yes")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&create.stdout);
        assert!(create.status.success(), "{said}");
        let cluster = Cluster { nodes };
        cluster.works();
        cluster
    }

    /// Waits until each node says that the cluster works.
    pub(crate) fn works(&self) {
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        until("the cluster works", || {
            self.nodes.iter().all(|node| is_ok(node, &known))
        });
    }

    /// Waits until each other says that the cluster works without this node, which was killed, and has had a while to see
    /// that it is gone.
    pub(crate) fn works_without(&self, gone: usize) {
        let slots = || {
            let others = self.nodes.iter().enumerate();
            let mut others = others.filter(|(number, _)| *number != gone);
            others.all(|(_, node)| {
                let nodes = node.ask(&["CLUSTER", "NODES"]).text();
                let masters = nodes.lines().filter(|line| {
                    line.contains("master") && !line.contains("fail") && line.contains(" connected")
                });
                masters.count() == 3
            })
        };
        until("a replica takes over", slots);
    }

    /// `127.0.0.1:7001`, one a node.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let addresses = self.nodes.iter().map(|node| node.address().to_string());
        addresses.collect()
    }

    /// The number of the node that has a key: the braces in it decide, where it has some.
    pub(crate) fn holder(&self, key: &str) -> usize {
        let has = |node: &Server| !matches!(node.ask(&["GET", key]), Reply::Error(said) if said.starts_with("MOVED"));
        self.nodes.iter().position(has).expect("a node has it")
    }
}

fn is_ok(node: &Server, known: &str) -> bool {
    let info = node.ask(&["CLUSTER", "INFO"]).text();
    info.lines().any(|line| line == "cluster_state:ok")
        && info.lines().any(|line| line == "cluster_slots_ok:16384")
        && info.lines().any(|line| line == known)
}
