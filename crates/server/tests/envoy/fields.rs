//! Each field of requests and responses.

use std::time::Duration;

use tollgate_http::HttpLimiter;
use tollgate_http::engine::Key;
use tollgate_http::engine::store::{
    Buckets, Charge, LimitSpec, Memory, Reply, Store, StoreError, Verb,
};
use tollgate_server::envoy::messages::{
    Code, DescriptorStatus, RateLimit, RateLimitDescriptor, RateLimitOverride, RateLimitRequest,
    RateLimitResponse, Unit,
};

use crate::client::{Client, descriptor, hits, request};
use crate::server::{Running, builder, policy};

const POLICY: &str = "
    [limits.per_client]
    quota = '3/min'
    key = 'entry:remote_address'
    [limits.all]
    quota = '10/15min burst 20'
    [limits.trial]
    quota = '1/day'
    mode = 'shadow'
    [limits.often]
    quota = '5/250ms'
    key = 'address'
    [[descriptors]]
    domain = 'edge'
    entries = ['remote_address']
    limits = ['per_client', 'all', 'trial']
    [[descriptors]]
    domain = 'edge'
    entries = ['all']
    limits = ['all']
    [[descriptors]]
    domain = 'edge'
    entries = ['trial']
    limits = ['trial']
    [[descriptors]]
    domain = 'edge'
    entries = ['free']
    [[descriptors]]
    domain = 'edge'
    entries = ['blocked']
    blocked = true
    [[descriptors]]
    domain = 'edge'
    entries = ['remote_address', 'often']
    limits = ['often']
    [[descriptors]]
    domain = 'edge'
    entries = ['request']
    as_request = true
    [[routes]]
    path = '/{*rest}'
    limits = ['often']
    [response]
    headers = ['ratelimit', 'x-ratelimit']
";

const ONE: &[(&str, &str)] = &[("remote_address", "192.0.2.1")];

fn codes(response: &RateLimitResponse) -> Vec<Code> {
    response.statuses.iter().map(DescriptorStatus::code).collect()
}

fn left(response: &RateLimitResponse) -> Vec<u32> {
    response.statuses.iter().map(|status| status.limit_remaining).collect()
}

fn seconds(status: &DescriptorStatus) -> Option<i64> {
    status.duration_until_reset.map(|time| {
        assert_eq!(time.nanos, 0, "Envoy cuts off what is not a whole second");
        time.seconds
    })
}

fn limit(name: &str, requests_per_unit: u32, unit: Unit, units: Option<u32>) -> RateLimit {
    let (name, unit) = (name.into(), unit.into());
    RateLimit { name, requests_per_unit, unit, unit_multiplier: units }
}

#[tokio::test]
async fn a_status_tells_the_limit_that_is_nearest_to_refusing() {
    let mut client = Client::of(POLICY).await;
    let first = client.edge(vec![descriptor(ONE), descriptor(&[("all", "x")])]).await;
    assert_eq!(first.overall_code(), Code::Ok);
    assert_eq!(codes(&first), [Code::Ok, Code::Ok]);
    let [one, all] = &first.statuses[..] else { panic!("two statuses: {first:?}") };
    assert_eq!(one.current_limit, Some(limit("per_client", 3, Unit::Minute, None)));
    assert_eq!((one.limit_remaining, seconds(one)), (2, Some(20)));
    assert_eq!(all.current_limit, Some(limit("all", 10, Unit::Minute, Some(15))));
    assert_eq!((all.limit_remaining, seconds(all)), (18, Some(180)));

    client.edge(vec![hits(2, ONE)]).await;
    let over = client.edge(vec![descriptor(&[("all", "x")]), descriptor(ONE)]).await;
    assert_eq!(over.overall_code(), Code::OverLimit);
    assert_eq!(codes(&over), [Code::Ok, Code::OverLimit]);
    assert_eq!(over.statuses[1].current_limit, Some(limit("per_client", 3, Unit::Minute, None)));
    assert_eq!((left(&over), seconds(&over.statuses[1])), (vec![16, 0], Some(20)));
    // The descriptor that is not over its limit has taken nothing.
    assert_eq!(left(&client.edge(vec![descriptor(&[("all", "x")])]).await), [15]);
}

#[tokio::test]
async fn hits_of_the_request_and_of_descriptors() {
    let mut client = Client::of(POLICY).await;
    let all = || descriptor(&[("all", "x")]);
    let with =
        |hits_addend, descriptors| RateLimitRequest { hits_addend, ..request("edge", descriptors) };
    let mut ask = async |request| left(&client.ask(request).await.expect("a response"));
    assert_eq!(ask(with(0, vec![all()])).await, [19], "0 of the request is 1");
    assert_eq!(ask(with(4, vec![all()])).await, [15]);
    assert_eq!(ask(with(4, vec![hits(2, &[("all", "x")])])).await, [13], "the descriptor's own");
    assert_eq!(ask(with(4, vec![hits(0, &[("all", "x")])])).await, [13], "0 is a look");
    assert_eq!(ask(with(0, vec![hits(13, &[("all", "x")])])).await, [0]);
    let look = client.edge(vec![hits(0, &[("all", "x")]), descriptor(ONE)]).await;
    assert_eq!((look.overall_code(), codes(&look)[0]), (Code::OverLimit, Code::OverLimit));
    let never = client.edge(vec![hits(u64::MAX, &[("all", "x")])]).await;
    assert_eq!(codes(&never), [Code::OverLimit]);
    assert_eq!(seconds(&never.statuses[0]), None, "no wait helps");
}

#[tokio::test]
async fn negative_hits_are_given_back() {
    let mut client = Client::of(POLICY).await;
    let all: &[(&str, &str)] = &[("all", "x")];
    let back = |count| RateLimitDescriptor { is_negative_hits: true, ..hits(count, all) };
    assert_eq!(left(&client.edge(vec![hits(12, all)]).await), [8]);
    assert_eq!(left(&client.edge(vec![back(5)]).await), [13]);
    // Not if another descriptor is over its limit.
    let refused = client.edge(vec![back(5), hits(4, ONE)]).await;
    assert_eq!((codes(&refused), left(&refused)[0]), (vec![Code::Ok, Code::OverLimit], 13));
    let both = client.edge(vec![back(100), descriptor(ONE)]).await;
    assert_eq!((codes(&both), left(&both)), (vec![Code::Ok, Code::Ok], vec![20, 2]));
}

#[tokio::test]
async fn what_no_limit_is_known_for_is_ok() {
    let mut client = Client::of(POLICY).await;
    let response = client
        .edge(vec![descriptor(&[("unknown", "x")]), descriptor(&[("free", "x")]), descriptor(&[])])
        .await;
    assert_eq!(response.overall_code(), Code::Ok);
    assert_eq!(codes(&response), [Code::Ok; 3]);
    // As envoyproxy/ratelimit answers for a limit that is unlimited.
    assert_eq!(left(&response), [0, u32::MAX, 0]);
    assert!(response.statuses.iter().all(|status| status.current_limit.is_none()));
    assert!(response.response_headers_to_add.is_empty());
    let unknown =
        client.ask(request("elsewhere", vec![descriptor(ONE)])).await.expect("a response");
    assert_eq!(unknown.overall_code(), Code::Ok);
    assert_eq!(unknown.statuses, [DescriptorStatus { code: 1, ..Default::default() }]);
}

#[tokio::test]
async fn blocked_descriptors_shadow_limits_and_short_periods() {
    let mut client = Client::of(POLICY).await;
    let blocked = client.edge(vec![descriptor(&[("blocked", "x")])]).await;
    assert_eq!((blocked.overall_code(), codes(&blocked)[0]), (Code::OverLimit, Code::OverLimit));
    assert_eq!(seconds(&blocked.statuses[0]), None);
    for left_of_trial in [0, 0] {
        let trial = client.edge(vec![descriptor(&[("trial", "x")])]).await;
        assert_eq!((codes(&trial), left(&trial)), (vec![Code::Ok], vec![left_of_trial]));
        assert_eq!(trial.statuses[0].current_limit, Some(limit("trial", 1, Unit::Day, None)));
    }
    let often = client.edge(vec![descriptor(&[ONE[0], ("often", "x")])]).await;
    let status = &often.statuses[0];
    assert_eq!(status.current_limit, Some(limit("often", 5, Unit::Unknown, None)));
    assert_eq!(seconds(status), Some(1), "50 ms, rounded up");
}

#[tokio::test]
async fn the_fields_of_the_policy_are_for_the_descriptor_that_limits_most() {
    let mut client = Client::of(POLICY).await;
    let both = || vec![descriptor(&[("all", "x")]), descriptor(ONE)];
    let fields = |response: &RateLimitResponse| -> Vec<String> {
        let fields = response.response_headers_to_add.iter();
        fields.map(|field| format!("{}: {}", field.key, field.value)).collect()
    };
    let allowed = client.edge(both()).await;
    let expected = [
        "ratelimit-policy: \"per_client\";q=3;w=60, \"all\";q=20;w=1800",
        "ratelimit: \"per_client\";r=2;t=20, \"all\";r=18;t=180",
        "x-ratelimit-limit: 3",
        "x-ratelimit-remaining: 2",
        "x-ratelimit-reset: 20",
    ];
    assert_eq!(fields(&allowed), expected);
    client.edge(vec![hits(2, ONE)]).await;
    let over = client.edge(both()).await;
    let expected = [
        "ratelimit-policy: \"per_client\";q=3;w=60, \"all\";q=20;w=1800",
        "ratelimit: \"per_client\";r=0;t=20",
        "x-ratelimit-limit: 3",
        "x-ratelimit-remaining: 0",
        "x-ratelimit-reset: 60",
    ];
    assert_eq!(fields(&over), expected);
}

#[tokio::test]
async fn a_limit_of_envoys_configuration_is_not_obeyed() {
    let mut client = Client::of(POLICY).await;
    let limit = RateLimitOverride { requests_per_unit: 1, unit: 4, unit_multiplier: None };
    let own = RateLimitDescriptor { limit: Some(limit), ..descriptor(ONE) };
    let response = client.edge(vec![own]).await;
    assert_eq!(left(&response), [2], "the limit of the policy");
}

/// Envoy lets a request through whose call fails.
#[tokio::test]
async fn a_value_that_is_no_address_is_limited() {
    let mut client = Client::of(POLICY).await;
    let odd = |value| vec![descriptor(&[("remote_address", value), ("often", "x")])];
    let values = ["localhost", "", "10.0.0.256", "unix", "a, b"];
    for (rest, value) in (0..5).rev().zip(values) {
        let response = client.edge(odd(value)).await;
        assert_eq!((response.overall_code(), left(&response)), (Code::Ok, vec![rest]));
    }
    assert_eq!(client.edge(odd("another")).await.overall_code(), Code::OverLimit);
    assert_eq!(client.edge(odd("192.0.2.1")).await.overall_code(), Code::Ok);
}

#[tokio::test]
async fn errors_have_a_code_and_take_nothing() {
    let mut client = Client::of(POLICY).await;
    let no_address = [descriptor(&[("all", "x")]), descriptor(&[("request", "x")])];
    let error = client.ask(request("edge", no_address.into())).await.expect_err("no address");
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
    assert!(error.message().contains("descriptor 1 needs an address"), "{error}");
    assert_eq!(left(&client.edge(vec![descriptor(&[("all", "x")])]).await), [19]);
}

/// A store whose server is gone.
struct Broken(Memory);

struct BrokenBuckets;

impl Store for Broken {
    fn open(&self, limits: &[LimitSpec]) -> Result<std::sync::Arc<dyn Buckets>, StoreError> {
        self.0.open(limits)?;
        Ok(std::sync::Arc::new(BrokenBuckets))
    }
}

impl Buckets for BrokenBuckets {
    fn ask(&self, _: Verb, _: &mut [Charge]) -> Reply {
        Reply::Later(Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Err(StoreError::Unavailable("the cable is cut".into()))
        }))
    }

    fn keys(&self, _: usize) -> usize {
        0
    }

    fn most_limited(&self, _: usize, _: usize) -> Vec<(Key, u64)> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_store_that_fails_is_unavailable_or_ok() {
    for fails_closed in [true, false] {
        let builder = builder(&policy(POLICY)).store(Broken(Memory::new()));
        let limiter: HttpLimiter = builder.fail_closed(fails_closed).build().expect("a limiter");
        let mut client = Client::to(Running::of(limiter).await).await;
        let answer = client.ask(request("edge", vec![descriptor(ONE)])).await;
        if fails_closed {
            assert_eq!(answer.expect_err("closed").code(), tonic::Code::Unavailable);
        } else {
            let response = answer.expect("open");
            assert_eq!((response.overall_code(), codes(&response)[0]), (Code::Ok, Code::Ok));
        }
    }
}
