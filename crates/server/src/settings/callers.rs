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
    /// Adds to `facts` what the headers say.
    ///
    /// # Errors
    ///
    /// The name of a header that is there twice, or that is not UTF-8. A client could write such a
    /// header so that a limit does not find its key.
    pub fn read<'n, 'a>(
        &'n self,
        headers: &'a HeaderMap,
        mut facts: Facts<'a>,
    ) -> Result<Facts<'a>, &'n HeaderName> {
        let only = |name: &'n Option<HeaderName>| match name {
            Some(name) => only_text(headers, name),
            None => Ok(None),
        };
        if let Some(user) = only(&self.user)? {
            facts = facts.user(user);
        }
        if let Some(key) = only(&self.api_key)? {
            facts = facts.api_key(without_scheme(key));
        }
        if let Some(tier) = only(&self.tier)? {
            facts = facts.tier(tier);
        }
        Ok(facts)
    }
}

/// The only value of a header, without white space around it.
///
/// # Errors
///
/// The header's name, if it is there twice, or is not UTF-8.
pub(crate) fn only_text<'n, 'a>(
    headers: &'a HeaderMap,
    name: &'n HeaderName,
) -> Result<Option<&'a str>, &'n HeaderName> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| values.next().is_none());
    text.map(|text| Some(text.trim())).ok_or(name)
}

/// The credentials of the scheme `Bearer`, whose name is in any case (RFC 9110, section 11.1).
fn without_scheme(value: &str) -> &str {
    match value.split_once([' ', '\t']) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_there_twice_is_an_error() {
        let name = HeaderName::from_static("x-user");
        let mut headers = HeaderMap::new();
        headers.append(&name, http::HeaderValue::from_static("alice"));
        assert_eq!(only_text(&headers, &name), Ok(Some("alice")));
        headers.append(&name, http::HeaderValue::from_static("bob"));
        assert_eq!(only_text(&headers, &name), Err(&name));
    }

    #[test]
    fn the_scheme_is_left_out() {
        assert_eq!(without_scheme("bearer  k-1"), "k-1");
        assert_eq!(without_scheme("Bearer\tk-1"), "k-1");
        assert_eq!(without_scheme("k-1"), "k-1");
        assert_eq!(without_scheme("Basic abc"), "Basic abc");
    }
}
