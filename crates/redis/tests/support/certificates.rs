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
        let settings = self.settings(tls_port).into_iter();
        settings.flat_map(|[name, value]| [format!("--{name}"), value]).collect()
    }

    /// Names and values of a server's settings.
    pub fn settings(&self, tls_port: u16) -> [[String; 2]; 5] {
        let file = |name: &str| self.dir.join(name).display().to_string();
        [
            ["tls-port".to_string(), tls_port.to_string()],
            ["tls-cert-file".to_string(), file("crt")],
            ["tls-key-file".to_string(), file("key")],
            ["tls-ca-cert-file".to_string(), file("ca")],
            ["tls-auth-clients".to_string(), "no".to_string()],
        ]
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
