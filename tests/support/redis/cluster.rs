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
        let own = [("cluster-enabled", "yes"), ("cluster-node-timeout", "2000")];
        let settings = [&own, settings].concat();
        let nodes: Vec<Server> = (0..3).map(|_| Server::start(&settings)).collect();
        let create = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| node.address().to_string()))
            .args(["--cluster-replicas", "0", "--cluster-yes"])
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
        until("the cluster works", || self.nodes.iter().all(is_ok));
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

fn is_ok(node: &Server) -> bool {
    let info = node.ask(&["CLUSTER", "INFO"]).text();
    info.lines().any(|line| line == "cluster_state:ok")
        && info.lines().any(|line| line == "cluster_slots_ok:16384")
        && info.lines().any(|line| line == "cluster_known_nodes:3")
}
