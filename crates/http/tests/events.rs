//! Events of `tracing`: sampled, and without secrets. (In a file of its own, because what one test
//! hears depends on what others listen to.)

#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/scene.rs"]
mod scene;

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use tollgate_http::Facts;
use tollgate_http::engine::Descriptor;

use scene::{decide, facts, limiter, policy};

/// An event: its target, its level, and `name=value` of each field.
type Told = (String, Level, String);

/// Keeps every event.
#[derive(Clone)]
struct Recorder {
    events: Arc<Mutex<Vec<Told>>>,
    most: Level,
}

impl Recorder {
    fn of(most: Level) -> Self {
        Self { events: Arc::default(), most }
    }

    /// The events of this crate since the last call.
    fn take(&self) -> Vec<(Level, String)> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let told = std::mem::take(&mut *events).into_iter();
        told.filter(|(target, ..)| target == "tollgate_http")
            .map(|(_, level, text)| (level, text))
            .collect()
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let (target, level) = (event.metadata().target().to_owned(), *event.metadata().level());
        let told = (target, level, fields.0);
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

const POLICY: &str = r#"
    default_tier = "free"
    always = ["site"]
    [limits.site]
    quota = "1000/h"
    key = "address"
    [limits.calls]
    quota = "1/day"
    key = "caller"
    [limits.daily]
    quota = "2/day"
    key = ["user", "header:x-tenant"]
    missing = "share"
    [limits.trial]
    quota = "1/day"
    key = "caller"
    mode = "shadow"
    [tiers.free]
    calls = "1/day"
    [[subjects]]
    user = "eve-blocked"
    blocked = true
    [[routes]]
    name = "items"
    path = "/items"
    limits = ["calls"]
    [[routes]]
    name = "trial"
    path = "/trial"
    limits = ["trial", "daily"]
"#;

/// One test, because the callsites of `tracing` are shared: two tests that begin at once may each
/// keep events from the other.
#[test]
fn events() {
    the_first_refusal_of_each_key_and_minute_is_told();
    shadow_limits_tell_what_they_would_refuse();
    a_penalty_is_a_warning();
    an_unknown_peer_is_told_once();
    an_unknown_tier_is_told_once_a_minute();
    an_address_that_is_none_is_told_once_a_minute();
    reloads_are_told();
    warnings_of_the_first_policy_are_told();
    no_secret_is_told();
    nothing_is_sampled_if_nobody_listens();
}

fn the_first_refusal_of_each_key_and_minute_is_told() {
    let recorder = Recorder::of(Level::INFO);
    let (limiter, clock) = limiter(&policy(POLICY));
    tracing::subscriber::with_default(recorder.clone(), || {
        let request = |user: &str| decide(&limiter, &facts("/items").user(user));
        for _ in 0..10 {
            request("alice");
        }
        let refused = request("alice");
        let calls = refused.limits().find(|limit| limit.name() == "calls").unwrap();
        let hash = limiter.hash_of_key(calls.key());
        let told = |suppressed: u64, wait: &str| {
            format!(
                "message=refused reason=\"limit\" limit=calls route=\"items\" tier=\"free\" \
                 key_kind=user key_hash={hash} wait={wait} suppressed={suppressed} "
            )
        };
        assert_eq!(sorted(recorder.take()), [(Level::INFO, sort(&told(0, "86400s")))]);
        // Another key is told at once, with the number of those that were not.
        request("bob");
        request("bob");
        let events = recorder.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].1.contains("suppressed=9 "), "{events:?}");
        // A minute later, the first is told again.
        clock.advance(Duration::from_secs(59));
        request("alice");
        assert_eq!(recorder.take(), []);
        clock.advance(Duration::from_secs(1));
        request("alice");
        request("alice");
        assert_eq!(sorted(recorder.take()), [(Level::INFO, sort(&told(1, "86340s")))]);
        // Other refusals are told once for all.
        for user in ["eve-blocked", "eve-blocked"] {
            request(user);
        }
        let events = recorder.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].1.contains("reason=\"blocked\""), "{events:?}");
    });
}

/// The fields of events in alphabetical order.
fn sorted(events: Vec<(Level, String)>) -> Vec<(Level, String)> {
    events.into_iter().map(|(level, text)| (level, sort(&text))).collect()
}

fn sort(text: &str) -> String {
    let mut fields: Vec<&str> = text.split_whitespace().collect();
    fields.sort_unstable();
    fields.join(" ")
}

fn shadow_limits_tell_what_they_would_refuse() {
    let recorder = Recorder::of(Level::INFO);
    let (limiter, _clock) = limiter(&policy(POLICY));
    tracing::subscriber::with_default(recorder.clone(), || {
        // The third is refused by another limit, so the shadow limit is not asked.
        for _ in 0..3 {
            decide(&limiter, &facts("/trial").user("alice"));
        }
        let events = recorder.take();
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[0].1.contains("message=would refuse limit=trial"), "{events:?}");
        assert!(events[0].1.contains("key_kind=user key_hash="), "{events:?}");
        assert!(events[1].1.contains("limit=daily"), "{events:?}");
        assert!(events[1].1.contains("key_kind=user+missing"), "{events:?}");
    });
}

fn a_penalty_is_a_warning() {
    let recorder = Recorder::of(Level::INFO);
    let text = format!(
        "{POLICY}[penalty]\nkey = 'caller'\nafter = '1/h'\nblock = '1h'\nmax = '1h'\nforget = '1day'"
    );
    let (limiter, clock) = limiter(&policy(&text));
    tracing::subscriber::with_default(recorder.clone(), || {
        for _ in 0..3 {
            decide(&limiter, &facts("/items").user("alice"));
        }
        let events = recorder.take();
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(events[1].0, Level::WARN);
        let hash = limiter.hash_of_key(&limiter.penalties()[0].0);
        for field in ["message=a penalty begins", "limit=calls", "key_kind=user", "wait=3600s"] {
            assert!(events[1].1.contains(field), "{field}: {events:?}");
        }
        assert!(events[1].1.contains(&format!("key_hash={hash}")), "{events:?}");
        clock.advance(Duration::from_secs(100));
        for _ in 0..3 {
            decide(&limiter, &facts("/items").user("alice"));
        }
        let events = recorder.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].1.contains("reason=\"penalty\""), "{events:?}");
    });
}

fn an_unknown_peer_is_told_once() {
    let recorder = Recorder::of(Level::INFO);
    let (limiter, _clock) = limiter(&policy(POLICY));
    tracing::subscriber::with_default(recorder.clone(), || {
        for _ in 0..3 {
            assert_eq!(decide(&limiter, &Facts::new("GET", "/items")).status(), Some(500));
        }
    });
    let events = recorder.take();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].0, Level::ERROR);
    assert!(events[0].1.contains("into_make_service_with_connect_info"), "{events:?}");
    let names_feature = events[0].1.contains("the feature `axum` of tollgate-http is off");
    assert_eq!(names_feature, cfg!(not(feature = "axum")), "{events:?}");
}

fn an_unknown_tier_is_told_once_a_minute() {
    let recorder = Recorder::of(Level::WARN);
    let (limiter, clock) = limiter(&policy(POLICY));
    tracing::subscriber::with_default(recorder.clone(), || {
        let request = |tier: &str| {
            assert_eq!(decide(&limiter, &facts("/").tier(tier)).tier(), Some("free"));
        };
        request("free");
        assert_eq!(recorder.take(), []);
        for _ in 0..3 {
            request("fre");
        }
        let events = recorder.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].0, Level::WARN);
        for field in ["nearest=\"free\" ", "default_tier=\"free\" ", "suppressed=0 "] {
            assert!(events[0].1.contains(field), "{field}: {events:?}");
        }
        // Another name is told at once, and the same again after a minute.
        request("enterprise");
        let events = recorder.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(!events[0].1.contains("nearest"), "{events:?}");
        assert!(events[0].1.contains("suppressed=2 "), "{events:?}");
        clock.advance(Duration::from_secs(60));
        request("fre");
        assert_eq!(recorder.take().len(), 1);
        // Who only asks what would be decided is not told.
        clock.advance(Duration::from_secs(60));
        assert!(limiter.explain(&facts("/").tier("fre")).is_some());
        assert_eq!(recorder.take(), []);
    });
}

fn reloads_are_told() {
    let recorder = Recorder::of(Level::INFO);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    let (limiter, _clock) = limiter(&policy("[limits.calls]\nquota = '1/s'"));
    tracing::subscriber::with_default(recorder.clone(), || {
        std::fs::write(&path, "version = 1\n[limits.calls]\nquota = '2/s'").unwrap();
        limiter.reload_from_path(&path).unwrap();
        let events = recorder.take();
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!((events[0].0, events[1].0), (Level::INFO, Level::WARN));
        let warning = format!("warning={}:2:9: nobody uses the limit `calls`", path.display());
        assert!(events[1].1.contains(&warning), "{events:?}");
        let hash = limiter.policy().hash().to_owned();
        let changes = "changes=limits: 1 kept; quota of `calls`: 1/s -> 2/s";
        for field in [&*format!("hash=\"{hash}\""), changes, &*format!("file={}", path.display())] {
            assert!(events[0].1.contains(field), "{field}: {events:?}");
        }
        std::fs::write(&path, "version = 1\nalways = ['cals']\n[limits.calls]\nquota = 'x'")
            .unwrap();
        limiter.reload_from_path(&path).unwrap_err();
        let events = recorder.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].0, Level::ERROR);
        for place in ["2:11", "4:9"] {
            let place = format!("{}:{place}: ", path.display());
            assert!(events[0].1.contains(&place), "{place}: {events:?}");
        }
    });
}

fn warnings_of_the_first_policy_are_told() {
    let recorder = Recorder::of(Level::WARN);
    tracing::subscriber::with_default(recorder.clone(), || {
        let (limiter, _clock) = limiter(&policy("[limits.calls]\nquota = '1/s'"));
        let warnings = limiter.policy().warnings().to_vec();
        let events = recorder.take();
        assert_eq!((warnings.len(), events.len()), (1, 1), "{events:?}");
        assert_eq!(events[0].0, Level::WARN);
        assert!(events[0].1.contains(&warnings[0].to_string()), "{events:?}");
    });
}

/// Not even at the level `trace`, and not by the limiters of the core.
fn no_secret_is_told() {
    let recorder = Recorder::of(Level::TRACE);
    let text = format!(
        "{POLICY}[penalty]\nkey = 'caller'\nafter = '1/h'\nblock = '1h'\nmax = '1h'\nforget = '1day'"
    );
    let policy = policy(&text);
    let (limiter, _clock) = limiter(&policy);
    let mut headers = http::HeaderMap::new();
    headers.insert("x-tenant", http::HeaderValue::from_static("tenant-secret"));
    tracing::subscriber::with_default(recorder.clone(), || {
        for path in ["/items", "/trial", "/items/../trial", "/path-secret"] {
            for _ in 0..4 {
                let request = || facts(path).headers(&headers);
                decide(&limiter, &request().user("user-secret"));
                decide(&limiter, &request().api_key("api-key-secret"));
                decide(&limiter, &request().user("eve-blocked").tier("tier-secret"));
                decide(&limiter, &request());
            }
        }
        limiter.reload(&policy).unwrap();
    });
    let events = recorder.events.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(events.len() > 20, "{events:?}");
    for (.., text) in events.iter() {
        for secret in ["secret", "eve-blocked", "127.0.0.1"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

fn an_address_that_is_none_is_told_once_a_minute() {
    let recorder = Recorder::of(Level::WARN);
    let rule =
        "[[descriptors]]\ndomain = 'edge'\nentries = ['remote_address']\nlimits = ['site']\n";
    let (limiter, clock) = limiter(&policy(&format!("{POLICY}\n{rule}")));
    let ask = |value: &str| {
        let entries = [("remote_address", value)];
        let descriptors = [Descriptor::new(&entries)];
        limiter.decide_descriptors("edge", &descriptors).now().unwrap();
    };
    tracing::subscriber::with_default(recorder.clone(), || {
        ask("192.0.2.1");
        assert_eq!(recorder.take(), []);
        for suppressed in [0, 2] {
            for value in ["a-secret", "another", "a third one"] {
                ask(value);
            }
            let told = recorder.take();
            let [(Level::WARN, text)] = &told[..] else { panic!("one warning: {told:?}") };
            assert!(text.contains("domain=\"edge\""), "{text}");
            assert!(text.contains(&format!("suppressed={suppressed} ")), "{text}");
            assert!(!text.contains("secret"), "{text}");
            clock.advance(Duration::from_secs(60));
        }
    });
}

fn nothing_is_sampled_if_nobody_listens() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let request = || decide(&limiter, &facts("/items").user("alice"));
    let deaf = Recorder::of(Level::ERROR);
    tracing::subscriber::with_default(deaf.clone(), || {
        for _ in 0..5 {
            request();
        }
    });
    assert_eq!(deaf.take(), []);
    // So the first refusal that somebody hears is told, and nothing was suppressed.
    let recorder = Recorder::of(Level::INFO);
    tracing::subscriber::with_default(recorder.clone(), || {
        request();
    });
    let events = recorder.take();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].1.contains("suppressed=0 "), "{events:?}");
}
