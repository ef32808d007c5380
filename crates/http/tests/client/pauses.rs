//! Pauses that servers ask for.

use std::time::{Duration, SystemTime};

use http::{Request, Response, StatusCode};
use tollgate_http::client::NotSent;
use tower::ServiceExt;
use tower::retry::{Policy, Retry};

use super::support::{
    Answer, Client, OK, all, around, at, builder, get, millis, spawn, spawn_many,
};

const WAIT_3: Answer = (429, &[("retry-after", "3")]);
const WAIT_2: Answer = (429, &[("retry-after", "2")]);
const WAIT_AN_HOUR: Answer = (429, &[("retry-after", "3600")]);
const WAIT_5: Answer = (429, &[("retry-after", "5")]);

#[tokio::test(start_paused = true)]
async fn after_a_pause_requests_go_on_at_the_pace() {
    // The first answer comes after 100 ms. By then, three requests of the burst are on their way.
    let client = Client::new().script([(100, WAIT_5)]);
    let service = around(&client, builder("10/s burst 3"));
    all(spawn_many(&service, 8).await).await;
    // Not one before 5.1 s, and not all at once then: the burst does not come back in a pause.
    assert_eq!(client.times(), [0, 0, 0, 5_100, 5_200, 5_300, 5_400, 5_500]);
    let uris: Vec<String> = client.sent().into_iter().map(|sent| sent.uri).collect();
    assert!(uris.is_sorted(), "{uris:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_back_those_who_wait_and_those_who_come() {
    let client = Client::new().script([(50, WAIT_3)]);
    let service = around(&client, builder("1/s burst 1"));
    let mut tasks = spawn_many(&service, 3).await;
    at(2_000, &client).await;
    tasks.push(spawn(&service, "http://a.test/3").await);
    at(2_500, &client).await;
    tasks.push(spawn(&service, "http://a.test/4").await);
    all(tasks).await;
    assert_eq!(client.times(), [0, 3_050, 4_050, 5_050, 6_050]);
    let uris: Vec<String> = client.sent().into_iter().map(|sent| sent.uri).collect();
    assert!(uris.is_sorted(), "{uris:?}");
}

#[tokio::test(start_paused = true)]
async fn other_hosts_are_not_paused() {
    let client = Client::new().script([(0, WAIT_5)]);
    let service = around(&client, builder("10/s burst 1"));
    for uri in ["http://a.test/", "http://b.test/", "http://b.test/", "http://a.test/"] {
        assert!(get(&service, uri).await.is_ok());
    }
    assert_eq!(client.times_of("a.test"), [0, 5_000]);
    assert_eq!(client.times_of("b.test"), [0, 100]);
}

#[tokio::test(start_paused = true)]
async fn the_latest_end_of_several_pauses_counts() {
    // Three requests at once; their pauses end at 5.1 s, 3.2 s and 5.05 s.
    let client = Client::new().script([(100, WAIT_5), (200, WAIT_3), (50, WAIT_5)]);
    let service = around(&client, builder("10/s burst 3"));
    all(spawn_many(&service, 5).await).await;
    assert_eq!(client.times(), [0, 0, 0, 5_100, 5_200]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_pause_begins_another_one() {
    let client = Client::new().script([(10, WAIT_3), (10, WAIT_3)]);
    let service = around(&client, builder("1/s"));
    all(spawn_many(&service, 4).await).await;
    assert_eq!(client.times(), [0, 3_010, 6_020, 7_020]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_shorter_than_the_pace_changes_nothing() {
    let client = Client::new().script([(0, WAIT_2)]);
    let service = around(&client, builder("1/10s"));
    all(spawn_many(&service, 3).await).await;
    assert_eq!(client.times(), [0, 10_000, 20_000]);
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_quota_keeps_pauses() {
    let client = Client::new().script([(0, OK), (0, OK), (0, WAIT_3)]);
    let service = around(&client, builder("unlimited"));
    all(spawn_many(&service, 6).await).await;
    assert_eq!(client.times(), [0, 0, 0, 3_000, 3_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn dates_are_times_of_the_server() {
    let answer: Answer = (
        503,
        &[
            ("date", "Fri, 31 Dec 1999 23:59:50 GMT"),
            ("retry-after", "Fri, 31 Dec 1999 23:59:57 GMT"),
        ],
    );
    let client = Client::new().script([(0, answer)]);
    let service = around(&client, builder("1/s"));
    all(spawn_many(&service, 3).await).await;
    assert_eq!(client.times(), [0, 7_000, 8_000]);
}

#[tokio::test(start_paused = true)]
async fn a_success_that_says_that_nothing_is_left_is_a_pause() {
    for fields in [
        &[("ratelimit", "\"default\";r=0;t=6")] as &[_],
        &[("ratelimit", "limit=9, remaining=0, reset=6")],
        &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "6")],
        &[
            ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1700000006"),
        ],
    ] {
        let client = Client::new().script([(0, (200, fields))]);
        let service = around(&client, builder("2/s burst 1"));
        all(spawn_many(&service, 3).await).await;
        assert_eq!(client.times(), [0, 6_000, 6_500], "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_asks_for_no_pause_is_none() {
    let answers: [Answer; 4] = [
        (200, &[("retry-after", "60")]),
        (404, &[("retry-after", "60")]),
        (200, &[("ratelimit", "\"default\";r=1;t=60")]),
        (200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999999999999")]),
    ];
    let client = Client::new().script(answers.map(|answer| (0, answer)));
    let service = around(&client, builder("10/s burst 1"));
    all(spawn_many(&service, 5).await).await;
    assert_eq!(client.times(), [0, 100, 200, 300, 400]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_a_time_is_a_short_pause() {
    for fields in [&[] as &[_], &[("retry-after", "-1")], &[("retry-after", "99999999999999")]] {
        let client = Client::new().script([(0, (429, fields))]);
        let service = around(&client, builder("10/s").pause_without_time(Duration::from_secs(2)));
        get(&service, "http://a.test/").await.expect("an answer");
        get(&service, "http://a.test/").await.expect("an answer");
        assert_eq!(client.times(), [0, 2_000], "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_are_not_kept_if_the_program_says_so() {
    let client = Client::new().script([(0, WAIT_5)]);
    let service = around(&client, builder("10/s burst 1").honour(false));
    all(spawn_many(&service, 3).await).await;
    assert_eq!(client.times(), [0, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_program_can_ask_for_a_pause() {
    use tower::Layer;
    let client = Client::new();
    let layer = builder("10/s").build().expect("valid settings");
    let service = layer.layer(client.clone());
    layer.pause("a.test", Duration::from_secs(4));
    all(spawn_many(&service, 2).await).await;
    assert_eq!(client.times(), [4_000, 4_100]);
}

#[tokio::test(start_paused = true)]
async fn during_a_pause_that_is_too_long_requests_fail_at_once() {
    let client = Client::new().script([(100, WAIT_AN_HOUR)]);
    let service = around(&client, builder("1/s"));
    let outcomes = all(spawn_many(&service, 3).await).await;
    assert_eq!(client.times(), [0]);
    // Those who waited fail at the moment at which the server asked for the pause.
    at(100, &client).await;
    for outcome in &outcomes[1..] {
        let error = outcome.as_ref().expect_err("not sent");
        let Some(NotSent::Paused { host, rest, until: Some(until) }) = error.not_sent() else {
            panic!("{error:?}");
        };
        assert_eq!((&**host, *rest), ("a.test", Duration::from_secs(3_600)));
        assert!(*until > SystemTime::now() + Duration::from_secs(3_500));
    }
    // New ones too, until it ends; then requests follow at the pace.
    at(3_600_099, &client).await;
    let error = get(&service, "http://a.test/").await.expect_err("not sent");
    let rest = error.not_sent().and_then(NotSent::retry_after);
    assert_eq!(rest, Some(Duration::from_millis(1)));
    at(3_600_100, &client).await;
    all(spawn_many(&service, 3).await).await;
    assert_eq!(client.times(), [0, 3_600_100, 3_601_100, 3_602_100]);
}

/// The answer comes at the moment at which the next requests have their turns, and is read first.
/// They have not been sent yet, so the pause holds them back, and they stay the first.
#[tokio::test(start_paused = true)]
async fn a_pause_that_begins_when_a_turn_comes_keeps_the_order() {
    for (answer, expected) in
        [(WAIT_5, [0, 6_000, 7_000, 8_000]), (WAIT_AN_HOUR, [0, 3_601_000, 3_602_000, 3_603_000])]
    {
        let client = Client::new().script([(1_000, answer)]);
        let service = around(&client, builder("1/s").longest_pause(Duration::from_secs(4_000)));
        let begin = tokio::time::Instant::now();
        all(spawn_many(&service, 4).await).await;
        assert_eq!(client.times(), expected);
        let uris: Vec<String> = client.sent().into_iter().map(|sent| sent.uri).collect();
        assert!(uris.is_sorted(), "{uris:?}");
        assert_eq!(millis(begin.elapsed()), expected[3]);
    }
}

/// Two requests have their turns within the millisecond at whose end the answer comes.
#[tokio::test(start_paused = true)]
async fn several_requests_that_are_held_back_at_their_turns_follow_at_the_pace() {
    let client = Client::new().script([(1, WAIT_5)]);
    let service = around(&client, builder("2000/s burst 1"));
    all(spawn_many(&service, 5).await).await;
    // Due at 5001, 5001.5, 5002 and 5002.5 ms; tokio's timers round up to milliseconds.
    assert_eq!(client.times(), [0, 5_001, 5_002, 5_002, 5_003]);
    assert_eq!(client.sent()[1].uri, "http://a.test/1");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_back_at_its_turn_can_fail_or_be_dropped() {
    // One whose pause is too long.
    let client = Client::new().script([(1_000, WAIT_AN_HOUR)]);
    let service = around(&client, builder("1/s"));
    let outcomes = all(spawn_many(&service, 2).await).await;
    let error = outcomes[1].as_ref().expect_err("not sent");
    let rest = error.not_sent().and_then(NotSent::retry_after);
    assert_eq!(rest, Some(Duration::from_secs(3_600)));
    // One that cannot wait so long.
    let client = Client::new().script([(1_000, WAIT_5)]);
    let service = around(&client, builder("1/s").max_wait(Duration::from_secs(3)));
    let outcomes = all(spawn_many(&service, 2).await).await;
    let error = outcomes[1].as_ref().expect_err("not sent");
    let rest = error.not_sent().and_then(NotSent::retry_after);
    assert_eq!(rest, Some(Duration::from_secs(5)));
    at(7_000, &client).await;
    // One that is dropped while it is held back: the others move up.
    let client = Client::new().script([(1_000, WAIT_5)]);
    let service = around(&client, builder("1/s"));
    let mut tasks = spawn_many(&service, 4).await;
    at(3_000, &client).await;
    tasks.remove(1).abort();
    all(tasks).await;
    assert_eq!(client.times(), [0, 6_000, 7_000]);
}

/// Sends a request again as long as it is refused.
#[derive(Clone)]
struct UntilServed;

impl<E> Policy<Request<()>, Response<()>, E> for UntilServed {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<()>,
        outcome: &mut Result<Response<()>, E>,
    ) -> Option<Self::Future> {
        let is_refused = |answer: &Response<()>| answer.status() == StatusCode::TOO_MANY_REQUESTS;
        outcome.as_ref().is_ok_and(is_refused).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_of_the_layer_waits_for_the_end_of_the_pause() {
    let client = Client::new().script([(10, WAIT_5), (0, WAIT_2)]);
    let service = Retry::new(UntilServed, around(&client, builder("10/s")));
    let request = Request::get("http://a.test/").body(()).expect("a valid request");
    let answer = service.oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(client.times(), [0, 5_010, 7_010]);
}
