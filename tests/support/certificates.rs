//! Certificates for tests, made by `openssl`.

use std::{fs, process::Command};

/// An authority of one's own, and a server's certificate by it: `ca.pem`, `server.pem`, `server.key`, for
/// 127.0.0.1 and localhost.
pub(crate) fn make(file: impl Fn(&str) -> String) {
    let openssl = |args: &[&str]| {
        let done = Command::new("openssl").args(args).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let new = [
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
    let own = [
        "-x509", "-days", "2", "-subj", "/CN=own", "-keyout", &ca_key, "-out", &ca,
    ];
    openssl(&[&new[..], &own].concat());
    let (key, request, names) = (file("server.key"), file("server.csr"), file("names"));
    let asked = ["-subj", "/CN=server", "-keyout", &key, "-out", &request];
    openssl(&[&new[..], &asked].concat());
    fs::write(
        &names,
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-extfile",
        &names,
        "-out",
        &file("server.pem"),
    ]);
}
