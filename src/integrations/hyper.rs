//! hyper and hyper-util.
//!
//! # Servers
//!
//! [`io`] creates the [`TokioIo`] that hyper wants, of a stream that lingers: hyper drops it right
//! after `shutdown()`. With an accept loop of your own, [`serve_until`] stops a connection so that
//! what its client has sent is answered. The packages `examples/hyper-server` and, over OpenSSL,
//! `examples/hyper-openssl` are whole programs.
//!
//! ```
//! use std::time::Duration;
//! use hyper::{Request, Response, body::Incoming, service::service_fn};
//! use hyper_util::{rt::TokioExecutor, server::conn::auto};
//! use tokio::{net::TcpStream, sync::watch};
//! use tokio_tls_shutdown::{GracefulAcceptor, integrations::hyper::{FirstRequest, io, serve_until}};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, std::convert::Infallible> {
//!     Ok(Response::new("hello".to_owned()))
//! }
//!
//! /// `stop` becomes `true` when the server stops.
//! fn serve(tcp: TcpStream, acceptor: &GracefulAcceptor, mut stop: watch::Receiver<bool>) {
//!     let accept = acceptor.accept(tcp);
//!     tokio::spawn(async move {
//!         let service = FirstRequest::new(service_fn(hello));
//!         let arrived = service.arrived();
//!         let http = auto::Builder::new(TokioExecutor::new());
//!         let connection = http.serve_connection_with_upgrades(io(accept.await?), service);
//!         let stop = async move { drop(stop.wait_for(|stop| *stop).await) };
//!         serve_until(connection, arrived, stop, Duration::from_secs(1)).await
//!     });
//! }
//! ```
//!
//! An upgraded connection is still counted by its tracker. If both its directions are to end on
//! their own, [`downcast`] it.
//!
//! # Clients
//!
//! [`HttpsConnector`] goes into hyper-util's `legacy::Client`, and with that into `with_origin` of
//! the clients that tonic generates. The package `examples/hyper-client` is a whole program.
#![cfg_attr(docsrs, doc(cfg(feature = "hyper")))]

#[cfg(feature = "rustls")]
mod client;
mod first_request;
mod io;
mod upgrade;

#[cfg(feature = "rustls")]
pub use client::HttpsConnector;
pub use first_request::{Arrived, FirstRequest, serve_until};
pub use io::io;
pub use upgrade::downcast;

#[cfg(doc)]
use hyper_util::rt::TokioIo;
