//! Certificates of an authority of our own, as servers need them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// An authority, and a certificate for this machine that it has signed.
pub struct Certificates {
    /// The authority's certificate, in PEM.
    pub authority: String,
    dir: PathBuf,
}

impl Certificates {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("a certificate");
        // Some take a certificate for self-signed whose issuer has the name of its subject.
        authority.distinguished_name.push(rcgen::DnType::CommonName, "an authority for tests");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().expect("a certificate");
        let authority =
            rcgen::CertifiedIssuer::self_signed(authority, authority_key).expect("a certificate");
        let key = rcgen::KeyPair::generate().expect("a certificate");
        let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
        let certificate = rcgen::CertificateParams::new(names).expect("a certificate");
        let certificate = certificate.signed_by(&key, &authority).expect("a certificate");
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("tollgate-tls-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let authority = authority.pem();
        for (name, text) in
            [("ca", &authority), ("crt", &certificate.pem()), ("key", &key.serialize_pem())]
        {
            std::fs::write(dir.join(name), text).expect("a file");
        }
        Self { authority, dir }
    }

    /// The arguments of a server that has the certificate.
    pub fn arguments(&self, tls_port: u16) -> Vec<String> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let (port, certificate, key, authority) =
            (tls_port.to_string(), file("crt"), file("key"), file("ca"));
        [
            ["--tls-port", &port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &authority],
            ["--tls-auth-clients", "no"],
        ]
        .concat()
        .into_iter()
        .map(str::to_string)
        .collect()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
