//! The header field in which a request carries its key.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use http::request::Parts;

/// The header field in which a request carries its key.
///
/// ```
/// use http::Request;
/// use tollgate_http::llm::KeyHeader;
///
/// let request = Request::post("https://api.anthropic.com/v1/messages").body(())?;
/// let (mut parts, ()) = request.into_parts();
/// KeyHeader::ByHost.insert("sk-1", &mut parts)?;
/// assert_eq!(parts.headers["x-api-key"], "sk-1");
/// KeyHeader::Bearer.insert("sk-1", &mut parts)?;
/// assert_eq!(parts.headers["authorization"], "Bearer sk-1");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyHeader {
    /// The one of the provider that the host of the request belongs to: `x-api-key` for Anthropic,
    /// `api-key` for Azure, `x-goog-api-key` for Gemini, and [`Bearer`](Self::Bearer) for all
    /// others.
    #[default]
    ByHost,
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A field of this name with the key alone.
    Named(HeaderName),
}

const ANTHROPIC: HeaderName = HeaderName::from_static("x-api-key");
const AZURE: HeaderName = HeaderName::from_static("api-key");
const GEMINI: HeaderName = HeaderName::from_static("x-goog-api-key");

impl KeyHeader {
    /// Puts the key into a request, in place of the one that is there. The value is marked as
    /// sensitive, so that no log shows it.
    ///
    /// # Errors
    ///
    /// If the key contains bytes that a header must not contain.
    pub fn insert(&self, key: &str, request: &mut Parts) -> Result<(), InvalidHeaderValue> {
        let name = match self {
            Self::ByHost => by_host(request.uri.host().unwrap_or_default()),
            Self::Bearer => None,
            Self::Named(name) => Some(name.clone()),
        };
        let mut value = match &name {
            Some(_) => HeaderValue::from_str(key)?,
            None => HeaderValue::try_from(["Bearer ", key].concat())?,
        };
        value.set_sensitive(true);
        request.headers.insert(name.unwrap_or(AUTHORIZATION), value);
        Ok(())
    }
}

/// The name of the field for a host; `None` if it is `Authorization`.
fn by_host(host: &str) -> Option<HeaderName> {
    let is_of = |domain: &str| {
        let start = host.len().checked_sub(domain.len());
        start.is_some_and(|start| {
            let is_whole = start == 0 || host.as_bytes()[start - 1] == b'.';
            is_whole && host.as_bytes()[start..].eq_ignore_ascii_case(domain.as_bytes())
        })
    };
    if is_of("anthropic.com") {
        Some(ANTHROPIC)
    } else if is_of("azure.com") {
        Some(AZURE)
    } else if is_of("generativelanguage.googleapis.com") {
        Some(GEMINI)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_field() {
        for (host, name) in [
            ("api.anthropic.com", Some(ANTHROPIC)),
            ("API.Anthropic.COM", Some(ANTHROPIC)),
            ("anthropic.com", Some(ANTHROPIC)),
            ("my-resource.openai.azure.com", Some(AZURE)),
            ("x.services.ai.azure.com", Some(AZURE)),
            ("generativelanguage.googleapis.com", Some(GEMINI)),
            ("api.openai.com", None),
            ("notanthropic.com", None),
            ("anthropic.com.example.org", None),
            ("", None),
        ] {
            assert_eq!(by_host(host), name, "{host}");
        }
    }

    #[test]
    fn keys_are_sensitive_and_must_be_text() {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        KeyHeader::ByHost.insert("sk-1", &mut parts).expect("a valid key");
        assert!(parts.headers[AUTHORIZATION].is_sensitive());
        assert!(!format!("{parts:?}").contains("sk-1"));
        let named = KeyHeader::Named(HeaderName::from_static("x-key"));
        assert!(named.insert("sk\r\nhost: x", &mut parts).is_err());
        assert!(!parts.headers.contains_key("x-key"));
    }
}
