//! `GET /dashboard/events`: what the page shows, once a second, as server-sent events.
//!
//! The events are made once for all pages. A page that reads slowly misses some of them, and
//! nothing is kept for it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::Admin;
use crate::net::Shutdown;
use crate::web::Problem;

/// The most pages that are told at the same time.
pub(super) const MOST_PAGES: usize = 32;

/// What all pages are told.
#[derive(Debug)]
pub(in crate::admin) struct Feed {
    frames: watch::Sender<Frames>,
    places: Arc<Semaphore>,
}

/// The newest event of each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// Changes with `steps`.
    history: Bytes,
    steps: u64,
    now: Bytes,
}

impl Default for Feed {
    fn default() -> Self {
        let frames = watch::Sender::new(Frames::default());
        Self { frames, places: Arc::new(Semaphore::new(MOST_PAGES)) }
    }
}

impl Feed {
    /// Whether a page is open.
    pub(super) fn is_read(&self) -> bool {
        self.frames.receiver_count() > 0
    }

    /// A place for one more page, if there is one.
    fn page(&self, shutdown: &Shutdown) -> Option<Page> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let frames = self.frames.subscribe();
        Some(Page { frames, steps: None, shutdown: shutdown.clone(), _place: place })
    }

    /// Tells the present moment, and the history if there is a new one, with the number of its steps.
    pub(super) fn tell(&self, now: &impl Serialize, history: Option<(&impl Serialize, u64)>) {
        let (now, history) =
            (event("now", now), history.map(|(history, steps)| (event("history", history), steps)));
        self.frames.send_modify(|frames| {
            frames.now = now;
            if let Some((history, steps)) = history {
                (frames.history, frames.steps) = (history, steps);
            }
        });
    }
}

/// One event. JSON has no line breaks, which would end it.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    // Texts and numbers become JSON, and memory can be written to.
    let _ = serde_json::to_writer(&mut text, data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

/// One page.
struct Page {
    frames: watch::Receiver<Frames>,
    /// The history that the page knows.
    steps: Option<u64>,
    shutdown: Shutdown,
    _place: OwnedSemaphorePermit,
}

impl Page {
    /// The next events; `None` once the service ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.shutdown.has_begun() {
                return None;
            }
            let frames = self.frames.borrow_and_update().clone();
            if !frames.now.is_empty() {
                let is_known = self.steps.replace(frames.steps) == Some(frames.steps);
                let both = || [&*frames.history, &frames.now].concat().into();
                return Some(if is_known { frames.now } else { both() });
            }
            self.changed().await?;
        }
    }

    /// Waits for other frames; `None` once the service ends.
    async fn changed(&mut self) -> Option<()> {
        tokio::select! {
            biased;
            () = self.shutdown.begun() => None,
            changed = self.frames.changed() => changed.ok(),
        }
    }
}

fn bodies(page: Page) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let begin = (page, true);
    stream::unfold(begin, |(mut page, is_first)| async move {
        if !is_first {
            page.changed().await?;
        }
        Some((Ok(page.next().await?), (page, false)))
    })
}

pub(super) async fn events(
    State(admin): State<Admin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A page of another site can't read the answer, but could take all places.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(Problem::new(403, "The request comes from another site", ""));
    }
    let page = admin.0.dashboard.page(&admin.0.shutdown).ok_or_else(|| {
        let detail = format!("at most {MOST_PAGES} can be open at the same time");
        Problem::new(503, "Too many dashboards are open", detail).retry_after(5)
    })?;
    let mut response = Body::from_stream(bodies(page)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_page_that_reads_slowly_is_told_the_newest_only() {
        let (feed, shutdown) = (Feed::default(), Shutdown::default());
        let mut stream = pin!(bodies(feed.page(&shutdown).expect("a place")));
        let mut next = async || {
            let bytes = stream.next().await?;
            let Ok(bytes) = bytes;
            Some(String::from_utf8(bytes.to_vec()).expect("text"))
        };
        let tell = |now: u64, steps: Option<u64>| {
            feed.tell(&now, steps.as_ref().map(|steps| (steps, *steps)));
        };
        tell(1, Some(0));
        let first = "event: history\ndata: 0\n\nevent: now\ndata: 1\n\n";
        assert_eq!(next().await.as_deref(), Some(first));
        for now in 2..100 {
            tell(now, (now % 5 == 0).then_some(now / 5));
        }
        let newest = "event: history\ndata: 19\n\nevent: now\ndata: 99\n\n";
        assert_eq!(next().await.as_deref(), Some(newest));
        tell(100, None);
        assert_eq!(next().await.as_deref(), Some("event: now\ndata: 100\n\n"));
        tell(101, None);
        shutdown.begin();
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn a_page_that_comes_first_waits_for_the_first_moment() {
        let (feed, shutdown) = (Feed::default(), Shutdown::default());
        let mut page = feed.page(&shutdown).expect("a place");
        assert!(feed.is_read());
        let told = async {
            tokio::task::yield_now().await;
            feed.tell(&1, Some((&0, 0)));
        };
        let (bytes, ()) = tokio::join!(page.next(), told);
        assert!(bytes.is_some_and(|bytes| bytes.starts_with(b"event: history\n")));
        drop(page);
        assert!(!feed.is_read());
    }
}
