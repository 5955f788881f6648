#![doc = include_str!("doc/guide/introduction.md")]

/// How TLS connections end, and what each ending means for the data.
pub mod endings {
    #![doc = include_str!("doc/guide/endings/introduction.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/endings/one_way.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/diagrams/one_way.svg")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/endings/bidirectional.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/diagrams/bidirectional.svg")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/endings/half_close.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/diagrams/half_close.svg")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/endings/crossing.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/diagrams/crossing.svg")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/endings/truncation.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/diagrams/truncation.svg")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/endings/reset.md")]
    #![doc = ""]
    #![doc = include_str!("doc/guide/diagrams/reset.svg")]
}

/// How to read a `CloseReport`, and which outcomes deserve attention.
pub mod close_reports {
    #![doc = include_str!("doc/guide/close_reports.md")]
}

/// Programs for common protocols, to copy from.
pub mod recipes {
    #![doc = include_str!("doc/guide/recipes/introduction.md")]

    /// An HTTP server that stops gracefully.
    pub mod http_server {
        #![doc = include_str!("doc/guide/recipes/http_server.md")]
        #![doc = ""]
        // Compiled by the package `integrations`: it needs a framework.
        #![cfg_attr(not(doctest), doc = include_str!("doc/axum_serve.md"))]
    }

    /// A client that uploads a file and learns whether all of it arrived.
    pub mod upload_client {
        #![doc = include_str!("doc/guide/recipes/upload_client.md")]
    }

    /// A pool of idle connections that notices which of them the server has closed.
    pub mod pool {
        #![doc = include_str!("doc/guide/recipes/pool.md")]
    }

    /// FTP: back to plaintext on the control connection (`CCC`).
    pub mod ftp_ccc {
        #![doc = include_str!("doc/guide/recipes/ftp_ccc.md")]
    }

    /// STARTTLS: TLS on a connection that began in plaintext.
    pub mod starttls {
        #![doc = include_str!("doc/guide/recipes/starttls.md")]
    }

    /// A proxy that terminates TLS and keeps half-close.
    pub mod proxy {
        #![doc = include_str!("doc/guide/recipes/proxy.md")]
    }

    /// WebSockets that are told when the server stops.
    pub mod websocket {
        #![doc = include_str!("doc/guide/recipes/websocket.md")]
        #![doc = ""]
        // Compiled by the package `integrations`: it needs a framework.
        #![cfg_attr(not(doctest), doc = include_str!("doc/websocket.md"))]
    }

    /// Syslog: a client that only writes.
    pub mod syslog {
        #![doc = include_str!("doc/guide/recipes/syslog.md")]
    }
}

/// What rustls, OpenSSL, native-tls and s2n allow before and after a close.
pub mod libraries {
    #![doc = include_str!("doc/guide/libraries.md")]
}

/// From `shutdown()` of tokio-rustls to this crate.
pub mod migration {
    #![doc = include_str!("doc/guide/migration.md")]
}

/// How the crate is built, for those who work on it.
pub mod architecture {
    #![doc = include_str!("doc/guide/architecture.md")]
}
