//! What kind of failure an error of the inner service is.

use std::{any::Any, error::Error, fmt, io, sync::Arc};

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

type Classify = dyn Fn(&(dyn Any + 'static)) -> Option<Failure> + Send + Sync;

/// Tells what kind of failure an error is: as the caller says, or by the types that are known.
#[derive(Clone, Default)]
pub(crate) struct Classifier(Option<Arc<Classify>>);

impl Classifier {
    pub(crate) fn new(
        classify: impl Fn(&(dyn Any + 'static)) -> Option<Failure> + Send + Sync + 'static,
    ) -> Self {
        Classifier(Some(Arc::new(classify)))
    }

    /// What kind of failure `error` is, of an attempt that as far as can be seen `has_left`.
    pub(crate) fn classify(&self, error: &(dyn Any + 'static), has_left: bool) -> Failure {
        let told = self.0.as_ref().and_then(|classify| classify(error));
        if let Some(told) = told {
            return told;
        }
        match by_type(error) {
            Some(Failure::Permanent) => Failure::Permanent,
            // Its body was never taken to be written.
            _ if !has_left => Failure::BeforeDispatch,
            known => known.unwrap_or(Failure::Uncertain),
        }
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.0.as_ref().map(|_| "by the caller");
        f.debug_tuple("Classifier").field(&own).finish()
    }
}

fn by_type(error: &(dyn Any + 'static)) -> Option<Failure> {
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return of_reqwest(error);
    }
    #[cfg(feature = "gateway")]
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
        #[cfg(feature = "gateway")]
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

#[cfg(feature = "gateway")]
fn of_client(error: &hyper_util::client::legacy::Error) -> Failure {
    of_asked(error.is_connect(), error).unwrap_or(Failure::Uncertain)
}

/// Of a client that says whether it had no connection. Where it had one, what it failed with does not tell that nothing
/// was written to it.
#[cfg(any(feature = "reqwest", feature = "gateway"))]
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
mod tests {
    use super::*;

    fn of(error: &(dyn Any + 'static), has_left: bool) -> Failure {
        Classifier::default().classify(error, has_left)
    }

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

    fn io(kind: io::ErrorKind) -> io::Error {
        io::Error::from(kind)
    }

    #[test]
    fn no_connection_is_safe_to_repeat_and_a_broken_one_is_not() {
        use io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, InvalidInput,
            NetworkDown, NetworkUnreachable, TimedOut,
        };
        for (kind, expected) in [
            (ConnectionRefused, Failure::BeforeDispatch),
            (ConnectionReset, Failure::Uncertain),
            (TimedOut, Failure::Uncertain),
            // Also said of a connection to which all of it was written.
            (HostUnreachable, Failure::Uncertain),
            (NetworkUnreachable, Failure::Uncertain),
            (NetworkDown, Failure::Uncertain),
            (AddrNotAvailable, Failure::Uncertain),
            (InvalidInput, Failure::Permanent),
        ] {
            assert_eq!(of(&io(kind), true), expected, "{kind}");
            let boxed: Box<dyn Error + Send + Sync> = Box::new(io(kind));
            assert_eq!(of(&boxed, true), expected, "{kind}, in a box");
            let deep: Box<dyn Error + Send + Sync> = Box::new(Wraps(io(kind)));
            assert_eq!(of(&deep, true), expected, "{kind}, as a cause");
        }
    }

    #[test]
    fn what_nobody_knows_may_have_been_billed_unless_it_did_not_leave() {
        assert_eq!(of(&"some error", true), Failure::Uncertain);
        assert_eq!(of(&"some error", false), Failure::BeforeDispatch);
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::HostUnreachable,
        ] {
            assert_eq!(of(&io(kind), false), Failure::BeforeDispatch, "{kind}");
        }
    }

    #[cfg(any(feature = "reqwest", feature = "gateway"))]
    #[test]
    fn what_a_client_with_a_connection_fails_with_does_not_tell_that_nothing_was_sent() {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, InvalidInput, NetworkDown};
        for kind in [ConnectionRefused, HostUnreachable, NetworkDown] {
            let error = Wraps(io(kind));
            let no_connection = Some(Failure::BeforeDispatch);
            assert_eq!(of_asked(true, &error), no_connection, "{kind}");
            assert_eq!(of_asked(false, &error), None, "{kind}");
        }
        let invalid = Wraps(io(InvalidInput));
        assert_eq!(of_asked(false, &invalid), Some(Failure::Permanent));
    }

    #[test]
    fn the_caller_is_asked_first() {
        let says =
            Classifier::new(|error| error.downcast_ref::<&str>().map(|_| Failure::Permanent));
        assert_eq!(says.classify(&"some error", false), Failure::Permanent);
        let refused = io(io::ErrorKind::ConnectionRefused);
        assert_eq!(says.classify(&refused, true), Failure::BeforeDispatch);
    }
}
