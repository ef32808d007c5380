//! A limiter that holds as many keys as it may.

use tollgate_http::Policy;
use tollgate_http::policy::{BodyForm, KeyPart, Limit, Response, WhenFull};

use crate::driver::{Prompt, meet};
use crate::layers::under;
use crate::pace::Pace;
use crate::requests::Crowd;

/// How many keys the limiters hold.
pub(crate) const MAX_KEYS: u32 = 100_000;

/// Ours with as many keys as it may hold.
pub(crate) fn full(count: u32, when_full: WhenFull, body: BodyForm) -> impl Prompt {
    let most = usize::try_from(count).expect("it fits");
    let limit = Limit::new("requests", Pace::Vast.quota())
        .key([KeyPart::Address])
        .max_keys(most)
        .when_full(when_full);
    let policy =
        Policy::builder().limit(limit).always(["requests"]).response(Response::new().body(body));
    let mut service = under(&policy.build().expect("a valid policy"));
    meet(&mut service, &Crowd::of(count));
    service
}
