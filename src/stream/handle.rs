//! The operating system's handle of the transport, wherever the transport has one.

use super::{GracefulStream, close_on_drop::CloseOnDrop, record_aligned::RecordAligned};
use crate::{backend::OverTransport, shutdown_ext::ShutdownExt};

macro_rules! forward {
    ($os:ident: $($Handle:ident :: $handle:ident -> $Out:ty),*) => {$(
        impl<S: OverTransport> $os::$Handle for GracefulStream<S>
        where
            S::Transport: $os::$Handle,
        {
            fn $handle(&self) -> $Out {
                self.get_ref().transport().$handle()
            }
        }

        impl<S: ShutdownExt + OverTransport> $os::$Handle for CloseOnDrop<S>
        where
            S::Transport: $os::$Handle,
        {
            fn $handle(&self) -> $Out {
                self.get_ref().transport().$handle()
            }
        }

        impl<IO: $os::$Handle> $os::$Handle for RecordAligned<IO> {
            fn $handle(&self) -> $Out {
                self.get_ref().$handle()
            }
        }
    )*};
}

#[cfg(unix)]
use std::os::fd;

#[cfg(unix)]
forward!(fd: AsFd::as_fd -> fd::BorrowedFd<'_>, AsRawFd::as_raw_fd -> fd::RawFd);

#[cfg(windows)]
use std::os::windows::io as socket;

#[cfg(windows)]
forward!(
    socket: AsSocket::as_socket -> socket::BorrowedSocket<'_>,
    AsRawSocket::as_raw_socket -> socket::RawSocket
);
