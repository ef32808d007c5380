//! From the tree of descriptors to limits and rules of a policy.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tollgate_http::policy::{Additions, Algorithm, Code, DescriptorRule, KeyPart, Limit, Mode};
use tollgate_http::policy::{Place, shown};
use tollgate_http::{Quota, policy};

use super::name::Names;
use super::notes::Notes;
use super::read::{Descriptor, File, Rate};

/// The longest text that all rules together may have: that of a policy.
const LONGEST: usize = 4 << 20;

/// What all files together become.
#[derive(Default)]
pub(super) struct Translation {
    pub(super) additions: Additions,
    names: Names,
    domains: HashMap<String, Domain>,
    /// How long the rules are so far.
    length: usize,
}

/// What is known of a domain.
struct Domain {
    place: Place,
    /// The places of its descriptors by their full keys.
    descriptors: HashMap<String, Place>,
}
