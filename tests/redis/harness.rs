//! What the tests of a store in Redis stand on does what it says: servers that are killed, frozen and replaced, a cluster,
//! and each fault of the network. Without a word of the store.
#![cfg(unix)]

use crate::servers as redis;

use std::{net::TcpStream, panic, time::Duration};

use redis::{Cluster, Connection, Fault, Proxy, Reply, Server, until};

const NEVER: Duration = Duration::from_secs(36_000);

fn number(number: i64) -> Reply {
    Reply::Number(number)
}

/// A server with something in it, and a client that comes by the proxy.
fn behind_proxy() -> (Server, Proxy, Connection) {
    let server = Server::start(&[]);
    server.ask(&["SET", "n", "10"]);
    let proxy = Proxy::start(server.address());
    let mut client = Connection::open(proxy.address()).unwrap();
    assert_eq!(client.ask(&["INCR", "n"]).unwrap(), number(11));
    (server, proxy, client)
}

/// Waits until the server has counted so far.
fn reaches(server: &Server, count: &str) {
    until("the server has done it", || {
        server.ask(&["GET", "n"]).text() == count
    });
}

#[test]
fn replies_of_every_kind_are_read() {
    let server = Server::start(&[]);
    assert_eq!(server.ask(&["SET", "k", "two\r\nlines"]), Reply::ok());
    assert_eq!(server.ask(&["GET", "k"]).text(), "two\r\nlines");
    assert_eq!(server.ask(&["GET", "none"]), Reply::Nil);
    assert_eq!(
        server.ask(&["MGET", "k", "none"]),
        Reply::List(vec![Reply::Text("two\r\nlines".into()), Reply::Nil])
    );
    assert_eq!(server.ask(&["STRLEN", "k"]), number(10));
    let wrong = server.ask(&["NOPE"]);
    assert!(
        matches!(&wrong, Reply::Error(said) if said.starts_with("ERR unknown command")),
        "{wrong}"
    );
}

#[test]
fn commands_are_counted_also_those_in_scripts() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        server.ask(&["EVAL", "return redis.call('INCR', KEYS[1])", "1", "n"]);
    }
    assert_eq!(
        (
            server.calls("eval"),
            server.calls("incr"),
            server.calls("get")
        ),
        (3, 3, 0)
    );
}

#[test]
fn settings_are_those_of_the_server() {
    let server = Server::start(&[("maxmemory", "2mb"), ("requirepass", "s3cret")]);
    assert_eq!(server.info("memory", "maxmemory").unwrap(), "2097152");
    let mut stranger = Connection::open(server.address()).unwrap();
    let said = stranger.ask(&["GET", "n"]).unwrap();
    assert!(said.to_string().starts_with("NOAUTH"), "{said}");
}

#[test]
fn what_is_on_the_disk_is_there_after_a_kill_and_nothing_else() {
    for (settings, kept) in [
        (&[("appendonly", "yes"), ("appendfsync", "always")][..], "1"),
        (&[], ""),
    ] {
        let mut server = Server::start(settings);
        server.ask(&["SET", "n", "1"]);
        let address = server.address();
        server.kill();
        assert!(Connection::open(address).is_err(), "nobody is there");
        server.restart();
        assert_eq!(server.address(), address);
        let found = server.ask(&["GET", "n"]);
        assert_eq!(
            found,
            if kept.is_empty() {
                Reply::Nil
            } else {
                Reply::Text(kept.into())
            }
        );
    }
}

#[test]
fn shut_down_in_good_order_it_keeps_what_a_kill_loses() {
    let mut server = Server::start(&[("save", "3600 1000")]);
    for (value, end) in [("1", true), ("2", false)] {
        server.ask(&["SET", "n", value]);
        if end {
            server.shut_down();
        }
        server.restart();
        assert_eq!(server.ask(&["GET", "n"]).text(), "1");
    }
}

#[test]
fn frozen_it_takes_connections_and_says_nothing_until_it_goes_on() {
    let server = Server::start(&[]);
    let mut before = server.connect();
    server.freeze();
    let mut during = Connection::open(server.address()).unwrap();
    before.send(&["PING"]).unwrap();
    during.send(&["PING"]).unwrap();
    assert!(before.is_silent() && during.is_silent());
    server.thaw();
    for client in [&mut before, &mut during] {
        assert_eq!(client.reply().unwrap().text(), "PONG");
    }
}

#[test]
fn a_server_goes_with_the_test_also_where_that_panics_or_it_is_frozen() {
    for frozen in [false, true] {
        let (tell, told) = std::sync::mpsc::channel();
        let panicked = panic::catch_unwind(move || {
            let server = Server::start(&[]);
            tell.send(server.address()).unwrap();
            if frozen {
                server.freeze();
            }
            panic::resume_unwind(Box::new("as a test that fails"));
        });
        assert!(panicked.is_err());
        assert!(TcpStream::connect(told.recv().unwrap()).is_err());
    }
}

#[test]
fn a_replica_has_everything_and_is_promoted() {
    let server = Server::start(&[]);
    server.ask(&["SET", "before", "1"]);
    let replica = server.replica();
    server.ask(&["SET", "after", "2"]);
    server.wait_for(&replica);
    let proxy = Proxy::start(server.address());
    let mut client = Connection::open(proxy.address()).unwrap();
    assert_eq!(client.ask(&["GET", "after"]).unwrap().text(), "2");
    let said = replica.ask(&["SET", "after", "3"]).to_string();
    assert!(said.starts_with("READONLY"), "{said}");

    drop(server);
    replica.promote();
    proxy.lead_to(replica.address());
    assert!(client.ask(&["PING"]).is_err(), "its server is gone");
    let mut client = Connection::open(proxy.address()).unwrap();
    assert_eq!(
        client.ask(&["MGET", "before", "after"]).unwrap(),
        Reply::List(vec![Reply::Text("1".into()), Reply::Text("2".into())])
    );
    assert_eq!(client.ask(&["SET", "after", "3"]).unwrap(), Reply::ok());
}

#[test]
fn a_cluster_has_each_key_on_one_node() {
    let cluster = Cluster::start(&[]);
    let mut holders = [0; 3];
    for key in ["{a}:1", "{b}:1", "{c}:1", "{d}:1", "{e}:1", "{f}:1"] {
        let holder = cluster.holder(key);
        holders[holder] += 1;
        assert_eq!(cluster.nodes[holder].ask(&["INCR", key]), number(1));
        let other = cluster.nodes[(holder + 1) % 3]
            .ask(&["INCR", key])
            .to_string();
        let there = &cluster.addresses()[holder];
        assert!(
            other.starts_with("MOVED") && other.ends_with(there),
            "{other}"
        );
        assert_eq!(
            cluster.holder(&key.replace('1', "2")),
            holder,
            "braces decide"
        );
    }
    assert!(
        holders.iter().filter(|keys| **keys > 0).count() > 1,
        "{holders:?}"
    );
}

#[test]
fn a_proxy_passes_what_is_said() {
    let (server, proxy, mut client) = behind_proxy();
    let long = "x".repeat(1_000_000);
    assert_eq!(client.ask(&["SET", "long", &long]).unwrap(), Reply::ok());
    assert_eq!(client.ask(&["GET", "long"]).unwrap().text(), long);
    assert_eq!(proxy.connections(), 1);
    drop(client);
    until("the end comes through", || proxy.connections() == 0);
    assert_eq!(server.ask(&["GET", "n"]).text(), "11");
}

#[test]
fn delayed_on_its_way_there_nothing_is_done_and_on_its_way_back_nothing_heard() {
    let (server, proxy, mut client) = behind_proxy();
    let none = Duration::ZERO;
    proxy.set(Fault::Delay {
        to_server: none,
        to_client: NEVER,
    });
    client.send(&["INCR", "n"]).unwrap();
    reaches(&server, "12");
    assert!(client.is_silent());
    proxy.set(Fault::Delay {
        to_server: NEVER,
        to_client: none,
    });
    assert_eq!(client.reply().unwrap(), number(12));
    client.send(&["INCR", "n"]).unwrap();
    assert!(client.is_silent());
    assert_eq!(server.ask(&["GET", "n"]).text(), "12");
    // So much later, and in order.
    let soon = Duration::from_millis(5);
    proxy.set(Fault::Delay {
        to_server: soon,
        to_client: soon,
    });
    client.send(&["INCR", "n"]).unwrap();
    assert_eq!(client.reply().unwrap(), number(13));
    assert_eq!(client.reply().unwrap(), number(14));
}

#[test]
fn held_nothing_comes_through_until_that_is_over_also_of_who_gave_up() {
    let (server, proxy, mut client) = behind_proxy();
    proxy.set(Fault::Hold);
    let mut gives_up = Connection::open(proxy.address()).unwrap();
    gives_up.send(&["INCR", "n"]).unwrap();
    client.send(&["INCR", "n"]).unwrap();
    assert!(client.is_silent() && gives_up.is_silent());
    drop(gives_up);
    assert_eq!(server.ask(&["GET", "n"]).text(), "11");
    proxy.set(Fault::Pass);
    reaches(&server, "13");
    assert!(matches!(client.reply().unwrap(), Reply::Number(12 | 13)));
}

#[test]
fn held_replies_are_to_what_was_done_and_come_later() {
    let (server, proxy, mut client) = behind_proxy();
    proxy.set(Fault::HoldReplies);
    client.send(&["INCR", "n"]).unwrap();
    reaches(&server, "12");
    assert!(client.is_silent());
    proxy.set(Fault::Pass);
    assert_eq!(client.reply().unwrap(), number(12));
}

#[test]
fn a_reply_that_is_lost_is_to_what_was_done_and_nothing_comes_after_it() {
    let (server, proxy, mut client) = behind_proxy();
    let mut other = Connection::open(proxy.address()).unwrap();
    assert_eq!(other.ask(&["PING"]).unwrap().text(), "PONG");
    proxy.set(Fault::DropReplies);
    client.send(&["INCR", "n"]).unwrap();
    reaches(&server, "12");
    assert!(client.is_silent());
    proxy.set(Fault::Pass);
    assert!(client.reply().is_err(), "there is a hole in it");
    // Who has lost nothing goes on.
    assert_eq!(other.ask(&["GET", "n"]).unwrap().text(), "12");
}

#[test]
fn throttled_it_comes_bit_by_bit() {
    let (server, proxy, mut client) = behind_proxy();
    let long = "x".repeat(100_000);
    server.ask(&["SET", "long", &long]);
    // The command takes some steps there, and what comes back an hour.
    proxy.set(Fault::Throttle(500));
    client.send(&["GET", "long"]).unwrap();
    assert_eq!(client.bytes(9).unwrap(), b"$100000\r\n");
    assert_eq!(client.bytes(3).unwrap(), b"xxx");
    proxy.set(Fault::Pass);
    let rest = client.bytes(100_000 - 3 + 2).unwrap();
    assert!(rest.ends_with(b"x\r\n"));
}

#[test]
fn a_cut_is_of_all_who_are_connected_and_of_nobody_later() {
    let (_server, proxy, mut client) = behind_proxy();
    let mut other = Connection::open(proxy.address()).unwrap();
    other.ask(&["PING"]).unwrap();
    proxy.cut();
    for client in [&mut client, &mut other] {
        let error = client.reply().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    let mut later = Connection::open(proxy.address()).unwrap();
    assert_eq!(later.ask(&["INCR", "n"]).unwrap(), number(12));
}

#[test]
fn refused_are_who_is_connected_and_who_connects_until_that_is_over() {
    let (server, proxy, mut client) = behind_proxy();
    proxy.set(Fault::Refuse);
    assert!(client.reply().is_err());
    // The system lets it in; then it is cut off.
    let refused =
        Connection::open(proxy.address()).and_then(|mut client| client.ask(&["INCR", "n"]));
    assert!(refused.is_err());
    assert_eq!(server.ask(&["GET", "n"]).text(), "11");
    proxy.set(Fault::Pass);
    let mut later = Connection::open(proxy.address()).unwrap();
    assert_eq!(later.ask(&["INCR", "n"]).unwrap(), number(12));
}

#[test]
fn the_reply_to_one_command_is_cut_where_it_is_said_and_no_other() {
    let (server, proxy, mut client) = behind_proxy();
    server.ask(&["SET", "text", "0123456789"]);
    let mut other = Connection::open(proxy.address()).unwrap();
    // Before its first byte, when it is done.
    proxy.cut_reply_to("incr", 0);
    assert_eq!(other.ask(&["GET", "text"]).unwrap().text(), "0123456789");
    assert!(!proxy.has_found());
    assert!(client.ask(&["INCR", "n"]).is_err());
    assert!(proxy.has_found());
    assert_eq!(other.ask(&["INCR", "n"]).unwrap(), number(13));
    // In the middle of it.
    proxy.cut_reply_to("GET", 8);
    other.send(&["GET", "text"]).unwrap();
    assert_eq!(other.bytes(8).unwrap(), b"$10\r\n012");
    assert!(other.bytes(1).is_err());
}
