//! The receiver's certificate, and whose it accepts. The files are read again when they change, so that a certificate is
//! renewed while connections stand.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

/// `tls`: files in PEM. They are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates of authorities: only who shows a certificate by one of them may send.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Why a certificate cannot be used. Every variant is something that a person can mend.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("read {path}", path = path.display())]
    Read { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{path} holds no certificate in PEM", path = path.display())]
    Empty { path: PathBuf },
    #[error("use the authorities of {path}", path = path.display())]
    Authorities { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("use {path} with its key", path = path.display())]
    Pair { path: PathBuf, source: rustls::Error },
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Keys {
    files: Tls,
    current: Mutex<(Stamps, Arc<ServerConfig>)>,
}

/// When each file was last written; nothing of one that cannot be asked.
type Stamps = [Option<SystemTime>; 3];

impl Keys {
    /// Reads the files.
    pub(super) fn open(files: &Tls) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        Ok(Self { files: files.clone(), current: Mutex::new((stamps, files.read()?)) })
    }

    /// For the next connection. Files that changed are read again; as long as they cannot be used, what was there before is.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let stamps = self.files.stamps();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != stamps {
            match self.files.read() {
                Ok(config) => {
                    tracing::info!(certificate = %self.files.certificate.display(), "certificate read again");
                    current.1 = config;
                }
                Err(error) => {
                    let error = crate::probe::words(&error);
                    tracing::error!(%error, "the certificate changed and cannot be used: the one before stays");
                }
            }
            // Looked at once for each change, or every connection would say it again.
            current.0 = stamps;
        }
        TlsAcceptor::from(current.1.clone())
    }
}

impl Tls {
    /// What the files say.
    pub(super) fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificates = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|source| TlsError::Read { path: self.key.clone(), source })?;
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions();
        let pair = |source| TlsError::Pair { path: self.certificate.clone(), source };
        let builder = builder.map_err(pair)?;
        let config = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let authorities = |source: Box<dyn std::error::Error + Send + Sync>| TlsError::Authorities {
                    path: path.clone(),
                    source,
                };
                let mut roots = RootCertStore::empty();
                for certificate in self::certificates(path)? {
                    roots.add(certificate).map_err(|error| authorities(error.into()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| authorities(error.into()))?)
            }
        };
        config.with_single_cert(certificates, key).map(Arc::new).map_err(pair)
    }

    fn stamps(&self) -> Stamps {
        let stamp = |path: Option<&PathBuf>| std::fs::metadata(path?).and_then(|file| file.modified()).ok();
        [stamp(Some(&self.certificate)), stamp(Some(&self.key)), stamp(self.client_ca.as_ref())]
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unread = |source| TlsError::Read { path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(unread)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unread)?;
    if found.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(found) }
}
