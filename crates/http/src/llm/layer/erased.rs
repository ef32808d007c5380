//! Sources and permits of any type, so that the types of the layer, its services and its bodies do
//! not name them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::request::Parts;
use tollgate::Timestamp;
use tollgate::llm::{Error, Reply, Tokens};

use super::key_header::KeyHeader;
use super::source::{PermitSource, RequestPermit};
use crate::BoxError;
use crate::llm::Estimate;

/// A permit of any type.
pub(super) type AnyPermit = Box<dyn OpenPermit>;

/// A wait for a permit.
pub(super) type Acquire<'a> = Pin<Box<dyn Future<Output = Result<AnyPermit, Error>> + Send + 'a>>;

/// See [`PermitSource`].
pub(super) trait AnySource: Send + Sync {
    fn acquire<'a>(&'a self, estimate: &'a Estimate, timeout: Option<Duration>) -> Acquire<'a>;
    fn now(&self) -> Timestamp;
}

impl<P: PermitSource + 'static> AnySource for P {
    fn acquire<'a>(&'a self, estimate: &'a Estimate, timeout: Option<Duration>) -> Acquire<'a> {
        Box::pin(async move {
            let permit = self.acquire_for(estimate, timeout).await?;
            Ok(Box::new(permit) as AnyPermit)
        })
    }

    fn now(&self) -> Timestamp {
        PermitSource::now(self)
    }
}

/// See [`RequestPermit`].
pub(super) trait OpenPermit: Send + Sync {
    fn has_other_keys(&self) -> bool;
    fn authorize(&self, header: &KeyHeader, request: &mut Parts) -> Result<(), BoxError>;
    fn estimate(&self) -> Tokens;
    fn observe_head(&self, reply: &Reply);
    fn observe_reply(&self, reply: &Reply);
    fn settle(self: Box<Self>, tokens: Tokens);
    fn end(self: Box<Self>, reply: &Reply);
    fn cancel(self: Box<Self>);
}

impl<P: RequestPermit> OpenPermit for P {
    fn has_other_keys(&self) -> bool {
        P::HAS_OTHER_KEYS
    }

    fn authorize(&self, header: &KeyHeader, request: &mut Parts) -> Result<(), BoxError> {
        RequestPermit::authorize(self, header, request)
    }

    fn estimate(&self) -> Tokens {
        RequestPermit::estimate(self)
    }

    fn observe_head(&self, reply: &Reply) {
        RequestPermit::observe_head(self, reply);
    }

    fn observe_reply(&self, reply: &Reply) {
        RequestPermit::observe_reply(self, reply);
    }

    fn settle(self: Box<Self>, tokens: Tokens) {
        RequestPermit::settle(*self, tokens);
    }

    fn end(self: Box<Self>, reply: &Reply) {
        RequestPermit::end(*self, reply);
    }

    fn cancel(self: Box<Self>) {
        RequestPermit::cancel(*self);
    }
}
