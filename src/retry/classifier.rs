//! What kind of failure an error of the inner service is.

use std::{any::Any, error::Error, fmt, io, sync::Arc};

use crate::call::{Failure, by_type};

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

    /// Whether the caller says nothing.
    #[cfg(feature = "gateway")]
    pub(super) fn is_default(&self) -> bool {
        self.0.is_none()
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

/// Whether this machine has no descriptors left to make a connection of: no fault of whoever is asked. That it has no port left is
/// not told from an address that it cannot reach at all (`EADDRNOTAVAIL`), such as one of IPv6 where there is none of that.
pub(crate) fn is_of_this_machine(error: &(dyn Any + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return has_nothing_left(&**error);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send>>() {
        return has_nothing_left(&**error);
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return has_nothing_left(error);
    }
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return has_nothing_left(error);
    }
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| has_nothing_left(error))
}

/// ENFILE and EMFILE, which are no kinds of the standard library.
const TOO_MANY_FILES: [i32; 2] = [23, 24];

fn has_nothing_left(error: &(dyn Error + 'static)) -> bool {
    let is_lack = |error: &io::Error| {
        let code = error.raw_os_error().filter(|_| cfg!(unix));
        code.is_some_and(|code| TOO_MANY_FILES.contains(&code))
    };
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_lack) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.0.as_ref().map(|_| "by the caller");
        f.debug_tuple("Classifier").field(&own).finish()
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

    #[cfg(unix)]
    #[test]
    fn what_this_machine_lacks_is_told_from_what_others_do() {
        let is = |error: io::Error| {
            let deep: Box<dyn Error + Send + Sync> = Box::new(Wraps(error));
            is_of_this_machine(&deep)
        };
        for code in TOO_MANY_FILES {
            assert!(is_of_this_machine(&io::Error::from_raw_os_error(code)));
            assert!(is(io::Error::from_raw_os_error(code)), "{code}");
        }
        for kind in [
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::TimedOut,
            io::ErrorKind::HostUnreachable,
        ] {
            assert!(!is_of_this_machine(&io(kind)) && !is(io(kind)), "{kind}");
        }
        assert!(!is_of_this_machine(&"some error"));
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

    #[test]
    fn the_caller_is_asked_first() {
        let says =
            Classifier::new(|error| error.downcast_ref::<&str>().map(|_| Failure::Permanent));
        assert_eq!(says.classify(&"some error", false), Failure::Permanent);
        let refused = io(io::ErrorKind::ConnectionRefused);
        assert_eq!(says.classify(&refused, true), Failure::BeforeDispatch);
    }
}
