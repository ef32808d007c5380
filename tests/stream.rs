//! Streams and sinks at the pace of a limiter, under paused time.
#![cfg(all(feature = "stream", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::{StreamExt as _, stream};
use futures_sink::Sink;
use tokio::time::Instant;
use tollgate::keyed::Terms;
use tollgate::stream::SinkError;
use tollgate::{
    KeyedLimiter, Quota, RateLimitSinkExt as _, RateLimitStreamExt as _, RateLimiter, TokenBucket,
    TokioClock, WaitError,
};

fn bucket(quota: Quota) -> TokenBucket<TokioClock> {
    TokenBucket::builder(quota).clock(TokioClock::new()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn items_come_at_the_rate_and_in_order() {
    let limiter = bucket(Quota::per_second(10).burst(2));
    let start = Instant::now();
    let mut paced = tollgate::RateLimitStreamExt::rate_limited(stream::iter(0..5), &limiter);
    let mut seen = Vec::new();
    while let Some(item) = paced.next().await {
        seen.push((item.unwrap(), start.elapsed().as_millis()));
    }
    assert_eq!(seen, [(0, 0), (1, 0), (2, 100), (3, 200), (4, 300)]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_holds_no_permit() {
    let limiter = bucket(Quota::per_hour(1));
    let mut paced = pin!(stream::pending::<()>().rate_limited(&limiter));
    assert!(poll_fn(|cx| Poll::Ready(paced.as_mut().poll_next(cx))).await.is_pending());
    assert_eq!(limiter.usage().remaining, 1);
    assert_eq!(limiter.usage().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_ends_the_stream_and_loses_no_item() {
    let limiter = bucket(Quota::per_second(1).burst(1));
    let mut paced = stream::iter(1..9).rate_limited(&limiter);
    assert_eq!(paced.next().await, Some(Ok(1)));
    limiter.close();
    assert_eq!(paced.next().await, Some(Err(WaitError::Closed)));
    assert_eq!(paced.next().await, None);
    let (rest, waiting) = paced.into_inner();
    assert_eq!(waiting, Some(2));
    assert_eq!(rest.collect::<Vec<_>>().await, [3, 4, 5, 6, 7, 8]);
}

#[tokio::test(start_paused = true)]
async fn an_item_may_cost_more_than_the_burst() {
    let limiter = bucket(Quota::per_second(10).burst(5));
    let start = Instant::now();
    let mut paced = stream::iter([3_u64, 0, 12, 1]).rate_limited_by(&limiter, |cost| *cost);
    let mut seen = Vec::new();
    while let Some(item) = paced.next().await {
        seen.push((item.unwrap(), start.elapsed().as_millis()));
    }
    // 5 are there at first; 16 are needed in all.
    assert_eq!(seen, [(3, 0), (0, 0), (12, 1_000), (1, 1_100)]);
    assert_eq!(limiter.usage().allowed, 16);
}

#[tokio::test(start_paused = true)]
async fn an_item_may_cost_more_than_a_second_limit_or_a_costly_key_lets_pass_at_once() {
    let keyed = || KeyedLimiter::<u8>::builder(Quota::per_second(100)).clock(TokioClock::new());
    let limiter = keyed().global(Quota::per_second(100).burst(10)).build().unwrap();
    let view = limiter.for_key(&1);
    let mut paced = stream::iter([50_u64]).rate_limited_by(&view, |cost| *cost);
    assert_eq!(paced.next().await, Some(Ok(50)), "everybody's burst is 10");
    let limiter = keyed().terms_by(|_| Terms::default().cost(5)).build().unwrap();
    let view = limiter.for_key(&1);
    let mut paced = stream::iter([30_u64]).rate_limited_by(&view, |cost| *cost);
    assert_eq!(paced.next().await, Some(Ok(30)), "20 requests are the key's burst");
    assert_eq!(limiter.totals().allowed, 150);
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_between_parts_leaves_no_waiter() {
    let limiter = bucket(Quota::per_second(10).burst(5));
    {
        let mut paced = pin!(stream::iter([20_u64]).rate_limited_by(&limiter, |cost| *cost));
        assert!(poll_fn(|cx| Poll::Ready(paced.as_mut().poll_next(cx))).await.is_pending());
        assert_eq!(limiter.usage().waiting, 1);
    }
    assert_eq!(limiter.usage().waiting, 0);
    assert_eq!(limiter.usage().allowed, 5, "the first part was taken");
}

#[derive(Default)]
struct Collect(Vec<u32>);

impl Sink<u32> for Collect {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: u32) -> Result<(), Infallible> {
        self.0.push(item);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_takes_items_at_the_rate() {
    let limiter = bucket(Quota::per_second(10).burst(1));
    let start = Instant::now();
    let mut sink = pin!(Collect::default().rate_limited(&limiter));
    for item in 0..4 {
        poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap();
        // Ready stays ready: one permit an item, however often it is asked.
        poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap();
        sink.as_mut().start_send(item).unwrap();
    }
    poll_fn(|cx| sink.as_mut().poll_flush(cx)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(300));
    limiter.close();
    let error = poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap_err();
    assert_eq!(error, SinkError::Limiter(WaitError::Closed));
    poll_fn(|cx| sink.as_mut().poll_close(cx)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_given_back_with_what_it_took() {
    let limiter = bucket(Quota::per_second(10));
    let mut sink = Box::pin(Collect::default().rate_limited(&limiter));
    poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap();
    sink.as_mut().start_send(7).unwrap();
    assert_eq!(Pin::into_inner(sink).into_inner().0, [7]);
}

#[test]
fn adapters_print_what_they_wrap() {
    let limiter = TokenBucket::new(Quota::per_second(1)).unwrap();
    let paced = tollgate::RateLimitStreamExt::rate_limited(stream::iter([7]), &limiter);
    let text = format!("{paced:?}");
    assert!(text.contains("RateLimitedStream") && text.contains('7'), "{text}");
}
