//! The protocol of Redis, as far as tests speak it themselves: what they look at is not read by what they test.

use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than an answer takes, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long it is listened where nothing is to be heard.
const SILENCE: Duration = Duration::from_millis(100);

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A status, or a string.
    Text(String),
    Number(i64),
    Nil,
    List(Vec<Reply>),
    Error(String),
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Reply::Text("OK".to_owned())
    }

    /// The text, or the number as text. Panics at anything else.
    pub(crate) fn text(&self) -> String {
        match self {
            Reply::Text(text) => text.clone(),
            Reply::Number(number) => number.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Text(text) | Reply::Error(text) => f.write_str(text),
            other => write!(f, "{other:?}"),
        }
    }
}

/// A connection that commands are written to, and replies read from, one after the other.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// A command, and what is said to it.
    pub(crate) fn ask(&mut self, command: &[&str]) -> io::Result<Reply> {
        self.send(command)?;
        self.reply()
    }

    pub(crate) fn send(&mut self, command: &[&str]) -> io::Result<()> {
        let mut bytes = format!("*{}\r\n", command.len());
        for word in command {
            bytes += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.get_mut().write_all(bytes.as_bytes())
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("a reply? {line:?}"));
        let rest = line.strip_suffix("\r\n").ok_or_else(wrong)?;
        let (kind, rest) = rest.split_at_checked(1).ok_or_else(wrong)?;
        let number = || rest.parse::<i64>().map_err(|_| wrong());
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number()?),
            "$" | "*" if number()? < 0 => Reply::Nil,
            "$" => {
                let length = usize::try_from(number()?).map_err(|_| wrong())?;
                let mut bytes = vec![0; length + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" => Reply::List(
                (0..number()?)
                    .map(|_| self.reply())
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err(wrong()),
        })
    }

    /// Whether nothing is said for a tenth of a second, and the connection stands.
    pub(crate) fn is_silent(&mut self) -> bool {
        let stream = self.0.get_ref();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let heard = self.0.fill_buf().map(<[u8]>::len);
        let stream = self.0.get_ref();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        heard.is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            )
        })
    }

    /// So many bytes of what comes next, as they are.
    pub(crate) fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
