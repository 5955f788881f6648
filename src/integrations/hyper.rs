//! hyper and hyper-util.
//!
//! # Servers
//!
//! A [`TokioIo`] of a [`GracefulStream`] is all that hyper needs. It must linger: hyper drops it
//! right after `shutdown()`.
//!
//! ```
//! use hyper::{Request, Response, body::Incoming, service::service_fn};
//! use hyper_util::{
//!     rt::{TokioExecutor, TokioIo}, server::{conn::auto, graceful::GracefulShutdown},
//! };
//! use tokio::net::TcpStream;
//! use tokio_tls_shutdown::{ClosePolicy, GracefulAcceptor};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, std::convert::Infallible> {
//!     Ok(Response::new("hello and goodbye".to_owned()))
//! }
//!
//! /// `acceptor.with_policy(ClosePolicy::linger())` was said where it was made.
//! fn serve(tcp: TcpStream, acceptor: &GracefulAcceptor, graceful: &GracefulShutdown) {
//!     let (accept, watcher) = (acceptor.accept(tcp), graceful.watcher());
//!     tokio::spawn(async move {
//!         let io = TokioIo::new(accept.await?);
//!         let http = auto::Builder::new(TokioExecutor::new());
//!         let connection = http.serve_connection_with_upgrades(io, service_fn(hello));
//!         watcher.watch(connection.into_owned()).await
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
//! the clients that tonic generates.
#![cfg_attr(docsrs, doc(cfg(feature = "hyper")))]

mod client;
mod upgrade;

pub use client::HttpsConnector;
pub use upgrade::downcast;

#[cfg(doc)]
use crate::stream::GracefulStream;
#[cfg(doc)]
use hyper_util::rt::TokioIo;
