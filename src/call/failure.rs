//! What the error of an inner service says of whether the attempt left.

use std::{any::Any, error::Error, io};

/// What is known of an attempt that ended with an error of the inner service, without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// It did not leave, because no connection was made. Repeating it is safe.
    BeforeDispatch,
    /// It may have arrived and may have been billed: it timed out, or its connection broke.
    Uncertain,
    /// Repeating it changes nothing: its URL is not valid, or the request cannot be built.
    Permanent,
}

/// An error of the gateway's client, with whom it asked.
#[cfg(feature = "gateway")]
#[derive(Debug, thiserror::Error)]
#[error("{host}")]
pub(crate) struct ClientError {
    /// `https://api.openai.com`
    pub(crate) host: String,
    pub(crate) source: hyper_util::client::legacy::Error,
}

/// Whether the client itself says that the attempt did not leave: it made no connection, or no request of it. Not by what other
/// errors are like, which may be of anything that is done with an answer, nor by what they were caused by. In a box it is
/// the client's own still: services that may fail otherwise too put it into one. So it is beside the name of whom the client
/// asked.
pub(super) fn says_unsent(error: &(dyn Any + 'static)) -> bool {
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return is_unsent(&**boxed);
    }
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send>>() {
        return is_unsent(&**boxed);
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return is_unsent(error);
    }
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return is_unsent(error);
    }
    false
}

fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return error.is_builder() || error.is_connect();
    }
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect();
    }
    #[cfg(feature = "gateway")]
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return error.source.is_connect();
    }
    let _ = error;
    false
}

/// What kind of failure an error is whose type is known.
pub(crate) fn by_type(error: &(dyn Any + 'static)) -> Option<Failure> {
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return of_reqwest(error);
    }
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return Some(of_client(error));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return of_chain(error);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return of_chain(&**error);
    }
    let error = error.downcast_ref::<Box<dyn Error + Send>>()?;
    of_chain(&**error)
}

/// By the first error of the chain of causes that says anything.
fn of_chain(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        #[cfg(feature = "reqwest")]
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return of_reqwest(error);
        }
        #[cfg(feature = "hyper-util")]
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return Some(of_client(error));
        }
        if let Some(known) = error.downcast_ref::<io::Error>().and_then(of_io) {
            return Some(known);
        }
        cause = error.source();
    }
    None
}

#[cfg(feature = "reqwest")]
fn of_reqwest(error: &reqwest::Error) -> Option<Failure> {
    match error.is_builder() {
        true => Some(Failure::Permanent),
        false => of_asked(error.is_connect(), error),
    }
}

#[cfg(feature = "hyper-util")]
fn of_client(error: &hyper_util::client::legacy::Error) -> Failure {
    of_asked(error.is_connect(), error).unwrap_or(Failure::Uncertain)
}

/// Of a client that says whether it had no connection. Where it had one, what it failed with does not tell that nothing
/// was written to it.
#[cfg(any(feature = "reqwest", feature = "hyper-util"))]
fn of_asked(is_connect: bool, error: &(dyn Error + 'static)) -> Option<Failure> {
    if is_connect {
        return Some(Failure::BeforeDispatch);
    }
    let known = error.source().and_then(of_chain);
    known.filter(|known| *known == Failure::Permanent)
}

fn of_io(error: &io::Error) -> Option<Failure> {
    use io::ErrorKind::{ConnectionRefused, InvalidInput};
    match error.kind() {
        // Others that say that a host is not reached are said of connections as well that have been used: Linux reports
        // them of a socket whose data it could not deliver.
        ConnectionRefused => Some(Failure::BeforeDispatch),
        InvalidInput => Some(Failure::Permanent),
        _ => None,
    }
}

#[cfg(test)]
#[cfg(any(feature = "reqwest", feature = "hyper-util"))]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Wraps(io::Error);

    impl fmt::Display for Wraps {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("it failed")
        }
    }

    impl Error for Wraps {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn what_a_client_with_a_connection_fails_with_does_not_tell_that_nothing_was_sent() {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, InvalidInput, NetworkDown};
        for kind in [ConnectionRefused, HostUnreachable, NetworkDown] {
            let error = Wraps(io::Error::from(kind));
            let no_connection = Some(Failure::BeforeDispatch);
            assert_eq!(of_asked(true, &error), no_connection, "{kind}");
            assert_eq!(of_asked(false, &error), None, "{kind}");
        }
        let invalid = Wraps(io::Error::from(InvalidInput));
        assert_eq!(of_asked(false, &invalid), Some(Failure::Permanent));
    }

    /// Whoever is inside may have had the answer, and failed at something else.
    #[test]
    fn no_error_but_a_clients_own_says_that_nothing_was_sent() {
        use io::ErrorKind::{ConnectionRefused, InvalidInput};
        for kind in [ConnectionRefused, InvalidInput] {
            let error = io::Error::from(kind);
            assert!(by_type(&error).is_some(), "{kind}");
            assert!(!says_unsent(&error), "{kind}");
        }
    }
}
