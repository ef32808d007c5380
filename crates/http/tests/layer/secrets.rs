//! What Debug and Display of all types keep to themselves.

use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use tollgate_http::address::Peer;
use tollgate_http::{Caller, HttpLimiter, RateLimitHandle};

use crate::probe::{Probe, answer, behind, request, send};
use crate::scene::{facts, policy};

const KEY: &str = "sk-live-4242";
const TENANT: &str = "tenant-9f3c";
const USER: &str = "alice-77";

fn hash() -> String {
    let bytes = Sha256::digest(KEY);
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn has_no_secret(text: &str) {
    // A byte string of Debug is a list of numbers.
    let numbers = |secret: &str| format!("{:?}", secret.as_bytes()).replace(['[', ']'], "");
    let hash_numbers = format!("{:?}", Sha256::digest(KEY).as_slice()).replace(['[', ']'], "");
    let secrets =
        [KEY.to_owned(), TENANT.to_owned(), hash(), numbers(KEY), numbers(TENANT), USER.to_owned()];
    for secret in secrets.iter().chain([&hash_numbers]) {
        assert!(!text.contains(secret.as_str()), "{secret} is in: {text}");
    }
}

fn tenant() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static(TENANT));
    headers
}

#[test]
fn api_keys_and_header_values_are_not_in_debug_output() {
    let policy = policy(&format!(
        "always = ['keys', 'tenants']\n[limits.keys]\nquota = '2/1000days'\nkey = 'api-key'\n\
         missing = 'refuse'\n[limits.tenants]\nquota = '9/1000days'\nkey = 'header:x-tenant'\n\
         missing = 'refuse'\n[penalty]\nkey = 'caller'\nafter = '1/1000days'\nblock = '1min'\n\
         max = '1h'\nforget = '1day'\n\
         [[subjects]]\napi_key = 'sha256:{}'\nlimits.keys = '3/1000days'\n",
        hash()
    ));
    has_no_secret(&format!("{policy:?} {policy:#?}"));
    let (sender, violations) = std::sync::mpsc::channel();
    let limiter = HttpLimiter::builder(&policy)
        .on_violation(move |violation| drop(sender.send(format!("{violation:?}"))))
        .violations_with_keys(true)
        .build()
        .expect("memory");
    let caller = Caller::api_key(KEY);
    has_no_secret(&format!("{caller:?} {:?}", Caller::user("alice").with_api_key(KEY)));
    let headers = tenant();
    let facts = facts("/").api_key(KEY).user(USER).headers(&headers);
    has_no_secret(&format!("{facts:?}"));
    for _ in 0..5 {
        let explained = limiter.explain(&facts).expect("memory");
        has_no_secret(&format!("{explained:?} {explained:#?}"));
        let deciding = limiter.decide(&facts);
        has_no_secret(&format!("{deciding:?}"));
        let decision = deciding.now().expect("memory");
        has_no_secret(&format!("{decision:?} {decision:#?}"));
        for limit in decision.limits() {
            has_no_secret(&format!("{limit:?} {:?} {:?}", limit.key(), limit.key().parts()));
        }
    }
    has_no_secret(&violations.recv().expect("a violation"));
    has_no_secret(&format!("{:?}", limiter.most_limited("tenants", 9)));
    let worst = limiter.most_limited("keys", 9);
    has_no_secret(&format!("{worst:?} {}", worst[0].0));
    has_no_secret(&format!("{:?}", limiter.penalties()));
    has_no_secret(&format!("{limiter:?} {:?}", limiter.hash_of_api_key(KEY)));
}

#[test]
fn the_layer_shows_no_secret() {
    let policy = policy(
        "always = ['keys']\n[limits.keys]\nquota = '2/1000days'\nkey = ['api-key', 'header:x-tenant']\n\
         missing = 'refuse'\n",
    );
    let limiter = HttpLimiter::new(&policy).expect("memory");
    let probe = Probe::new(|request: http::Request<String>| {
        let handle = request.extensions().get::<RateLimitHandle>().expect("a handle");
        has_no_secret(&format!("{handle:?} {:?}", handle.limits().collect::<Vec<_>>()));
        answer(200)
    });
    let mut service = behind(&limiter, probe);
    for status in [200, 200, 429] {
        let mut request = request("/");
        *request.headers_mut() = tenant();
        request.extensions_mut().insert(Caller::api_key(KEY));
        request.extensions_mut().insert(Peer::Unix);
        let future = crate::probe::call(&mut service, request);
        has_no_secret(&format!("{future:?}"));
        let response = crate::stores::block_on(future).unwrap();
        has_no_secret(&format!("{response:?}"));
        assert_eq!(response.status(), status);
    }
    let mut without = request("/");
    without.extensions_mut().insert(Caller::api_key(KEY));
    assert_eq!(send(&mut service, without).unwrap().status(), 403);
}
