//! Our part of each scenario where the peer speaks nothing but HTTP.

use std::{os::fd::AsFd, time::Duration};

use anyhow::bail;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tls_shutdown::{ClosePolicy, GracefulStream, PlainStream};

use crate::{
    ours::{both_ways, check, close_both, read_first, read_to_end},
    scenario::{ANSWER, End, FLIGHT, Ours, Scenario, payload},
};

/// What a web server serves under `/file`.
pub(crate) fn file() -> Vec<u8> {
    payload(ANSWER)
}

const REQUEST: &[u8] = b"GET /file HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// The end of the response is the end of the connection.
const HEAD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// Asks a web server.
pub(crate) async fn ask<S>(scenario: Scenario, tls: &mut GracefulStream<S>) -> anyhow::Result<Ours>
where
    S: PlainStream + AsyncRead + AsyncWrite + Unpin,
{
    let (got, end) = match scenario {
        Scenario::Answer | Scenario::Resume => close_both(tls).await?,
        Scenario::Close => {
            tls.write_all(REQUEST).await?;
            read_first(tls).await?
        }
        Scenario::Half => {
            tls.close_notify_with(REQUEST).await?;
            read_to_end(tls).await?
        }
        _ => bail!("{scenario:?} cannot be asked of a web server"),
    };
    check(tls, end)?;
    Ok(Ours { got, end })
}

/// Answers a web client.
pub(crate) async fn serve<S>(
    scenario: Scenario,
    tls: &mut GracefulStream<S>,
) -> anyhow::Result<Ours>
where
    S: PlainStream + AsyncRead + AsyncWrite + Unpin,
    GracefulStream<S>: AsFd,
{
    let mut request = vec![0; 65_536];
    let mut have = 0;
    let head = loop {
        match tls.read(&mut request[have..]).await? {
            0 => bail!("no request"),
            n => have += n,
        }
        let seen = &request[..have];
        if let Some(head) = seen.windows(4).position(|part| part == b"\r\n\r\n") {
            break head + 4;
        }
    };
    let mut got = have - head;
    let mut response = HEAD.as_bytes().to_vec();
    let end = match scenario {
        Scenario::Answer | Scenario::Resume => {
            tls.write_all(&response).await?;
            close_both(tls).await?.1
        }
        Scenario::Close => {
            let kept = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            tls.write_all(kept.as_bytes()).await?;
            read_first(tls).await?.1
        }
        Scenario::Flight => {
            response.extend(payload(FLIGHT));
            let (more, end) = both_ways(tls, &response).await?;
            got += more;
            end
        }
        Scenario::OurFin => {
            tls.set_policy(ClosePolicy::Quiet);
            tls.write_all(&response).await?;
            tls.shutdown().await?;
            read_to_end(tls).await?.1
        }
        Scenario::OurRst => {
            tls.write_all(&response).await?;
            tls.flush().await?;
            SockRef::from(&*tls).set_linger(Some(Duration::ZERO))?;
            End::Nothing
        }
        _ => bail!("{scenario:?} cannot be served to a web client"),
    };
    check(tls, end)?;
    Ok(Ours { got, end })
}
