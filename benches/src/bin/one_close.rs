//! Closes one connection, for valgrind and strace to count what that takes.

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use clap::{Parser, ValueEnum};
use tokio::{io::DuplexStream, net::TcpStream};
#[cfg(feature = "others")]
use tokio_tls_shutdown_benches::contender::{
    GracefulOpenSsl, GracefulS2n, OpenSsl, RustlsNext, RustlsTokioStream, S2n,
};
use tokio_tls_shutdown_benches::{
    contender::{Close, Contender, Graceful, Plain, Recipe, RecipeInTime, Unbounded, Way, Wrapped},
    link::{Duplex, Link, Tcp},
    markers::{BEGIN, END},
    raw::RawPair,
    tls::Version,
};

#[derive(Parser)]
struct Args {
    tool: Tool,
    contender: Name,
    #[arg(default_value = "bidirectional")]
    close: CloseName,
    #[arg(long)]
    tls12: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tool {
    /// Over a duplex, in a function that callgrind is told to count.
    Callgrind,
    /// Over loopback TCP, between two system calls that strace shows.
    Strace,
}

#[derive(Clone, Copy, ValueEnum)]
enum CloseName {
    Notify,
    Answer,
    Bidirectional,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Raw,
    Graceful,
    Unbounded,
    Wrapped,
    Tracked,
    Recipe,
    RecipeInTime,
    Plain,
    #[cfg(feature = "others")]
    Openssl,
    #[cfg(feature = "others")]
    GracefulOpenssl,
    #[cfg(feature = "others")]
    S2n,
    #[cfg(feature = "others")]
    GracefulS2n,
    #[cfg(feature = "others")]
    RustlsNext,
    #[cfg(feature = "others")]
    RustlsTokioStream,
}

/// Callgrind counts within this function.
#[inline(never)]
fn counted_by_callgrind<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// The first time some tables are filled.
const TIMES: [Time; 2] = [Time::First, Time::Counted];

#[derive(Clone, Copy)]
enum Time {
    First,
    Counted,
}

impl Time {
    fn run(self, work: impl FnOnce()) {
        match self {
            Self::First => work(),
            Self::Counted => counted_by_callgrind(work),
        }
    }
}

fn over_duplex<C: Contender<DuplexStream>>(contender: &C, close: Close) {
    let runtime = runtime();
    for time in TIMES {
        let mut pair = runtime.block_on(async {
            let mut pair = contender.pair(Duplex.pair().await).await;
            close.prepare::<_, C>(&mut pair).await;
            pair
        });
        let _context = runtime.enter();
        let mut future = pin!(close.run::<_, C>(&mut pair));
        time.run(|| {
            // Over a duplex one of both ends can always go on, so polling is enough.
            let mut cx = Context::from_waker(Waker::noop());
            while future.as_mut().poll(&mut cx).is_pending() {}
        });
    }
}

fn raw(version: Version, close: Close) {
    let client = Arc::new(version.client_config());
    let server = Arc::new(version.server_config());
    for time in TIMES {
        let mut pair = RawPair::new(&client, &server);
        pair.prepare(close);
        time.run(|| pair.close(close));
    }
}

fn over_tcp<C: Contender<TcpStream>>(contender: &C, close: Close) {
    runtime().block_on(async {
        let link = Tcp::<true>::open().await;
        let mut pair = contender.pair(link.pair().await).await;
        close.prepare::<_, C>(&mut pair).await;
        // The readiness that the handshake has left behind.
        tokio::task::yield_now().await;
        // They need not exist: only the call is looked for.
        let _ = std::fs::metadata(BEGIN);
        close.run::<_, C>(&mut pair).await;
        let _ = std::fs::metadata(END);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
}

fn main() {
    let args = Args::parse();
    let version = match args.tls12 {
        true => Version::Tls12,
        false => Version::Tls13,
    };
    let close = match args.close {
        CloseName::Notify => Close::Notify,
        CloseName::Answer => Close::Answer,
        CloseName::Bidirectional => Close::Bidirectional,
    };
    macro_rules! run {
        ($contender:expr) => {
            match args.tool {
                Tool::Callgrind => over_duplex($contender, close),
                Tool::Strace => over_tcp($contender, close),
            }
        };
    }
    match args.contender {
        Name::Raw => raw(version, close),
        Name::Graceful => run!(&Way::<Graceful>::new(version)),
        Name::Unbounded => run!(&Way::<Unbounded>::new(version)),
        Name::Wrapped => run!(&Wrapped::untracked(version)),
        Name::Tracked => run!(&Wrapped::tracked(version)),
        Name::Recipe => run!(&Way::<Recipe>::new(version)),
        Name::RecipeInTime => run!(&Way::<RecipeInTime>::new(version)),
        Name::Plain => run!(&Way::<Plain>::new(version)),
        #[cfg(feature = "others")]
        Name::Openssl => run!(&OpenSsl::default()),
        #[cfg(feature = "others")]
        Name::GracefulOpenssl => run!(&GracefulOpenSsl::default()),
        #[cfg(feature = "others")]
        Name::S2n => run!(&S2n::default()),
        #[cfg(feature = "others")]
        Name::GracefulS2n => run!(&GracefulS2n::default()),
        #[cfg(feature = "others")]
        Name::RustlsNext => run!(&RustlsNext::new(version)),
        #[cfg(feature = "others")]
        Name::RustlsTokioStream => over_tcp(&RustlsTokioStream::default(), close),
    }
}
