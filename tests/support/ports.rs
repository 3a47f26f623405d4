//! A port at which nobody listens, nor can come to listen: it is taken.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// Who connects there is refused, as long as the socket is kept and does not listen.
pub(crate) fn taken() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}
