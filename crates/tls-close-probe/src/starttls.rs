//! STARTTLS: from the plaintext of a protocol to the moment when TLS begins.

mod dialog;
mod error;
mod ftp;
mod imap;
mod ldap;
mod mysql;
mod pop3;
mod postgres;
mod reply;
mod sieve;
mod smtp;
mod xmpp;

use clap::ValueEnum;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use dialog::Dialog;
pub(crate) use error::StarttlsError;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Starttls {
    /// RFC 3207
    Smtp,
    /// RFC 9051
    Imap,
    /// RFC 2595
    Pop3,
    /// RFC 4217
    Ftp,
    /// RFC 4511, section 4.14
    Ldap,
    /// RFC 6120, section 5
    Xmpp,
    /// SSLRequest
    #[value(alias = "postgresql")]
    Postgres,
    /// SSLRequest, of MariaDB too
    #[value(alias = "mariadb")]
    Mysql,
    /// ManageSieve, RFC 5804
    #[value(alias = "managesieve")]
    Sieve,
}

impl Starttls {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Ftp => "ftp",
            Self::Ldap => "ldap",
            Self::Xmpp => "xmpp",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sieve => "sieve",
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Ftp => 21,
            Self::Ldap => 389,
            Self::Xmpp => 5222,
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::Sieve => 4190,
        }
    }

    /// Asks for TLS. When it returns, the next byte in each direction is of TLS.
    pub(crate) async fn negotiate<IO>(self, mut dialog: Dialog<'_, IO>) -> Result<(), StarttlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Smtp => smtp::negotiate(&mut dialog).await,
            Self::Imap => imap::negotiate(&mut dialog).await,
            Self::Pop3 => pop3::negotiate(&mut dialog).await,
            Self::Ftp => ftp::negotiate(&mut dialog).await,
            Self::Ldap => ldap::negotiate(&mut dialog).await,
            Self::Xmpp => xmpp::negotiate(&mut dialog).await,
            Self::Postgres => postgres::negotiate(&mut dialog).await,
            Self::Mysql => mysql::negotiate(&mut dialog).await,
            Self::Sieve => sieve::negotiate(&mut dialog).await,
        }?;
        dialog.finish()
    }
}
