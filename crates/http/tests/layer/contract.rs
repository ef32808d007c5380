//! What the types promise, whatever they do: threads, futures, errors.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::Future;

use tollgate_http::address::{ClientAddress, Network, NoPeer, Peer, Prefixes};
use tollgate_http::engine::store::{
    Answer, Charge, Identity, LimitSpec, Memory, Reply, StoreError, Verb, Verdict,
};
use tollgate_http::engine::{
    Deciding, Explanation, Hashed, HttpLimiterBuilder, Key, KeyParts, LimitReport, Part,
};
use tollgate_http::layer::{RateLimit, ResponseBody, ResponseFuture};
use tollgate_http::policy::{LoadError, PolicyError};
use tollgate_http::{
    BuildError, Caller, Decision, Facts, HttpLimiter, Outcome, Policy, RateLimitHandle,
    RateLimitLayer, Violation,
};

use crate::probe::{Probe, answer, behind, request};
use crate::scene::{limiter, policy};

fn shared<T: Send + Sync + Unpin + Debug>() {}
fn cloned<T: Clone + Send + Sync + Unpin + Debug + 'static>() {}
fn value<T: Copy + Eq + Debug + Send + Sync + 'static>() {}
fn error<T: Error + Display + Send + Sync + 'static>() {}
fn spawned<T: Future + Send + 'static>(_: &T) {}

fn debugged<S: tower_service::Service<http::Request<B>>, B>(_: &ResponseFuture<S, B>) -> bool
where
    ResponseFuture<S, B>: Debug,
{
    true
}

fn sent<T: Send + 'static>() {}
fn polled<T: Future + Send + Unpin + Debug + 'static>() {}

#[test]
fn types_are_shared_between_threads() {
    cloned::<HttpLimiter>();
    cloned::<RateLimitLayer>();
    cloned::<RateLimit<()>>();
    cloned::<RateLimitHandle>();
    cloned::<Caller>();
    cloned::<Decision>();
    cloned::<Policy>();
    cloned::<Violation>();
    cloned::<Key>();
    cloned::<KeyParts>();
    cloned::<Part>();
    cloned::<Charge>();
    cloned::<LimitSpec>();
    cloned::<Identity>();
    cloned::<ClientAddress>();
    shared::<Facts<'_>>();
    shared::<LimitReport<'_>>();
    shared::<Explanation>();
    shared::<Memory>();
    shared::<ResponseBody<String>>();
    value::<Outcome>();
    value::<Hashed>();
    value::<Peer>();
    value::<Network>();
    value::<Prefixes>();
    value::<Answer>();
    value::<Verb>();
    value::<Verdict>();
}

#[test]
fn futures_and_builders_are_sent_to_other_threads() {
    polled::<Deciding>();
    sent::<HttpLimiterBuilder>();
    sent::<Reply>();
    let (limiter, _clock) = limiter(&policy(""));
    let mut service = behind(&limiter, Probe::new(|_| answer(200)));
    spawned(&crate::probe::call(&mut service, request("/")));
    assert!(debugged(&crate::probe::call(&mut service, request("/"))));
}

#[test]
fn errors_are_errors() {
    error::<BuildError>();
    error::<StoreError>();
    error::<PolicyError>();
    error::<LoadError>();
    error::<NoPeer>();
}
