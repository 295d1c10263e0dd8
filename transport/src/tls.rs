//! TLS around WebSocket: for browsers and proxies. It proves the name of the place that was dialled; whose relay
//! it is, noise proves inside it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a WebSocket handshake runs over; says to proxies that it is not HTTP/2.
const ALPN: &[u8] = b"http/1.1";

/// A file with certificates, or a key, that can't be used: the fault of whoever named it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", .file.display())]
pub struct TlsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl TlsError {
    fn new(file: &Path, why: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), why: why.to_string() }
    }
}

/// The authorities whose certificates a dialler takes: those that browsers trust, as Mozilla lists them, and those
/// that its user added. Cheap to clone.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

impl Roots {
    /// The usual ones and those in a PEM file: at least one certificate.
    pub fn with_file(file: &Path) -> Result<Self, TlsError> {
        let mut roots = usual();
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| TlsError::new(file, error))?;
        }
        client(roots).map(Self).map_err(|error| TlsError::new(file, error))
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

impl Default for Roots {
    /// The usual ones.
    #[expect(clippy::expect_used, reason = "the usual roots are no input")]
    fn default() -> Self {
        static USUAL: OnceLock<Roots> = OnceLock::new();
        USUAL.get_or_init(|| Self(client(usual()).expect("the usual roots can be used"))).clone()
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

/// The certificate chain that a listener shows and its key, from two PEM files. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Certificate {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Reads both files: the chain with the listener's own certificate first, and the key that belongs to it.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = RwLock::new(read(chain, key)?);
        let shown = Arc::new(Shown { chain: chain.to_owned(), key: key.to_owned(), current });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(chain, error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { shown, config: Arc::new(config) })
    }

    /// Reads both files again; connections from now on see what is in them. After an error all stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.shown.chain, &self.shown.key)?;
        *self.shown.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.shown.chain.display())
    }
}

struct Shown {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

/// The name that a certificate must be for.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    match host.parse::<IpAddr>() {
        Ok(ip) => Ok(ServerName::IpAddress(ip.into())),
        Err(_) => ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` can't stand in a certificate")),
    }
}

/// What went wrong in a handshake, and what would do.
pub(crate) fn handshake_error(host: &str, error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(reason)) = inner else {
        return format!("no TLS: {error}");
    };
    let unknown = "if its operator issues certificates, trust theirs by --root-certificates FILE";
    let why = match reason {
        rustls::CertificateError::UnknownIssuer => format!("{reason}; {unknown}"),
        // Of what the verifier says beside, there is a name alone.
        rustls::CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own; its operator has to show one that is none (basicConstraints CA:FALSE)"
                .to_owned()
        }
        _ => reason.to_string(),
    };
    format!("the TLS certificate shown for {host} is not to be trusted: {why}")
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

fn usual() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_webpki_verifier(verifier.map_err(|error| error.to_string())?)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn read(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificates = certificates(chain)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::new(key, "there is no private key in it (PEM)"),
        error => TlsError::new(key, unread(&error)),
    })?;
    let certified =
        CertifiedKey::from_der(certificates, secret, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::new(
                key,
                format!("this key does not belong to the certificate in {}", chain.display()),
            ),
            error => TlsError::new(chain, error),
        })?;
    Ok(Arc::new(certified))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| TlsError::new(file, unread(&error)))?;
    if found.is_empty() {
        return Err(TlsError::new(file, "there is no certificate in it (PEM)"));
    }
    Ok(found)
}

fn unread(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("it can't be read: {error}"),
        error => format!("it is no PEM file: {error}"),
    }
}
