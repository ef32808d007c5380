//! Routes in code.

use super::fields::Fields;
use super::texts;
use crate::policy::source::Value;

/// A route: `[[routes]]` of a file.
///
/// ```
/// use tollgate_http::policy::Route;
/// let login = Route::new("/login").methods(["POST"]).limits(["login"]).charge([401, 403]);
/// let export = Route::new("/v1/exports/{id}")
///     .limits(["calls", "export"])
///     .cost(5)
///     .cost_of("export", 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a route does nothing until it is part of a policy"]
pub struct Route {
    pub(super) fields: Fields,
}

impl Route {
    /// A route with this [pattern of paths](crate::policy::PathPattern), for all methods and
    /// hosts, with the limits of every request only.
    pub fn new(path: &str) -> Self {
        let mut fields = Fields::default();
        fields.set("path", path);
        Self { fields }
    }

    /// The name in metrics, logs and keys. Default: the pattern of paths.
    pub fn name(mut self, name: &str) -> Self {
        self.fields.set("name", name);
        self
    }

    /// The methods, in upper case. `GET` also matches `HEAD`. Default: all.
    pub fn methods<S: Into<String>>(mut self, methods: impl IntoIterator<Item = S>) -> Self {
        self.fields.set("method", texts(methods));
        self
    }

    /// The host, or `*.example.com` for all hosts below `example.com`. Case, port and a final dot
    /// of a request's host do not count. Default: all.
    pub fn host(mut self, host: &str) -> Self {
        self.fields.set("host", host);
        self
    }

    /// The names of the limits, in this order, behind those of every request.
    pub fn limits<S: Into<String>>(mut self, limits: impl IntoIterator<Item = S>) -> Self {
        self.fields.set("limits", texts(limits));
        self
    }

    /// How many permits of each limit a request takes, at least 1. Default: 1.
    pub fn cost(mut self, permits: u64) -> Self {
        self.fields.set("cost", permits);
        self
    }

    /// How many permits of this one limit a request takes.
    pub fn cost_of(mut self, limit: &str, permits: u64) -> Self {
        self.fields.push_in("costs", limit, permits);
        self
    }

    /// The statuses of an answer after which the route's own limits stay charged; after any other
    /// they get their permits back. A class is a range: `500..=599`. Default: all.
    pub fn charge(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        let statuses: Value = statuses.into_iter().map(u64::from).collect();
        self.fields.set("charge", statuses);
        self
    }

    /// Whether the limits of every request hold here. Default: yes.
    pub fn always(mut self, always: bool) -> Self {
        self.fields.set("always", always);
        self
    }

    /// The same from sorted ranges, with whole classes as words such as `4xx`.
    pub(super) fn charge_ranges(mut self, ranges: &[(u16, u16)]) -> Self {
        let mut values: Vec<Value> = Vec::new();
        for &(first, last) in ranges {
            let mut status = first;
            while status <= last {
                let class_ends = status.saturating_add(99);
                if status.is_multiple_of(100) && class_ends <= last {
                    values.push(format!("{}xx", status / 100).into());
                    status = class_ends.saturating_add(1);
                } else {
                    values.push(u64::from(status).into());
                    status = status.saturating_add(1);
                }
            }
        }
        self.fields.set("charge", values.into_iter().collect::<Value>());
        self
    }
}
