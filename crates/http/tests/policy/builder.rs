//! Policies in code: the words of the file, and the same checks.

use std::time::{Duration, SystemTime};

use tollgate::Quota;
use tollgate_http::address::{ClientAddress, Prefixes, Source, Trust};
use tollgate_http::policy::{
    Algorithm, BodyForm, Code, DescriptorRule, Dialect, KeyPart, Limit, Missing, Mode, Penalty,
    Policy, PolicyBuilder, ResetForm, Response, Route, Subject, Tier, WhenFull,
};

/// The sample of the file, in code.
fn sample() -> PolicyBuilder {
    let hash = [
        0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65, 0x9a, 0x2f, 0xea, 0xa0, 0xc5, 0x5a, 0xd0,
        0x15, 0xa3, 0xbf, 0x4f, 0x1b, 0x2b, 0x0b, 0x82, 0x2c, 0xd1, 0x5d, 0x6c, 0x15, 0xb0, 0xf0,
        0x0a, 0x08,
    ];
    Policy::builder()
        .mode(Mode::Enforce)
        .always(["site", "flood"])
        .default_tier("free")
        .client(ClientAddress {
            source: Source::XForwardedFor,
            trust: Trust::Proxies {
                networks: vec!["10.0.0.0/8".parse().expect("a network")],
                unix: true,
            },
            prefixes: Prefixes { ipv4: 32, ipv6: 64 },
        })
        .limit(Limit::new("site", Quota::per_second(5000).burst(10_000)))
        .limit(
            Limit::new("flood", Quota::per_second(20).burst(60))
                .key([KeyPart::Address])
                .max_keys(200_000)
                .when_full(WhenFull::Share),
        )
        .limit(Limit::new("calls", Quota::per_minute(10)).key([KeyPart::Caller]))
        .limit(Limit::new("login", Quota::per(5, minutes(15))).key([KeyPart::Address]))
        .limit(
            Limit::new("export", Quota::per_day(20).burst(5))
                .key([KeyPart::User, KeyPart::Route])
                .missing(Missing::Address),
        )
        .limit(
            Limit::new("trial", Quota::per_hour(100))
                .key([KeyPart::Header("x-tenant".parse().expect("a name"))])
                .missing(Missing::Skip)
                .mode(Mode::Shadow),
        )
        .tier(Tier::new("free").limit("calls", Quota::per_minute(10)))
        .tier(Tier::new("basic").limit("calls", Quota::per_minute(60)))
        .tier(
            Tier::new("premium")
                .limit("calls", Quota::per_minute(300))
                .limit("export", Quota::per_day(200).burst(20)),
        )
        .tier(
            Tier::new("enterprise")
                .limit("calls", Quota::per_minute(1000))
                .limit("export", Quota::unlimited()),
        )
        .subject(Subject::user("status-probe").exempt())
        .subject(
            Subject::api_key_sha256(hash)
                .tier("enterprise")
                .limit("calls", Quota::per_minute(5000).burst(8000)),
        )
        .subject(
            Subject::address("203.0.113.0/24".parse().expect("a network"))
                .blocked_until(SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600)),
        )
        .route(Route::new("/healthz").name("health").always(false))
        .route(
            Route::new("/login")
                .name("login")
                .methods(["POST"])
                .limits(["login"])
                .charge([401, 403]),
        )
        .route(
            Route::new("/v1/exports/{id}")
                .name("export")
                .methods(["GET", "POST"])
                .host("api.example.com")
                .limits(["calls", "export", "trial"])
                .cost(5)
                .cost_of("export", 1),
        )
        .route(Route::new("/{*rest}").name("api").limits(["calls"]))
        .descriptor(
            DescriptorRule::new("edge")
                .entry_is("generic_key", "login")
                .entry("remote_address")
                .limits(["login"]),
        )
        .descriptor(
            DescriptorRule::new("edge")
                .entry_like("path", "/internal/*")
                .entry_is("a=b", "*")
                .blocked(),
        )
        .descriptor(DescriptorRule::new("edge").entry("path").as_request())
        .descriptor(DescriptorRule::new("models").entry("user").limits(["calls"]).owe())
        .response(
            Response::new()
                .headers([Dialect::RateLimit, Dialect::XRateLimit])
                .x_ratelimit_reset(ResetForm::Seconds)
                .body(BodyForm::Problem),
        )
        .penalty(
            Penalty::new(Quota::per_minute(30), minutes(1))
                .key([KeyPart::Caller])
                .growth(2)
                .max(minutes(60))
                .forget(minutes(24 * 60)),
        )
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// The places and codes of the problems.
fn problems(builder: PolicyBuilder) -> Vec<(String, Code)> {
    let error = builder.build().expect_err("the policy has problems");
    error.problems().iter().map(|problem| (problem.place().to_string(), problem.code())).collect()
}

#[test]
fn the_sample_means_the_same_in_code() {
    let file: Policy =
        include_str!("../data/policies/sample.toml").parse().expect("the sample is a policy");
    assert_eq!(sample().build().expect("the sample is a policy"), file);
}

#[test]
fn the_same_checks_hold_and_places_are_paths() {
    let builder = Policy::builder()
        .always(["site", "sitte"])
        .client(ClientAddress { source: Source::Forwarded, ..ClientAddress::default() })
        .limit(Limit::new("site", Quota::per_second(0)))
        .limit(
            Limit::new("a.b", Quota::per_second(1).burst(2))
                .algorithm(Algorithm::Strict)
                .key([KeyPart::User])
                .status(404)
                .ipv6_prefix(16),
        )
        .limit(Limit::new("site", Quota::per_second(1)))
        .tier(
            Tier::new("gold")
                .limit("site", Quota::per_second(1))
                .limit("site", Quota::per_second(2)),
        )
        .subject(Subject::user("u").exempt().blocked())
        .subject(Subject::user("v").blocked_until(SystemTime::UNIX_EPOCH - Duration::from_secs(1)))
        .route(Route::new("/a").limits(["sit"]).cost(0))
        .route(Route::new("a").methods(["get"]).charge([700]).cost_of("site", 0))
        .descriptor(DescriptorRule::new("").entry_is("a", "").limits(["sit"]))
        .penalty(Penalty::new(Quota::per_minute(1), Duration::ZERO).key([]).growth(0));
    let expected = [
        ("always[1]", Code::UnknownLimit),
        ("client.header", Code::NobodyTrusted),
        ("limits.site.quota", Code::BadQuota),
        ("limits.\"a.b\".quota", Code::BadQuota),
        ("limits.\"a.b\".key", Code::MissingUnset),
        ("limits.\"a.b\".status", Code::BadStatus),
        ("limits.\"a.b\".ipv6_prefix", Code::BadPrefix),
        ("limits.site", Code::DuplicateName),
        ("tiers.gold.site", Code::DuplicateName),
        ("subjects[0].blocked", Code::Contradiction),
        ("subjects[1].until", Code::BadValue),
        ("routes[0].limits[0]", Code::UnknownLimit),
        ("routes[0].cost", Code::BadCost),
        ("routes[1].method[0]", Code::BadMethod),
        ("routes[1].path", Code::BadPath),
        ("routes[1].costs.site", Code::BadCost),
        ("routes[1].charge[0]", Code::BadStatus),
        ("descriptors[0].domain", Code::BadValue),
        ("descriptors[0].entries[0].value", Code::BadValue),
        ("descriptors[0].limits[0]", Code::UnknownLimit),
        ("penalty.key", Code::BadValue),
        ("penalty.block", Code::BadValue),
        ("penalty.growth", Code::BadValue),
    ];
    let expected: Vec<(String, Code)> =
        expected.into_iter().map(|(place, code)| (place.to_owned(), code)).collect();
    assert_eq!(problems(builder), expected);
}

#[test]
fn checks_between_tables_hold_in_code() {
    let builder = Policy::builder()
        .limit(Limit::new("calls", Quota::per_minute(10)))
        .tier(Tier::new("free").limit("calls", Quota::per_minute(4)))
        .subject(Subject::api_key("secret").exempt())
        .subject(Subject::api_key("secret").blocked())
        .route(Route::new("/{*rest}").limits(["calls"]).cost(5))
        .route(Route::new("/a"));
    let expected = [
        ("subjects[1].api_key".to_owned(), Code::DuplicateSubject),
        ("routes[0].cost".to_owned(), Code::CostOverBurst),
        ("routes[1].path".to_owned(), Code::UnreachableRoute),
    ];
    assert_eq!(problems(builder), expected);
}

#[test]
fn a_problem_in_code_names_its_path() {
    let error = Policy::builder().default_tier("gold").build().expect_err("there is no tier");
    let expected = "policy:default_tier: there is no tier `gold`: there is none [unknown-tier]";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_key_of_an_api_key_is_kept_nowhere() {
    let subject = Subject::api_key("hunter2").exempt();
    assert_eq!(format!("{subject:?}"), "Subject { .. }");
    let policy = Policy::builder().subject(subject).build().expect("a policy");
    assert!(!format!("{policy:?}{policy}").contains("hunter2"));
    // `printf %s hunter2 | sha256sum`
    let hash = "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7";
    assert!(policy.to_string().contains(hash), "{policy}");
}

#[test]
fn whole_classes_of_statuses_are_printed_as_words() {
    let policy = Policy::builder()
        .route(Route::new("/a").charge((500..=599).chain([401, 404, 402, 401])))
        .build()
        .expect("a policy");
    assert!(policy.to_string().contains("charge = [401, 402, 404, \"5xx\"]"), "{policy}");
}

#[test]
fn an_empty_policy_limits_nothing_and_is_valid() {
    let policy = Policy::builder().build().expect("a policy");
    assert_eq!(policy.to_string(), "version = 1\n");
    assert_eq!("version = 1".parse::<Policy>().as_ref(), Ok(&policy));
    assert!(policy.warnings().is_empty());
}
