//! Real clusters on this machine.

use std::time::{Duration, Instant};

use super::server::{Server, free_port};

/// How many slots there are.
const SLOTS: usize = 16_384;

/// A cluster whose masters have equal shares of the slots. Each has a replica.
pub struct Cluster {
    pub kind: &'static str,
    /// First the masters, then a replica for each, then servers without slots.
    pub nodes: Vec<Server>,
    masters: usize,
}

impl Cluster {
    /// Three masters and three replicas.
    pub fn start(kind: &'static str) -> Self {
        Self::start_with(kind, 3, 6, &[])
    }

    /// So many masters among so many servers. If there are fewer than twice as many servers, the
    /// masters have no replicas.
    pub fn start_with(kind: &'static str, masters: usize, all: usize, more: &[&str]) -> Self {
        let more: Vec<_> = more.iter().map(ToString::to_string).collect();
        Self::start_each(kind, masters, &vec![more; all])
    }

    /// As `start_with`, with arguments for each of the servers.
    pub fn start_each(kind: &'static str, masters: usize, arguments: &[Vec<String>]) -> Self {
        let nodes: Vec<_> = arguments.iter().map(|more| start_node(kind, more)).collect();
        let all = nodes.len();
        for (number, node) in nodes.iter().enumerate() {
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (number, master) in nodes[..masters].iter().enumerate() {
            let (first, last) = (SLOTS * number / masters, SLOTS * (number + 1) / masters - 1);
            ok(master, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        let this = Self { kind, nodes, masters };
        for node in &this.nodes[1..] {
            this.meet(node);
        }
        if all >= 2 * masters {
            for (number, replica) in this.nodes[masters..2 * masters].iter().enumerate() {
                let master = id(&this.nodes[number]);
                // It takes a while until the replica knows its master.
                wait_until("the replica knows its master", || {
                    replica.command(&["CLUSTER", "REPLICATE", &master]).starts_with("+OK")
                });
            }
        }
        this.wait_until_healthy();
        this
    }

    /// Introduces a server to the first one.
    fn meet(&self, node: &Server) {
        let bus = node.argument("--cluster-port").expect("a server of a cluster").to_string();
        let port = node.argument("--tls-port").unwrap_or(node.port).to_string();
        ok(&self.nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    }

    /// Waits until each server knows all others, and each replica follows its master.
    fn wait_until_healthy(&self) {
        let count = self.nodes.len();
        for node in &self.nodes {
            wait_until("the servers know each other", || {
                let info = node.command(&["CLUSTER", "INFO"]);
                let nodes = node.command(&["CLUSTER", "NODES"]);
                info.contains("cluster_state:ok")
                    && info.contains(&format!("cluster_known_nodes:{count}\r"))
                    && info.contains(&format!("cluster_slots_assigned:{SLOTS}\r"))
                    && !nodes.contains("handshake")
            });
        }
        if count >= 2 * self.masters {
            for replica in &self.nodes[self.masters..2 * self.masters] {
                wait_until("the replica follows its master", || {
                    let info = replica.command(&["INFO", "replication"]);
                    info.contains("role:slave") && info.contains("master_link_status:up")
                });
            }
        }
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        let slot = self.nodes[0].number(&["CLUSTER", "KEYSLOT", key]);
        slot.try_into().expect("a slot")
    }

    /// Moves a slot with all of its keys from one server to another, as `redis-cli` does.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (from, to, slot) = (&self.nodes[from], &self.nodes[to], slot.to_string());
        let (from_id, to_id) = (id(from), id(to));
        ok(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        ok(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "3"]);
            let keys: Vec<_> = keys.lines().filter(|line| line.contains(':')).collect();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let port = to.port.to_string();
                let moved = from.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
                assert!(moved.starts_with("+OK") || moved.starts_with("+NOKEY"), "{moved}");
            }
        }
        ok(to, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        ok(from, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }
}

fn start_node(kind: &'static str, more: &[String]) -> Server {
    let bus = free_port().to_string();
    let mut args = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    args.extend(["--cluster-port", &bus, "--repl-diskless-sync-delay", "0"]);
    // A server whose master is dead does not take other slots with it.
    args.extend(["--cluster-require-full-coverage", "no"]);
    // A server that has given its last slot away stays a master, and can have it again.
    args.extend(["--cluster-allow-replica-migration", "no"]);
    args.extend(more.iter().map(String::as_str));
    Server::start_with(kind, &args)
}

fn ok(node: &Server, words: &[&str]) {
    assert_eq!(node.command(words), "+OK\r\n", "{words:?}");
}

pub fn id(node: &Server) -> String {
    let reply = node.command(&["CLUSTER", "MYID"]);
    reply.lines().nth(1).expect("an identifier").to_string()
}

/// Waits until it holds, at most 60 s.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
