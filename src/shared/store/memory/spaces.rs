//! The namespaces that were opened, and the quotas of their limits.

use std::sync::{Arc, Weak};

use super::bucket::Terms;
use crate::shared::store::{Charge, LimitSpec, Namespace, OpenError, Rule, StoreError};

/// The most limits of a namespace.
const MOST_LIMITS: usize = 8;

/// A namespace as a caller has opened it.
#[derive(Debug)]
pub(super) struct Space {
    /// The same for all callers whose subjects are the same.
    pub(super) number: usize,
    /// The quotas of each limit.
    limits: Vec<Vec<Arc<Terms>>>,
}

impl Space {
    /// Checks that there is one charge for each limit, under a quota that exists.
    #[inline]
    pub(super) fn check(&self, charges: &[Charge]) -> Result<(), StoreError> {
        if charges.len() != self.limits.len() {
            return Err(StoreError::Misfit("a part needs one charge for each limit"));
        }
        let known = self.limits.iter().zip(charges);
        if known.into_iter().all(|(quotas, charge)| charge.quota < quotas.len()) {
            Ok(())
        } else {
            Err(StoreError::Misfit("a charge names a quota that the limit does not have"))
        }
    }

    /// The quota of each of `charges`, which must have been [checked](Self::check).
    #[inline]
    pub(super) fn terms<'a>(
        &'a self,
        charges: &'a [Charge],
    ) -> impl Iterator<Item = (&'a Arc<Terms>, &'a Charge)> {
        let limits = self.limits.iter().zip(charges);
        limits.map(|(quotas, charge)| (&quotas[charge.quota], charge))
    }
}

/// All namespaces that were ever opened.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    known: Vec<Known>,
}

/// What tells a namespace from others, and the quotas under which it is open.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    limits: Vec<KnownLimit>,
}

#[derive(Debug)]
struct KnownLimit {
    name: Arc<str>,
    rule: Rule,
    /// Callers that open the same quota share it, so that to compare quotas is to compare
    /// pointers.
    quotas: Vec<Weak<Terms>>,
}

impl Spaces {
    pub(super) fn open(&mut self, namespace: &Namespace) -> Result<Space, OpenError> {
        check(namespace)?;
        // All quotas are checked before anything is remembered.
        for limit in &namespace.limits {
            for quota in &limit.quotas {
                Terms::new(limit.rule, *quota)
                    .map_err(|error| error_in(namespace, limit, error))?;
            }
        }
        let number = self.number_of(namespace);
        let known = &mut self.known[number];
        let mut limits = Vec::with_capacity(namespace.limits.len());
        for (known, limit) in known.limits.iter_mut().zip(&namespace.limits) {
            let quotas = limit.quotas.iter().map(|quota| known.terms(*quota));
            let quotas: Result<Vec<_>, _> = quotas.collect();
            limits.push(quotas.map_err(|error| error_in(namespace, limit, error))?);
        }
        Ok(Space { number, limits })
    }

    fn number_of(&mut self, namespace: &Namespace) -> usize {
        let found = self.known.iter().position(|known| known.is(namespace));
        found.unwrap_or_else(|| {
            let limit = |limit: &LimitSpec| KnownLimit {
                name: Arc::clone(&limit.name),
                rule: limit.rule,
                quotas: Vec::new(),
            };
            let limits = namespace.limits.iter().map(limit).collect();
            self.known.push(Known { name: Arc::clone(&namespace.name), limits });
            self.known.len() - 1
        })
    }
}

impl Known {
    fn is(&self, namespace: &Namespace) -> bool {
        let same = |(known, limit): (&KnownLimit, &LimitSpec)| {
            known.name == limit.name && known.rule == limit.rule
        };
        self.name == namespace.name
            && self.limits.len() == namespace.limits.len()
            && self.limits.iter().zip(&namespace.limits).all(same)
    }
}

impl KnownLimit {
    fn terms(&mut self, quota: crate::Quota) -> Result<Arc<Terms>, crate::QuotaError> {
        self.quotas.retain(|terms| terms.strong_count() > 0);
        let shared = self.quotas.iter().filter_map(Weak::upgrade);
        if let Some(terms) = shared.into_iter().find(|terms| terms.quota() == quota) {
            return Ok(terms);
        }
        let terms = Arc::new(Terms::new(self.rule, quota)?);
        self.quotas.push(Arc::downgrade(&terms));
        Ok(terms)
    }
}

fn error_in(namespace: &Namespace, limit: &LimitSpec, error: crate::QuotaError) -> OpenError {
    OpenError::Quota { namespace: namespace.name.to_string(), limit: limit.name.to_string(), error }
}

/// Checks what holds for all rules.
fn check(namespace: &Namespace) -> Result<(), OpenError> {
    let limits = &namespace.limits;
    let is_twice = |(index, limit): (usize, &LimitSpec)| {
        limits[..index].iter().any(|other| other.name == limit.name)
    };
    let why = if limits.is_empty() {
        "it has no limits"
    } else if limits.len() > MOST_LIMITS {
        "it has more than eight limits"
    } else if limits.iter().enumerate().any(is_twice) {
        "two of its limits have the same name"
    } else if limits.iter().any(|limit| limit.quotas.is_empty()) {
        "one of its limits has no quota"
    } else if limits.iter().flat_map(|limit| &limit.quotas).any(crate::Quota::is_unlimited) {
        "one of its quotas is unlimited: do not charge requests that have no limit"
    } else {
        return Ok(());
    };
    Err(OpenError::Namespace { namespace: namespace.name.to_string(), why })
}
