//! TLS to the services: Mozilla's roots, compiled in, and what `ca_file` adds.
//! Made for each connection, so that nothing of it stays in memory between
//! messages, and an exchanged `ca_file` is picked up.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::failure::Failure;
use super::files;

/// Largest file of certificates.
const CA_FILE_BYTES_MAX: usize = 1 << 20;

/// For connections that speak `protocol` inside (its ALPN name), if that is said.
pub(super) fn connector(
    ca_file: Option<&Path>,
    protocol: Option<&[u8]>,
) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = ca_file {
        add(&mut roots, path).map_err(|why| {
            let what = format!("ca_file {}: {why}", path.display());
            Failure::setup(what, "give a file of certificates in PEM")
        })?;
    }
    let broken = |e| Failure::setup(format!("TLS cannot be used: {e}"), "");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(broken)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols.extend(protocol.map(<[u8]>::to_vec));
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
        let certificate = certificate.map_err(|e| format!("is not PEM: {e:?}"))?;
        roots.add(certificate).map_err(|e| e.to_string())?;
        count += 1;
    }
    match count {
        0 => Err("holds no certificate".to_owned()),
        _ => Ok(()),
    }
}

/// The file's text.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::read(path, CA_FILE_BYTES_MAX)
}

/// Whether a file holds certificates that can be trusted.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence about it.
pub(crate) fn check_ca_file(path: &Path) -> Result<(), String> {
    add(&mut RootCertStore::empty(), path)
}
