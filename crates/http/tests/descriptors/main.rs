//! Descriptors of Envoy's rate limit service: which rule is found, and decisions about several.

mod matching;
mod metrics;
mod request;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/stores.rs"]
mod stores;
mod together;
mod without_memory;

use tollgate_http::HttpLimiter;
use tollgate_http::engine::{Descriptor, DescriptorsDecision};

type Entries<'a> = &'a [(&'a str, &'a str)];

/// Decides about descriptors of the domain `edge`, each with its hits.
fn decide(limiter: &HttpLimiter, descriptors: &[(Entries<'_>, u64)]) -> DescriptorsDecision {
    let descriptors: Vec<Descriptor<'_>> =
        descriptors.iter().map(|(entries, hits)| Descriptor::new(entries).hits(*hits)).collect();
    limiter.decide_descriptors("edge", &descriptors).now().expect("memory answers at once")
}

/// Which descriptors are not over their limit.
fn allowed(decided: &DescriptorsDecision) -> Vec<bool> {
    decided.descriptors().iter().map(|descriptor| descriptor.decision().is_allowed()).collect()
}

/// What is left of the first limit of each descriptor.
fn left(decided: &DescriptorsDecision) -> Vec<u64> {
    let first = |descriptor: &tollgate_http::engine::DescriptorDecision| {
        descriptor.decision().limits().next().map_or(u64::MAX, |limit| limit.remaining())
    };
    decided.descriptors().iter().map(first).collect()
}
