//! One application on each layer.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, serve::ListenerExt};
use axum_server::{Handle, accept::NoDelayAcceptor};
use futures_util::StreamExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tls_listener::TlsListener;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, rustls::ServerConfig};
use tokio_tls_shutdown::{
    CloseTracker, DrainReport, GracefulAcceptor,
    integrations::{
        axum_server::Acceptor,
        hyper::{FirstRequest, io as hyper_io, serve_until},
    },
    tokio_rustls,
};
use tonic::{service::Routes, transport};

use crate::support::{Case, Role, Version, in_time, pair};

pub(crate) const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// hyper with tokio-rustls alone.
    Plain,
    Hyper,
    /// `axum::serve` on tls-listener.
    TlsListener,
    AxumServer,
    /// tonic on tls-listener. HTTP/2 only.
    Tonic,
}

/// Those that serve HTTP/1.1 and HTTP/2 with this crate.
pub(crate) const LAYERS: [Layer; 3] = [Layer::Hyper, Layer::TlsListener, Layer::AxumServer];

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) tracker: CloseTracker,
    version: Version,
    stop: Arc<Notify>,
    served: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(layer: Layer, version: Version, app: Router) -> Self {
        Self::start_with(layer, version, |_| app).await
    }

    /// The application is made with what stops the server.
    pub(crate) async fn start_with(
        layer: Layer,
        version: Version,
        app: impl FnOnce(Arc<Notify>) -> Router,
    ) -> Self {
        let mut config = Case::new(version, Role::Server).server_config();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let tracker = CloseTracker::new();
        let stop = Arc::new(Notify::new());
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: tcp.local_addr().unwrap(),
            version,
            served: serve(
                layer,
                tcp,
                config,
                &tracker,
                app(stop.clone()),
                stop.clone(),
            ),
            tracker,
            stop,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Stops it, waits for its connections, and for the server itself.
    pub(crate) async fn drain(self, deadline: Duration) -> DrainReport {
        let drain = self.tracker.begin_drain();
        self.stop();
        let report = drain.finish(deadline).await;
        in_time("the server", self.served).await.unwrap().unwrap();
        report
    }

    /// Connects a client that speaks `alpn`.
    pub(crate) async fn connect(&self, alpn: &str) -> TlsStream<TcpStream> {
        let mut config = Case::new(self.version, Role::Client).client_config();
        config.alpn_protocols = vec![alpn.into()];
        let connector = TlsConnector::from(Arc::new(config));
        let tls = connector.connect(pair::name(), self.tcp().await);
        in_time("the handshake", tls).await.unwrap()
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }
}

fn serve(
    layer: Layer,
    tcp: TcpListener,
    config: Arc<ServerConfig>,
    tracker: &CloseTracker,
    app: Router,
    stop: Arc<Notify>,
) -> JoinHandle<io::Result<()>> {
    let acceptor = GracefulAcceptor::new(config.clone()).with_tracker(tracker);
    match layer {
        Layer::Plain => {
            let acceptor = TlsAcceptor::from(config);
            tokio::spawn(plain(tcp, acceptor, app, stop))
        }
        Layer::Hyper => tokio::spawn(hyper(tcp, acceptor, app, stop)),
        Layer::TlsListener => {
            let listener = TlsListener::new(acceptor, tcp)
                .tap_io(|tls| tls.get_ref().get_ref().0.set_nodelay(true).unwrap());
            let stop = async move { stop.notified().await };
            let serve = axum::serve(listener, app).with_graceful_shutdown(stop);
            tokio::spawn(serve.into_future())
        }
        Layer::AxumServer => {
            let handle = Handle::new();
            let server = axum_server::from_tcp(tcp.into_std().unwrap())
                .unwrap()
                .acceptor(Acceptor::new(acceptor).acceptor(NoDelayAcceptor::new()))
                .handle(handle.clone());
            tokio::spawn(async move {
                stop.notified().await;
                handle.graceful_shutdown(None);
            });
            tokio::spawn(server.serve(app.into_make_service()))
        }
        Layer::Tonic => {
            let incoming = TlsListener::new(acceptor, tcp).connections();
            let incoming = incoming.inspect(|accepted| {
                if let Ok(tls) = accepted {
                    tls.get_ref().get_ref().0.set_nodelay(true).unwrap();
                }
            });
            let serve = transport::Server::builder()
                .add_routes(Routes::from(app))
                .serve_with_incoming_shutdown(incoming, async move { stop.notified().await });
            tokio::spawn(async { serve.await.map_err(io::Error::other) })
        }
    }
}

/// Without this crate.
async fn plain(
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    app: Router,
    stop: Arc<Notify>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    loop {
        let (io, _) = tokio::select! {
            accepted = tcp.accept() => accepted?,
            () = stop.notified() => break,
        };
        io.set_nodelay(true)?;
        let (accept, watcher) = (acceptor.accept(io), graceful.watcher());
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let io = TokioIo::new(accept.await?);
            let http = auto::Builder::new(TokioExecutor::new());
            let connection = http.serve_connection_with_upgrades(io, service);
            watcher.watch(connection.into_owned()).await
        });
    }
    drop(tcp);
    graceful.shutdown().await;
    Ok(())
}

/// How long a connection that was just made may take to send its first request once the server
/// stops. Long, because the machine may be busy; no client waits for it.
const GRACE: Duration = Duration::from_secs(20);

async fn hyper(
    tcp: TcpListener,
    acceptor: GracefulAcceptor,
    app: Router,
    stop: Arc<Notify>,
) -> io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = tokio::select! {
            accepted = tcp.accept() => accepted?,
            () = stop.notified() => break,
        };
        tcp.set_nodelay(true)?;
        let accept = acceptor.accept(tcp);
        let service = FirstRequest::new(TowerToHyperService::new(app.clone()));
        let mut stopped = stopped.clone();
        connections.spawn(async move {
            let tls = accept.await?;
            let arrived = service.arrived();
            let http = auto::Builder::new(TokioExecutor::new());
            let connection = http.serve_connection_with_upgrades(hyper_io(tls), service);
            let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
            serve_until(connection, arrived, stop, GRACE).await
        });
        while connections.try_join_next().is_some() {}
    }
    drop(tcp);
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}
