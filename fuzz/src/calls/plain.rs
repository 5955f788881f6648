//! The calls, of tokio-rustls alone.

use std::pin::Pin;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;

use super::{Call, Target, poll};
use crate::support::Scripted;

pub(super) struct Plain(pub(super) TlsStream<Scripted>);

impl Target for Plain {
    fn call(&mut self, call: Call) {
        let Self(stream) = self;
        match call {
            Call::CloseNotify
            | Call::CloseNotifyAtOnce
            | Call::PollCloseNotify
            | Call::Shutdown
            | Call::Abort
            | Call::CloseOnDrop => poll(stream.shutdown()),
            Call::CloseNotifyWith(data) => poll(async {
                stream.write_all(&vec![b'l'; data]).await?;
                stream.shutdown().await
            }),
            Call::Bidirectional { .. } | Call::PollBidirectional => poll(async {
                stream.shutdown().await?;
                stream.read_to_end(&mut Vec::new()).await
            }),
            Call::PeerClosed | Call::PollPeerClosed => poll(stream.fill_buf()),
            Call::Read(bytes) => poll(stream.read(&mut vec![0; bytes])),
            Call::ReadExact(bytes) => poll(stream.read_exact(&mut vec![0; bytes])),
            Call::ReadToEnd => poll(stream.read_to_end(&mut Vec::new())),
            Call::FillBuf(part) => poll(async {
                let there = stream.fill_buf().await?.len();
                Pin::new(stream).consume(there * usize::from(part) / 255);
                std::io::Result::Ok(())
            }),
            Call::Write(data) => poll(stream.write_all(&vec![b'w'; data])),
            Call::Flush => poll(stream.flush()),
            Call::ReceivedCloseNotify
            | Call::State
            | Call::SetState(_)
            | Call::SetPolicy(_)
            | Call::SetQuiet(_)
            | Call::Track
            | Call::Rewrap => {}
        }
    }
}
