//! Asks as the script reads them, and its replies as answers.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::clock;
pub(crate) use encode::{Batch, Call, micros};

use std::sync::Arc;

use tollgate::Quota;
use tollgate::shared::store::{Ask, Namespace, OpenError, Verb};

use crate::names;
use crate::numbers::{Numbers, Unfit};

/// The most limits of a namespace.
const MOST_LIMITS: usize = 8;

/// The namespaces with which a store was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    namespaces: Arc<[Spec]>,
}

/// A namespace as it goes over the wire.
#[derive(Debug)]
struct Spec {
    /// What its keys begin with.
    name: Vec<u8>,
    /// The quotas of each limit.
    limits: Vec<Vec<Numbers>>,
}

impl Opened {
    pub(crate) fn new(prefix: &str, namespaces: &[Namespace]) -> Result<Self, OpenError> {
        let namespaces: Result<_, _> =
            namespaces.iter().map(|namespace| Spec::new(prefix, namespace)).collect();
        Ok(Self { namespaces: namespaces? })
    }

    /// The key of the subject of an ask that has one part.
    pub(crate) fn key(&self, ask: &Ask) -> Option<Vec<u8>> {
        let [part] = &ask.parts[..] else { return None };
        let namespace = self.namespaces.get(part.namespace)?;
        Some(names::key(&namespace.name, &part.subject))
    }
}

impl Spec {
    fn new(prefix: &str, namespace: &Namespace) -> Result<Self, OpenError> {
        let limits = &namespace.limits;
        let names = || limits.iter().map(|limit| &limit.name);
        let why = match limits.len() {
            0 => Some("it has no limits"),
            n if n > MOST_LIMITS => Some("it has more than eight limits"),
            _ if names()
                .enumerate()
                .any(|(at, name)| names().skip(at + 1).any(|it| it == name)) =>
            {
                Some("two limits have the same name")
            }
            _ if limits.iter().any(|limit| limit.quotas.is_empty()) => Some("a limit has no quota"),
            _ if limits.iter().any(|limit| limit.quotas.iter().any(Quota::is_unlimited)) => {
                Some("a quota is unlimited: leave the limit out where nothing is limited")
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(OpenError::Namespace { namespace: namespace.name.to_string(), why });
        }
        let numbers = |limit: &tollgate::shared::store::LimitSpec| {
            let each = limit.quotas.iter().map(|quota| {
                Numbers::new(limit.rule, *quota).map_err(|unfit| {
                    let (namespace, limit) = (namespace.name.to_string(), limit.name.to_string());
                    match unfit {
                        Unfit::Quota(error) => OpenError::Quota { namespace, limit, error },
                        Unfit::Inexact(why) => {
                            OpenError::Inexact { namespace, limit, quota: *quota, why }
                        }
                    }
                })
            });
            each.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            name: names::namespace(prefix, namespace),
            limits: limits.iter().map(numbers).collect::<Result<_, _>>()?,
        })
    }
}

/// The number of a verb in the script.
fn number(verb: Verb) -> Option<u8> {
    Some(match verb {
        Verb::Take => 0,
        Verb::TakeUpTo => 1,
        Verb::Look => 2,
        Verb::Consume => 3,
        Verb::Credit => 4,
        Verb::HandBack => 5,
        Verb::Cancel => 6,
        Verb::Reset => 7,
        Verb::Raise => 8,
        #[allow(unreachable_patterns, reason = "the core may add verbs")]
        _ => return None,
    })
}
