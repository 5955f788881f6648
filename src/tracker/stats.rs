//! How connections end: one outcome for each, and how many of each there were.

use std::fmt;

use crate::state::PeerClose;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $Outcome:ident => $field:ident,)*) => {
        /// How one connection ended.
        ///
        /// Each has a field in [`CloseStats`], whose name is [`as_str`](Self::as_str).
        ///
        /// ```
        /// use tokio_tls_shutdown::CloseOutcome;
        ///
        /// /// Whether what the peer sent last may be missing.
        /// fn may_be_truncated(outcome: CloseOutcome) -> bool {
        ///     !matches!(outcome, CloseOutcome::Clean | CloseOutcome::OneWay)
        /// }
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CloseOutcome {
            $($(#[$doc])* $Outcome,)*
        }

        impl CloseOutcome {
            #[cfg(all(test, not(shuttle)))]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$Outcome),*];

            /// Returns the name of the outcome, as it appears in tracing events and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Outcome => stringify!($field),)*
                }
            }
        }

        /// How many connections ended, by outcome.
        ///
        /// A handshake that fails counts as a connection. All fields but
        /// [`bytes_discarded`](Self::bytes_discarded) are numbers of connections.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct CloseStats {
            $($(#[$doc])* pub $field: u64,)*
            /// How many bytes of application data were discarded while closing. Not a number of
            /// connections.
            pub bytes_discarded: u64,
        }

        impl CloseStats {
            /// Returns how many connections ended, whatever the outcome.
            #[must_use]
            pub const fn total(&self) -> u64 {
                0 $(+ self.$field)*
            }

            pub(super) fn count(&mut self, outcome: CloseOutcome, discarded: u64) {
                self.bytes_discarded = self.bytes_discarded.saturating_add(discarded);
                match outcome {
                    $(CloseOutcome::$Outcome => self.$field += 1,)*
                }
            }

            pub(super) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
                self.bytes_discarded = self.bytes_discarded.saturating_add(other.bytes_discarded);
            }

            /// Returns what was counted after `before` was taken.
            pub(super) fn since(self, before: Self) -> Self {
                Self {
                    $($field: self.$field - before.$field,)*
                    bytes_discarded: self.bytes_discarded - before.bytes_discarded,
                }
            }
        }

        impl fmt::Display for CloseStats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} closed", self.total())?;
                for (outcome, count) in [$((CloseOutcome::$Outcome, self.$field),)*] {
                    if count > 0 {
                        write!(f, ", {count} {outcome}")?;
                    }
                }
                write!(f, "; {} bytes discarded", self.bytes_discarded)
            }
        }
    };
}

outcomes! {
    /// The peer sent `close_notify`, and we did, unless the peer had left before ours could be delivered.
    Clean => clean,
    /// We sent `close_notify`, or chose quiet shutdown, and did not wait for the peer's.
    OneWay => one_way,
    /// The peer closed the transport (TCP FIN) without sending `close_notify`.
    Eof => eof,
    /// The peer reset the transport (TCP RST), or it was gone, before our `close_notify` was sent.
    ///
    /// The connection was cut off in the middle: what we sent last may not have arrived, and what
    /// the peer sent last may be missing. A handshake that was reset counts here too.
    Reset => reset,
    /// The peer reset the transport (TCP RST) after our `close_notify` had been sent, without
    /// sending one of its own.
    ///
    /// Common, and usually harmless: a peer that has what it wanted closes its socket without
    /// reading our alert, and its kernel answers the alert with RST. curl does so over HTTP/2.
    /// Everything we sent was handed to the transport before; whether the peer has read it, TLS
    /// cannot tell.
    ResetAfterCloseNotify => reset_after_close_notify,
    /// The peer sent no `close_notify` before the deadline, or did not finish its handshake.
    TimedOut => timed_out,
    /// The peer sent more application data than the discard limit allows.
    DiscardLimit => discard_limit,
    /// The TLS session failed (a bad record, a fatal alert, a failed handshake), or our
    /// `close_notify` could not be sent.
    Failed => failed,
    /// Dropped without a close: the peer can tell that what was sent last may be cut off.
    Dropped => dropped,
    /// Aborted at the deadline of a [drain](crate::CloseTracker::drain).
    Aborted => aborted,
}

impl CloseOutcome {
    /// Returns how a close ended that has not failed: as the peer ended it, or without waiting for
    /// the peer. `after_close_notify`: the peer did so after our `close_notify` had been sent.
    pub(crate) const fn of_peer(peer: Option<PeerClose>, after_close_notify: bool) -> Self {
        match peer {
            Some(PeerClose::CloseNotify) => Self::Clean,
            Some(PeerClose::Eof) => Self::Eof,
            Some(PeerClose::Reset) if after_close_notify => Self::ResetAfterCloseNotify,
            Some(PeerClose::Reset) => Self::Reset,
            Some(PeerClose::TimedOut) => Self::TimedOut,
            Some(PeerClose::DiscardLimit) => Self::DiscardLimit,
            Some(PeerClose::Assumed) | None => Self::OneWay,
        }
    }
}

impl fmt::Display for CloseOutcome {
    /// As [`as_str`](Self::as_str), in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneWay => f.write_str("one way"),
            Self::ResetAfterCloseNotify => f.write_str("reset after close_notify"),
            Self::TimedOut => f.write_str("timed out"),
            Self::DiscardLimit => f.write_str("discard limit"),
            one_word => f.write_str(one_word.as_str()),
        }
    }
}
