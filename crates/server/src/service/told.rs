//! What is written once about a set-up that does something else than its operator may think.

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use tollgate_http::address::Peer;
use tollgate_http::{Decision, Facts, HttpLimiter};

/// What was written already.
#[derive(Default)]
pub(super) struct Told {
    untrusted_proxy: AtomicBool,
    no_status: AtomicBool,
}

impl Told {
    /// A proxy names its client, and the policy does not believe it: then all clients of the proxy
    /// are one.
    pub(super) fn untrusted_proxy(
        &self,
        limiter: &HttpLimiter,
        facts: &Facts<'_>,
        peer: Peer,
        headers: &HeaderMap,
    ) {
        let names_client =
            || headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if self.untrusted_proxy.load(Ordering::Relaxed) || !names_client() {
            return;
        }
        if !limiter.reads_client_of(facts) && !self.untrusted_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                ?peer,
                "a proxy names its client, and `[client]` of the policy does not believe it: all \
                 clients of this proxy count as one. Set `header` and `trusted_proxies` there"
            );
        }
    }

    /// A route charges only some statuses, and nobody will tell the status.
    pub(super) fn no_status(&self, decision: &Decision) {
        if !self.no_status.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                route = decision.route(),
                "the route has `charge`, and a proxy that asks by forward-auth does not tell the \
                 status of the answer: every request is charged"
            );
        }
    }
}
