//! Connections over TLS, with an authority of our own.

use tollgate::Quota;
use tollgate::shared::store::{Rule, Store, Verb};
use tollgate_redis::{ConnectError, Redis};

use crate::support::server::{Server, free_port, kinds};
use crate::support::{answer, ask, one_limit};

/// An authority, and a certificate that it has signed: in PEM.
struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

fn certificates() -> Certificates {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertifiedIssuer::self_signed(authority, authority_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
    let certificate = rcgen::CertificateParams::new(names).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    Certificates {
        authority: authority.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_own_authority_is_trusted() {
    for kind in kinds() {
        let (own, other) = (certificates(), certificates());
        let dir = std::env::temp_dir().join(format!("tollgate-tls-{}-{kind}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (authority, certificate, key) =
            (file("ca", &own.authority), file("crt", &own.certificate), file("key", &own.key));
        let port = free_port().to_string();
        let server = Server::start_with(
            kind,
            &[
                "--tls-port",
                &port,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-ca-cert-file",
                &authority,
                "--tls-auth-clients",
                "no",
            ],
        );
        let url = format!("rediss://127.0.0.1:{port}");
        let store = Redis::builder(&url).certificate_authority(own.authority).connect().await;
        let store = store.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
        let wrong = Redis::builder(&url).certificate_authority(other.authority).connect().await;
        assert!(matches!(wrong, Err(ConnectError::Unreachable(_))), "{kind}: {wrong:?}");
        let unknown = Redis::connect(&url).await;
        assert!(matches!(unknown, Err(ConnectError::Unreachable(_))), "{kind}: {unknown:?}");
        let plain = format!("redis://127.0.0.1:{port}");
        assert!(Redis::connect(&plain).await.is_err(), "{kind}");
        let no_tls = Redis::builder(&plain).certificate_authority("x").connect().await;
        assert!(matches!(no_tls, Err(ConnectError::Settings(_))), "{kind}: {no_tls:?}");
        let junk = Redis::builder(&url).certificate_authority("junk").connect().await;
        assert!(junk.is_err(), "{kind}: {junk:?}");
        drop(server);
        let _ = std::fs::remove_dir_all(&dir);
    }
}
