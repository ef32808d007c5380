//! The kinds of problems.

use std::fmt;

/// Writes an enum whose variants are words, and the words.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal,)*) => {
        /// What kind of problem it is, as a word that never changes.
        #[doc = include_str!("codes.md")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// The word, such as `unknown-limit`.
            ///
            /// ```
            /// use tollgate_http::policy::Code;
            /// assert_eq!(Code::UnknownLimit.as_str(), "unknown-limit");
            /// ```
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)*
                }
            }
        }
    };
}

codes! {
    /// The text is not TOML, YAML or JSON.
    Syntax = "syntax",
    /// A setting that does not exist.
    UnknownKey = "unknown-key",
    /// A limit that is not in `[limits]`.
    UnknownLimit = "unknown-limit",
    /// A tier that is not in `[tiers]`.
    UnknownTier = "unknown-tier",
    /// A text that is not a quota, or a quota that the limit's algorithm does not accept.
    BadQuota = "bad-quota",
    /// A text that is neither an address nor a network.
    BadAddress = "bad-address",
    /// A network whose address has bits behind the prefix.
    HostBits = "host-bits",
    /// All addresses are trusted, so every client could choose its address.
    TrustsEverybody = "trusts-everybody",
    /// The length of a prefix is out of range.
    BadPrefix = "bad-prefix",
    /// A part of the key can be missing, and `missing` is not set.
    MissingUnset = "missing-unset",
    /// A required setting is missing.
    MissingValue = "missing-value",
    /// A request costs more than a limit can ever have.
    CostOverBurst = "cost-over-burst",
    /// A cost that is not a whole number of at least 1.
    BadCost = "bad-cost",
    /// An earlier route takes all requests of this one.
    UnreachableRoute = "unreachable-route",
    /// A name that is used twice.
    DuplicateName = "duplicate-name",
    /// A text that is not a pattern of paths.
    BadPath = "bad-path",
    /// A text that is not an HTTP method.
    BadMethod = "bad-method",
    /// Two entries about the same subject.
    DuplicateSubject = "duplicate-subject",
    /// Two settings that cannot both hold.
    Contradiction = "contradiction",
    /// The version is missing, or this program does not know it.
    BadVersion = "bad-version",
    /// Two settings of which only one may be given.
    BothGiven = "both-given",
    /// A header is to be read, but nobody is trusted to write it.
    NobodyTrusted = "nobody-trusted",
    /// A number that is not a status, or not one that is possible here.
    BadStatus = "bad-status",
    /// An API key that is not written as its SHA-256.
    RawApiKey = "raw-api-key",
    /// Any other value that is not possible here.
    BadValue = "bad-value",
    /// A warning: no request meets this limit.
    UnusedLimit = "unused-limit",
    /// A warning: the tier has no quota, and the policy gives it to nobody.
    UnusedTier = "unused-tier",
    /// A warning: a setting without effect.
    UnusedSetting = "unused-setting",
    /// A warning: another limit always refuses first.
    RedundantLimit = "redundant-limit",
    /// A warning: a method that is not registered.
    UnknownMethod = "unknown-method",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
