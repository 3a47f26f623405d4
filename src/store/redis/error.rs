//! Why a server cannot be counted on.

/// Why a store was not opened. The contents of the server are unchanged. No message contains a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address makes no sense.
    #[error("{0}: an address is redis://[user:password@]host[:port][/db], or rediss:// for TLS")]
    Address(String),
    /// The server cannot be reached, or refuses.
    #[error("{server}: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// What it said, or what happened.
        reason: String,
    },
    /// A newer version counts there, in a form that this one cannot maintain.
    #[error(
        "what is counted on {server} is of form {wanted}; this version knows {known}: use the newer version, or another namespace"
    )]
    Newer {
        /// The server.
        server: String,
        /// The lowest form that a version has to know.
        wanted: u32,
        /// The form that this version knows.
        known: u32,
    },
    /// Processes of an older version, which could not follow this one, count there.
    #[error(
        "processes of an older version count on {server}, which know form {found}, and this one wants {wanted}: stop those first, or use another namespace"
    )]
    Older {
        /// The server.
        server: String,
        /// The form that they know.
        found: u32,
        /// The form that this version writes.
        wanted: u32,
    },
    /// The image of what is counted there is gone, and the rest is not: the server has thrown it away.
    #[error(
        "the image of what is counted on {server} is gone, as where a server throws keys away (`maxmemory-policy`); a process that counts there writes it again when it asks next: try again then; if none is left, use another namespace, or delete the keys of this one, which forgets what was counted"
    )]
    ImageGone {
        /// The server.
        server: String,
    },
    /// What is stored there is inconsistent.
    #[error(
        "what is counted on {server} cannot be read: {reason}; use another namespace, or delete the keys of this one, which forgets what was counted"
    )]
    Damaged {
        /// The server.
        server: String,
        /// What is wrong.
        reason: String,
    },
}
