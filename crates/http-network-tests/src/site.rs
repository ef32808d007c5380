//! What the servers of the tests serve.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use tollgate::ManualClock;
use tollgate_http::{Facts, HttpLimiter, Policy, RateLimitHandle};

/// The limiter of a policy in TOML, whose version is added.
#[must_use]
pub fn limiter(policy: &str) -> HttpLimiter {
    HttpLimiter::new(parsed(policy)).expect("a limiter")
}

/// The same, under a clock that stands still: so each wait that is told is known exactly.
#[must_use]
pub fn frozen_limiter(policy: &str) -> HttpLimiter {
    HttpLimiter::builder(parsed(policy)).clock(ManualClock::new()).build().expect("a limiter")
}

fn parsed(policy: &str) -> Policy {
    Policy::from_toml(&format!("version = 1\n{policy}")).expect("a policy")
}

/// The permits that a GET request from 127.0.0.1 has left in each of its limits; takes nothing.
#[must_use]
pub fn left(limiter: &HttpLimiter, path: &str) -> Vec<u64> {
    let facts = Facts::new("GET", path).peer(IpAddr::from(Ipv4Addr::LOCALHOST));
    let explanation = limiter.explain(&facts).expect("memory answers at once");
    explanation.limits().map(|limit| limit.remaining()).collect()
}

/// A handler that tells what was decided: the limits of its request in order, each as
/// `NAME KEY: REMAINING`, joined by `, `.
pub async fn tell(limits: RateLimitHandle) -> String {
    let mut text = String::new();
    for limit in limits.limits() {
        let separator = if text.is_empty() { "" } else { ", " };
        write!(text, "{separator}{} {}: {}", limit.name(), limit.key(), limit.remaining())
            .expect("a string takes all");
    }
    text
}

/// How many answers of which status a server has given.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<u16, u64>>>);

impl Calls {
    /// The count of each status, in order.
    #[must_use]
    pub fn statuses(&self) -> Vec<(u16, u64)> {
        self.0.lock().expect("no panic under the lock").iter().map(|(s, n)| (*s, *n)).collect()
    }

    /// The count of a status.
    #[must_use]
    pub fn of(&self, status: u16) -> u64 {
        self.0.lock().expect("no panic under the lock").get(&status).copied().unwrap_or(0)
    }

    fn count(&self, status: u16) {
        *self.0.lock().expect("no panic under the lock").entry(status).or_default() += 1;
    }
}

/// Counts the answers of all that `router` has by now.
pub fn count_statuses(router: Router) -> (Router, Calls) {
    let calls = Calls::default();
    let counting = middleware::from_fn_with_state(calls.clone(), count);
    (router.layer(counting), calls)
}

async fn count(State(calls): State<Calls>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    calls.count(response.status().as_u16());
    response
}
