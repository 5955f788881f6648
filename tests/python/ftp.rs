//! `ftplib.FTP_TLS` against a small FTP server: AUTH TLS, transfers, CCC (RFC 4217; D5).

use std::sync::Arc;

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tls_shutdown::{GracefulStream, RecordAligned, ShutdownExt, tokio_rustls};

use crate::{
    python,
    support::{Case, PemFiles, Role, Version, in_time},
    version_name,
};

struct Server {
    acceptor: TlsAcceptor,
    /// Where the next transfer goes.
    passive: Option<TcpListener>,
    file: Vec<u8>,
    directory: String,
    /// The commands, each with whether it came in the clear.
    log: Vec<(String, Channel)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Clear,
    Tls,
}

/// What ends a stretch of commands.
#[derive(Debug, PartialEq, Eq)]
enum End {
    AuthTls,
    Ccc,
    Quit,
}

impl Server {
    async fn serve(&mut self, tcp: TcpStream) {
        let mut clear = BufReader::new(tcp);
        clear.write_all(b"220 ready\r\n").await.unwrap();
        assert_eq!(
            self.commands(&mut clear, Channel::Clear).await,
            End::AuthTls
        );

        let read_ahead = clear.buffer().to_vec();
        let aligned = RecordAligned::with_prefix(clear.into_inner(), read_ahead);
        let tls = self.accept(aligned).await;
        let mut tls = BufReader::new(tls);
        assert_eq!(self.commands(&mut tls, Channel::Tls).await, End::Ccc);

        assert!(tls.buffer().is_empty());
        let mut tls = tls.into_inner();
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean(), "{closed:?}");
        let mut clear = BufReader::new(tls.into_transport().unwrap());
        assert_eq!(self.commands(&mut clear, Channel::Clear).await, End::Quit);
    }

    async fn accept<IO>(&self, io: IO) -> GracefulStream<TlsStream<IO>>
    where
        IO: tokio::io::AsyncRead + AsyncWrite + Unpin,
    {
        GracefulStream::new(self.acceptor.accept(io).await.unwrap())
    }

    async fn commands<C>(&mut self, control: &mut C, channel: Channel) -> End
    where
        C: AsyncBufRead + AsyncWrite + Unpin,
    {
        loop {
            let mut line = String::new();
            control.read_line(&mut line).await.unwrap();
            let line = line.trim_end();
            let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
            self.log.push((verb.to_owned(), channel));
            let (answer, end) = match verb {
                "AUTH" => ("234 go ahead".to_owned(), Some(End::AuthTls)),
                "CCC" => ("200 in the clear".to_owned(), Some(End::Ccc)),
                "QUIT" => ("221 bye".to_owned(), Some(End::Quit)),
                "USER" => ("331 and the password".to_owned(), None),
                "PASS" => ("230 logged in".to_owned(), None),
                "CWD" => {
                    self.directory = argument.to_owned();
                    (format!("250 {argument}"), None)
                }
                "PWD" => (format!("257 \"/{}\"", self.directory), None),
                "PASV" => (self.listen().await, None),
                "STOR" | "RETR" => {
                    control.write_all(b"150 here it comes\r\n").await.unwrap();
                    self.transfer(verb).await;
                    ("226 done".to_owned(), None)
                }
                _ => ("200 ok".to_owned(), None),
            };
            let answer = format!("{answer}\r\n");
            control.write_all(answer.as_bytes()).await.unwrap();
            control.flush().await.unwrap();
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn listen(&mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [hi, lo] = listener.local_addr().unwrap().port().to_be_bytes();
        self.passive = Some(listener);
        format!("227 passive (127,0,0,1,{hi},{lo})")
    }

    /// The end of a file is the end of TLS: it must be an authentic one.
    async fn transfer(&mut self, verb: &str) {
        let (tcp, _) = self.passive.take().unwrap().accept().await.unwrap();
        let mut tls = self.accept(tcp).await;
        match verb {
            "STOR" => {
                tls.read_to_end(&mut self.file).await.unwrap();
            }
            _ => tls.write_all(&self.file).await.unwrap(),
        }
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean(), "{closed:?}");
    }
}

#[tokio::test]
async fn d05_ftp_clears_its_command_channel() {
    let pem = PemFiles::write();
    for version in [Version::Tls12, Version::Tls13] {
        let case = Case::new(version, Role::Server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut client = python("ccc.py", &[&port, version_name(version)], &pem);
        let mut server = Server {
            acceptor: Arc::new(case.server_config()).into(),
            passive: None,
            file: Vec::new(),
            directory: String::new(),
            log: Vec::new(),
        };
        let served = in_time("ftp", async {
            let (tcp, _) = listener.accept().await.unwrap();
            server.serve(tcp).await;
        });
        tokio::select! {
            () = served => {}
            () = client.fails() => {}
        }
        let ended = client.succeeds().await;
        assert!(ended.printed(b"200 in the clear\n221 bye\n"));

        let channel = |verb: &str| {
            let of_verb = server.log.iter().filter(|(logged, _)| logged == verb);
            of_verb.map(|(_, channel)| *channel).collect::<Vec<_>>()
        };
        assert_eq!(channel("PASS"), [Channel::Tls]);
        assert_eq!(channel("STOR"), [Channel::Tls]);
        assert_eq!(channel("CWD"), [Channel::Clear; 100]);
        assert_eq!(channel("QUIT"), [Channel::Clear]);
        assert_eq!(server.file.len(), 300_000);
    }
}
