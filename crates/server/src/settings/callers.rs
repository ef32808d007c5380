//! Who the caller of a forwarded request is.

use http::{HeaderMap, HeaderName};
use tollgate_http::Facts;

/// The headers by which a proxy tells who the caller of a forwarded request is. The proxy must set
/// them, or remove them, in each request: else a client chooses who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// The header with the user's name.
    pub user: Option<HeaderName>,
    /// The header with the API key. Of `Authorization`, the scheme `Bearer` is left out.
    pub api_key: Option<HeaderName>,
    /// The header with the tier.
    pub tier: Option<HeaderName>,
}

impl Callers {
    /// Adds to `facts` what the headers say. A header that is there twice, or that is not text,
    /// says nothing.
    #[must_use]
    pub fn read<'a>(&self, headers: &'a HeaderMap, mut facts: Facts<'a>) -> Facts<'a> {
        if let Some(user) = only(self.user.as_ref(), headers) {
            facts = facts.user(user);
        }
        if let Some(key) = only(self.api_key.as_ref(), headers) {
            facts = facts.api_key(without_scheme(key));
        }
        if let Some(tier) = only(self.tier.as_ref(), headers) {
            facts = facts.tier(tier);
        }
        facts
    }
}

/// The only value of a header.
fn only<'a>(name: Option<&HeaderName>, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut values = headers.get_all(name?).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// The credentials of the scheme `Bearer`, whose name is in any case (RFC 9110, section 11.1).
fn without_scheme(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_there_twice_says_nothing() {
        let name = HeaderName::from_static("x-user");
        let mut headers = HeaderMap::new();
        headers.append(&name, http::HeaderValue::from_static("alice"));
        assert_eq!(only(Some(&name), &headers), Some("alice"));
        headers.append(&name, http::HeaderValue::from_static("bob"));
        assert_eq!(only(Some(&name), &headers), None);
    }

    #[test]
    fn the_scheme_is_left_out() {
        assert_eq!(without_scheme("bearer  k-1"), "k-1");
        assert_eq!(without_scheme("k-1"), "k-1");
        assert_eq!(without_scheme("Basic abc"), "Basic abc");
    }
}
