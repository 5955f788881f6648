//! Why a certificate is not accepted, in words.

use rustls::{CertificateError, pki_types::ServerName};
use tokio_tls_shutdown::tokio_rustls::rustls;

/// rustls's own words where it has any; the names of its types are none.
pub(crate) fn words(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its issuer is not trusted".into(),
        CertificateError::BadEncoding => "it is no X.509 certificate".into(),
        CertificateError::BadSignature => "its signature is not valid".into(),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "its signature algorithm is not supported".into()
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its signature is not of the kind of its issuer's key".into()
        }
        CertificateError::Revoked => "it was revoked".into(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => not_valid_for(expected, presented),
        CertificateError::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => "it is the certificate of a CA, and not of a server".into(),
            other => other.into(),
        },
        // Without the fields of a type that rustls has no words for.
        error => match error.to_string().split_once(" { ") {
            Some((name, _fields)) => name.into(),
            None => error.to_string(),
        },
    }
}

fn not_valid_for(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = expected.to_str();
    let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
    match names.as_slice() {
        [] => format!("it is not for {expected}, but for no name (no subjectAltName)"),
        names => format!("it is not for {expected}, but for {}", names.join(", ")),
    }
}

/// `localhost` of `DnsName("localhost")`, as rustls writes it.
fn bare(name: &str) -> &str {
    let inner = (name.split_once('(')).and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}
