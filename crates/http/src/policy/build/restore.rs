//! From the settings of a checked policy back to the builder that makes them: what is printed.

use super::{DescriptorRule, Limit, Penalty, PolicyBuilder, Response, Route, Subject, Tier};
use crate::policy::settings::{
    self, Algorithm, BodyForm, HostPattern, Mode, ResetForm, Settings, WhenFull, Who,
};

/// The builder of a policy with these settings. Settings that have their default are left out.
pub(in crate::policy) fn restored(settings: &Settings) -> PolicyBuilder {
    let mut builder = PolicyBuilder::default().client(settings.client.clone());
    if settings.mode != Mode::default() {
        builder = builder.mode(settings.mode);
    }
    if !settings.always.is_empty() {
        builder = builder.always(&settings.always);
    }
    if let Some(tier) = &settings.default_tier {
        builder = builder.default_tier(tier);
    }
    builder = settings.limits.iter().map(limit).fold(builder, PolicyBuilder::limit);
    builder = settings.tiers.iter().map(tier).fold(builder, PolicyBuilder::tier);
    builder = settings.subjects.iter().map(subject).fold(builder, PolicyBuilder::subject);
    builder = settings.routes.iter().map(route).fold(builder, PolicyBuilder::route);
    let rules = settings.descriptors.iter().map(descriptor);
    builder = rules.fold(builder, PolicyBuilder::descriptor);
    builder = builder.response(response(&settings.response));
    if let Some(settings) = &settings.penalty {
        builder = builder.penalty(
            Penalty::new(settings.after, settings.block)
                .key(settings.key.clone())
                .growth(settings.growth)
                .max(settings.max)
                .forget(settings.forget),
        );
    }
    builder
}

fn limit(settings: &settings::Limit) -> Limit {
    let mut limit = Limit::new(&settings.name, settings.quota).key(settings.key.clone());
    if let Some(missing) = settings.missing {
        limit = limit.missing(missing);
    }
    if settings.algorithm != Algorithm::default() {
        limit = limit.algorithm(settings.algorithm);
    }
    if settings.status != 429 {
        limit = limit.status(settings.status);
    }
    if settings.mode != Mode::default() {
        limit = limit.mode(settings.mode);
    }
    if let Some(bits) = settings.ipv4_prefix {
        limit = limit.ipv4_prefix(bits);
    }
    if let Some(bits) = settings.ipv6_prefix {
        limit = limit.ipv6_prefix(bits);
    }
    if let Some(most) = settings.max_keys {
        limit = limit.max_keys(most);
    }
    if settings.when_full != WhenFull::default() {
        limit = limit.when_full(settings.when_full);
    }
    limit
}

fn tier(settings: &settings::Tier) -> Tier {
    let tier = Tier::new(&settings.name);
    settings.quotas.iter().fold(tier, |tier, (name, quota)| tier.limit(name, *quota))
}

fn subject(settings: &settings::Subject) -> Subject {
    let mut subject = match &settings.who {
        Who::User(user) => Subject::user(user),
        Who::ApiKey(hash) => Subject::api_key_sha256(*hash),
        Who::Address(network) => Subject::address(*network),
    };
    if let Some(tier) = &settings.tier {
        subject = subject.tier(tier);
    }
    for (name, quota) in &settings.limits {
        subject = subject.limit(name, *quota);
    }
    if settings.exempt {
        subject = subject.exempt();
    }
    match (settings.blocked, settings.until) {
        (true, Some(until)) => subject.blocked_until(until),
        (true, None) => subject.blocked(),
        (false, _) => subject,
    }
}

fn route(settings: &settings::Route) -> Route {
    let mut route = Route::new(&settings.path.text);
    if settings.name != settings.path.text {
        route = route.name(&settings.name);
    }
    if !settings.methods.is_empty() {
        route = route.methods(&settings.methods);
    }
    match &settings.host {
        Some(HostPattern::Exact(host)) => route = route.host(host),
        Some(HostPattern::Below(host)) => route = route.host(&format!("*.{host}")),
        None => {}
    }
    if !settings.limits.is_empty() {
        route = route.limits(&settings.limits);
    }
    if settings.cost != 1 {
        route = route.cost(settings.cost);
    }
    for (name, cost) in &settings.costs {
        route = route.cost_of(name, *cost);
    }
    if let Some(ranges) = &settings.charge {
        route = route.charge_ranges(ranges);
    }
    if !settings.always {
        route = route.always(false);
    }
    route
}

fn descriptor(settings: &settings::DescriptorRule) -> DescriptorRule {
    let mut rule = DescriptorRule::new(&settings.domain);
    for entry in &settings.entries {
        rule = rule.matching(entry);
    }
    if !settings.limits.is_empty() {
        rule = rule.limits(&settings.limits);
    }
    if settings.blocked {
        rule = rule.blocked();
    }
    if settings.as_request {
        rule = rule.as_request();
    }
    if settings.owe {
        rule = rule.owe();
    }
    rule
}

fn response(settings: &settings::Response) -> Response {
    let mut response = Response::new();
    if settings.headers != settings::Response::default().headers {
        response = response.headers(settings.headers.iter().copied());
    }
    if settings.x_ratelimit_reset != ResetForm::default() {
        response = response.x_ratelimit_reset(settings.x_ratelimit_reset);
    }
    if settings.body != BodyForm::default() {
        response = response.body(settings.body);
    }
    response
}
