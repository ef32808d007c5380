//! Who asks, and the key that this caller's limit has.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Who asks, as far as the program knows, and how long this caller is willing to wait.
///
/// ```
/// use std::time::Duration;
/// use tollgate_llm_clients::agent::Context;
/// let batch = Context::of_user("alice").with_patience(Duration::from_mins(1));
/// assert_eq!(batch.key(), "user:alice");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    user: Option<String>,
    address: Option<IpAddr>,
    patience: Duration,
}

impl Context {
    /// A caller of whom nothing is known.
    ///
    /// ```
    /// use tollgate_llm_clients::agent::Context;
    /// assert_eq!(Context::anonymous().key(), "global");
    /// ```
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A user whom the program has authenticated. A name that the client merely claims must not
    /// come here: with another name for each request, nobody would ever reach a limit.
    #[must_use]
    pub fn of_user(user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..Self::default() }
    }

    /// The same caller, at this address. Behind a proxy, this must be the address that the proxy
    /// reports, not that of the proxy.
    ///
    /// ```
    /// use tollgate_llm_clients::agent::Context;
    /// let visitor = Context::anonymous().with_address([192, 0, 2, 7].into());
    /// assert_eq!(visitor.key(), "address:192.0.2.7");
    /// ```
    #[must_use]
    pub fn with_address(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The same caller, who waits up to this long for a full answer before a lesser one will do.
    /// Default: zero.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The name of the user, if there is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The address of the caller, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// How long the caller waits for a full answer.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The key of the caller's limit: the user, else the address, else `"global"`, which all
    /// callers share of whom nothing is known.
    ///
    /// Each key begins with what it is, so no user name can be taken for an address or for
    /// `"global"`. All addresses of one IPv6 network (/64) have one key, because a client usually
    /// controls all of them.
    ///
    /// ```
    /// use tollgate_llm_clients::agent::Context;
    /// assert_eq!(Context::of_user("global").key(), "user:global");
    /// let visitor = Context::anonymous().with_address("2001:db8::1:2:3:4".parse()?);
    /// assert_eq!(visitor.key(), "address:2001:db8::/64");
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.user, self.address.map(|address| address.to_canonical())) {
            (Some(user), _) => format!("user:{user}"),
            (None, Some(IpAddr::V4(address))) => format!("address:{address}"),
            (None, Some(IpAddr::V6(address))) => {
                let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
                format!("address:{network}/64")
            }
            (None, None) => "global".to_owned(),
        }
    }
}
