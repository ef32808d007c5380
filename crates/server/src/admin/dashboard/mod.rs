//! `GET /dashboard`: what the service does, live, in a browser.
//!
//! A task ([`run`]) reads the text of `/metrics` (`samples`), keeps ten minutes of it (`history`),
//! and tells all open pages (`events`) what is there now (`snapshot`). The files of the page are in
//! `page/`; they are part of the program.

mod events;
mod history;
mod page;
mod samples;
mod shown;
mod snapshot;

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub(super) use events::Feed;

use super::Admin;
use history::{History, STEP};
use samples::Samples;
use snapshot::{MOST_ROWS, MOST_VIOLATIONS, Snapshot, Sources};

/// How often open pages are told.
const PERIOD: Duration = Duration::from_secs(1);

/// The routes, which are to be guarded.
pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/dashboard", get(|| async { page::PAGE }))
        .route("/dashboard/style.css", get(|| async { page::STYLE }))
        .route("/dashboard/icon.svg", get(|| async { page::ICON }))
        .route("/dashboard/app.js", get(|| async { page::APP }))
        .route("/dashboard/chart.js", get(|| async { page::CHART }))
        .route("/dashboard/dom.js", get(|| async { page::DOM }))
        .route("/dashboard/feed.js", get(|| async { page::FEED }))
        .route("/dashboard/format.js", get(|| async { page::FORMAT }))
        .route("/dashboard/limits.js", get(|| async { page::LIMITS }))
        .route("/dashboard/tables.js", get(|| async { page::TABLES }))
        .route("/dashboard/events", get(events::events))
        .layer(from_fn(page::protect))
}

/// Keeps the history, and tells open pages, until the service ends.
pub(super) async fn run(admin: Admin) {
    let begin = Instant::now();
    let ticks_of_step = STEP.as_secs() / PERIOD.as_secs();
    let (mut ticks, mut ticked) = (interval(PERIOD), 0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut history = None;
    loop {
        tokio::select! {
            biased;
            () = admin.0.shutdown.begun() => return,
            _ = ticks.tick() => {}
        }
        let is_step = ticked % ticks_of_step == 0;
        ticked += 1;
        // If no page is open, only the history goes on.
        if is_step || admin.0.dashboard.is_read() {
            tick(&admin, &mut history, is_step, begin.elapsed());
        }
    }
}

fn tick(admin: &Admin, history: &mut Option<History>, is_step: bool, uptime: Duration) {
    let inner = &admin.0;
    let text = admin.metrics();
    let samples = Samples::parse(&text);
    let history = match history {
        Some(history) => {
            if is_step {
                history.add(&samples);
            }
            history
        }
        None => history.insert(History::new(&samples)),
    };
    let policy = inner.limiter.policy();
    let now = Snapshot::take(&Sources {
        limiter: &inner.limiter,
        policy: &policy,
        samples: &samples,
        history,
        violations: inner.violations.last(MOST_VIOLATIONS),
        show_keys: inner.show_keys,
        uptime,
    });
    let told = is_step.then(|| history.told(policy.limit_names().take(MOST_ROWS)));
    inner.dashboard.tell(&now, told.as_ref().map(|told| (told, history.steps())));
}
