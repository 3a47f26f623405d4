//! Where the server is.

use std::{fmt, sync::Arc};

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use super::OpenError;

/// One server, or several of which one answers: nodes of a cluster, or a primary and its replicas.
#[derive(Clone)]
pub(super) struct Address {
    /// The first as it was given; the others differ in host and port.
    info: ConnectionInfo,
    pub(super) nodes: Vec<Node>,
    /// Whom to trust in place of the public authorities, in PEM.
    pub(super) root: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What stands behind the `?` of an address.
type Said<'u> = Vec<(&'u str, &'u str)>;

impl Address {
    /// With what stands behind its `?`: names and values.
    pub(super) fn read(url: &str) -> Result<(Self, Said<'_>), OpenError> {
        let wrong = |what: &str| OpenError::Address(what.to_owned());
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("it has no scheme"))?;
        if !matches!(scheme, "redis" | "rediss") {
            return Err(wrong("its scheme is neither redis nor rediss"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let pairs = pairs.collect();
        let (before, hosts) = match rest.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), rest),
        };
        let (hosts, db) = hosts.split_once('/').unwrap_or((hosts, ""));
        let mut infos = Vec::new();
        for host in hosts.split(',') {
            let one = format!("{scheme}://{before}{host}/{db}");
            // What it says of it may have the password.
            let info = one.as_str().into_connection_info();
            infos.push(info.map_err(|_| wrong("its host, port or database cannot be read"))?);
        }
        let nodes = infos.iter().filter_map(|info| match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Node {
                    host: host.clone(),
                    port: *port,
                })
            }
            _ => None,
        });
        let nodes: Vec<Node> = nodes.collect();
        let info = infos.into_iter().next();
        match info {
            Some(info) if !nodes.is_empty() => Ok((
                Address {
                    info,
                    nodes,
                    root: None,
                },
                pairs,
            )),
            _ => Err(wrong("it names no host")),
        }
    }

    /// A client of one node.
    pub(super) fn client(&self, node: &Node) -> redis::RedisResult<Client> {
        let info = self.info.clone();
        let (host, port) = (node.host.clone(), node.port);
        let addr = match info.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        let certificate = b"-----BEGIN CERTIFICATE-----";
        let is_one = |pem: &[u8]| {
            pem.windows(certificate.len())
                .any(|line| line == certificate)
        };
        if self.root.as_deref().is_some_and(|pem| !is_one(pem)) {
            let what = "the root certificate is none in PEM";
            return Err((redis::ErrorKind::InvalidClientConfig, what).into());
        }
        match info.addr() {
            ConnectionAddr::TcpTls { .. } => Client::build_with_tls(
                info.set_addr(addr),
                redis::TlsCertificates {
                    client_tls: None::<ClientTlsConfig>,
                    root_cert: self.root.as_deref().map(<[u8]>::to_vec),
                },
            ),
            _ => Client::open(info.set_addr(addr)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, node) in self.nodes.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            node.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_what_stands_behind_them_are_read_and_no_password_is_shown() {
        let (address, said) =
            Address::read("redis://me:marked@a:1,b:2,c/3?namespace=x&lease=1s").unwrap();
        assert_eq!(said, [("namespace", "x"), ("lease", "1s")]);
        assert_eq!(address.to_string(), "a:1,b:2,c:6379");
        assert!(!format!("{address:?}").contains("marked"));
        assert_eq!(Address::read("rediss://h").unwrap().1, []);
    }

    #[test]
    fn what_makes_no_sense_is_said_without_the_password() {
        for url in ["marked", "http://me:marked@a", "redis://me:marked@a:b"] {
            let error = Address::read(url).map(|_| ()).unwrap_err().to_string();
            assert!(!error.contains("marked"), "{error}");
            assert!(error.contains("redis://["), "{error}");
        }
    }
}
