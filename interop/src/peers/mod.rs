//! The peers, one file each.

mod boring;
mod curl;
mod gnutls;
mod go;
mod haproxy;
mod java;
mod nginx;
mod node;
mod nss;
mod openssl;
mod python;
mod s2n;
mod stunnel;
mod wget;

use crate::peer::Peer;

pub(crate) static PEERS: &[Peer] = &[
    openssl::LIBRARY,
    openssl::PROGRAM,
    boring::PEER,
    s2n::PEER,
    gnutls::CLIENT,
    gnutls::SERVER,
    nss::CLIENT,
    nss::SERVER,
    go::PEER,
    java::PEER,
    python::CLOSE,
    python::UNWRAP,
    python::ASYNCIO,
    node::PEER,
    curl::PEER,
    wget::PEER,
    nginx::STREAM,
    nginx::WEB,
    haproxy::PEER,
    stunnel::PEER,
];
