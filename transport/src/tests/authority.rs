//! An operator's own certificate authority.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::{Certificate, Roots};

pub(super) struct Authority {
    dir: TempDir,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("root.pem"), certificate.pem()).unwrap();
        Self { dir, certificate, key }
    }

    pub(super) fn roots(&self) -> Roots {
        Roots::with_file(&self.path("root.pem")).unwrap()
    }

    /// The chain and the key, for `name`, until that year.
    pub(super) fn issue(&self, name: &str, year: i32) -> Certificate {
        self.write(name, year);
        Certificate::load(&self.path("chain.pem"), &self.path("key.pem")).unwrap()
    }

    pub(super) fn write(&self, name: &str, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let chain = params.signed_by(&key, &self.certificate, &self.key).unwrap();
        std::fs::write(self.path("chain.pem"), chain.pem()).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
    }

    /// The authority's own certificate, with its key.
    pub(super) fn own(&self) -> Certificate {
        std::fs::write(self.path("root.key"), self.key.serialize_pem()).unwrap();
        Certificate::load(&self.path("root.pem"), &self.path("root.key")).unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
