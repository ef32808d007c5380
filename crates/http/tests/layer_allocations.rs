//! How many allocations decisions and the layer make. (In a file of its own: its allocator
//! counts.)

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/scene.rs"]
mod scene;

use std::future::{Future, Ready, ready};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue, Request, Response};
use scene::{decide, facts, limiter, policy};
use tollgate_http::address::Peer;
use tollgate_http::{Caller, Facts, HttpLimiter, RateLimitLayer};
use tower_layer::Layer;
use tower_service::Service;

/// Limits with all usual keys, of which a request has four.
const POLICY: &str = "always = ['site', 'flood']\ndefault_tier = 'free'\n\
     [limits.site]\nquota = '9000/1000days'\n\
     [limits.flood]\nquota = '9000/1000days'\nkey = 'address'\n\
     [limits.calls]\nquota = '9000/1000days'\nkey = 'caller'\n\
     [limits.trial]\nquota = '9000/1000days'\nkey = 'user'\nmissing = 'address'\nmode = 'shadow'\n\
     [tiers.free]\ncalls = '8000/1000days'\n\
     [[subjects]]\nuser = 'bob'\nblocked = true\n\
     [[routes]]\npath = '/free/{id}'\nlimits = ['calls', 'trial']\ncharge = [401]\n\
     [[routes]]\npath = '/{*rest}'\nlimits = ['calls', 'trial']\n";

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn a_decision_about_an_address_or_a_user_allocates_nothing() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let alice = facts("/items/7").user("alice");
    let free = facts("/free/7").user("alice");
    for facts in [facts("/items/7"), alice, free] {
        let mut decision = decide(&limiter, &facts);
        assert_eq!(decision.limits().len(), 4);
        for _ in 0..10 {
            let count = allocations(|| {
                decision = decide(&limiter, &facts);
                limiter.answered(&mut decision, 200);
            });
            assert_eq!(count, 0);
            assert!(decision.is_allowed());
        }
    }
}

#[test]
fn a_refusal_allocates_nothing_either() {
    let (limiter, _clock) = limiter(&policy(&POLICY.replace("9000/", "3/").replace("8000/", "3/")));
    let facts = facts("/items").user("alice");
    for sent in 0..10 {
        let mut allowed = false;
        let count = allocations(|| allowed = decide(&limiter, &facts).is_allowed());
        assert_eq!(allowed, sent < 3);
        // The first makes the key's buckets.
        assert!(count == 0 || sent == 0 || sent == 3, "{count} at request {sent}");
    }
}

/// Answers at once, without an allocation.
#[derive(Clone)]
struct Bare;

impl Service<Request<()>> for Bare {
    type Response = Response<()>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Response<()>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let mut response = Response::new(());
        // As every real answer has one, the map of fields is there.
        response.headers_mut().insert("content-length", HeaderValue::from_static("0"));
        ready(Ok(response))
    }
}

/// The allocations of the requests that `make` makes, and the last response's fields.
fn layer_allocations<S, B>(
    service: &mut S,
    make: impl Fn() -> Request<()>,
    times: usize,
) -> (Vec<u64>, u16, HeaderMap)
where
    S: Service<Request<()>, Response = Response<B>, Error = std::convert::Infallible>,
{
    let mut last = (0, HeaderMap::new());
    let counts = (0..times)
        .map(|_| {
            let request = make();
            let mut response = None;
            let count = allocations(|| {
                let mut context = Context::from_waker(Waker::noop());
                assert!(service.poll_ready(&mut context).is_ready());
                match pin!(service.call(request)).poll(&mut context) {
                    Poll::Ready(answer) => response = answer.ok(),
                    Poll::Pending => panic!("memory answers at once"),
                }
            });
            let (parts, _) = response.expect("a response").into_parts();
            last = (parts.status.as_u16(), parts.headers);
            count
        })
        .collect();
    (counts, last.0, last.1)
}

fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = "/items/7".parse().unwrap();
    request.extensions_mut().insert(Peer::from(IpAddr::from([203, 0, 113, 7])));
    request.extensions_mut().insert(Caller::user("alice"));
    request
}

fn service(
    limiter: &HttpLimiter,
) -> impl Service<
    Request<()>,
    Response = Response<tollgate_http::layer::ResponseBody<()>>,
    Error = std::convert::Infallible,
> {
    RateLimitLayer::new(limiter.clone()).layer(Bare)
}

/// The most allocations of the layer above those of the service alone: the values of `RateLimit`
/// and of the numbers in `X-RateLimit-...`, and the map of the fields when it grows.
const MOST: u64 = 4;

#[test]
fn the_layer_makes_few_allocations() {
    let (bare, ..) = layer_allocations(&mut Bare, request, 5);
    let (limiter, _clock) = limiter(&policy(POLICY));
    let (counts, status, headers) = layer_allocations(&mut service(&limiter), request, 20);
    assert_eq!(status, 200);
    for name in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-reset"] {
        assert!(headers.contains_key(name), "{name}");
    }
    // The first request makes what is made once.
    for count in &counts[3..] {
        assert!(*count <= bare[4] + MOST, "{counts:?}, without the layer {bare:?}");
    }
}

/// The first request of a route and tier was refused without limits, and the text of
/// `RateLimit-Policy`, which is kept, was kept as nothing: each request made it again.
#[test]
fn a_refusal_without_limits_does_not_spoil_what_is_kept() {
    let blocked = || {
        let mut request = request();
        request.extensions_mut().insert(Caller::user("bob"));
        request
    };
    // Without tiers, a blocked request is of the same route and tier as the others.
    let text = POLICY.replace("default_tier = 'free'\n", "");
    let measured = |spoils: bool| {
        let (limiter, _clock) = limiter(&policy(&text));
        let mut service = service(&limiter);
        if spoils {
            assert_eq!(layer_allocations(&mut service, blocked, 1).1, 403);
        }
        let (counts, _, headers) = layer_allocations(&mut service, request, 9);
        (counts[3..].to_vec(), headers["ratelimit-policy"].clone())
    };
    assert_eq!(measured(true), measured(false));
}

#[test]
fn a_refusal_without_a_body_makes_few_allocations() {
    let text = format!("{}[response]\nbody = 'none'\n", POLICY.replace("9000/", "2/"));
    let (limiter, _clock) = limiter(&policy(&text.replace("8000/", "2/")));
    let (counts, status, headers) = layer_allocations(&mut service(&limiter), request, 20);
    assert_eq!(status, 429);
    assert!(headers.contains_key("retry-after"));
    // A refusal makes the map of its fields too, which grows once.
    for count in &counts[5..] {
        assert!(*count <= MOST + 3, "{counts:?}");
    }
}

#[test]
fn a_flood_of_new_addresses_takes_no_more_memory() {
    let text = "always = ['flood']\n[limits.flood]\nquota = '5/1000days'\nkey = 'address'\n\
         max_keys = 10000\n";
    let (limiter, _clock) = limiter(&policy(text));
    let flood = |addresses: std::ops::Range<u128>| {
        let refused = addresses.filter(|number| {
            let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) + (number << 64));
            let facts = Facts::new("GET", "/").peer(IpAddr::V6(address));
            !limiter.decide(&facts).now().is_ok_and(|decision| decision.is_allowed())
        });
        refused.count()
    };
    // Without optimisation, a million takes too long.
    let last = if cfg!(debug_assertions) { 150_000 } else { 1_000_000 };
    flood(0..20_000);
    let mut refused = 0;
    let measured = allocation_counter::measure(|| refused = flood(20_000..last));
    assert_eq!(u128::try_from(refused), Ok(last - 20_000));
    assert!(measured.bytes_current.abs() < 1_000_000, "{measured:?}");
    assert!(measured.bytes_max < 2_000_000, "{measured:?}");
}
