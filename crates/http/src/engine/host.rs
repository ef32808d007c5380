//! The host of a request (rule P7).

use std::borrow::Cow;

use crate::policy::settings::HostPattern;

/// A host in lower case, without port and final dot; `None` if nothing is left.
pub(crate) fn normalised(host: &str) -> Option<Cow<'_, str>> {
    let end_of_literal = host.rfind(']').map_or(0, |at| at + 1);
    let end = host[end_of_literal..].find(':').map_or(host.len(), |at| end_of_literal + at);
    let host = host[..end].strip_suffix('.').unwrap_or(&host[..end]);
    let is_lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
    match host {
        "" => None,
        _ if is_lower => Some(Cow::Borrowed(host)),
        _ => Some(Cow::Owned(host.to_ascii_lowercase())),
    }
}

impl HostPattern {
    /// Whether the pattern matches a normalised host.
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(name) => host
                .strip_suffix(name.as_str())
                .and_then(|left| left.strip_suffix('.'))
                .is_some_and(|left| !left.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_case_port_and_final_dot() {
        for host in
            ["api.example.com", "API.Example.com:8080", "api.example.com.", "api.example.com.:80"]
        {
            assert_eq!(normalised(host).as_deref(), Some("api.example.com"));
        }
        assert_eq!(normalised("[2001:DB8::1]:443").as_deref(), Some("[2001:db8::1]"));
        assert_eq!(normalised(":80"), None);
        assert_eq!(normalised(""), None);
    }

    #[test]
    fn a_wildcard_matches_below_a_host_and_not_the_host_itself() {
        let below = HostPattern::Below("example.com".to_owned());
        assert!(below.matches("api.example.com") && below.matches("a.b.example.com"));
        assert!(!below.matches("example.com") && !below.matches("badexample.com"));
        assert!(!below.matches(".example.com"));
    }
}
