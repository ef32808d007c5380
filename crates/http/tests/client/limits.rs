//! How long a request may wait, and for how many hosts.

use std::time::Duration;

use tollgate_http::client::NotSent;

use super::support::{Answer, Client, Outcome, all, around, at, builder, get, spawn_many};

const WAIT_5: Answer = (429, &[("retry-after", "5")]);

fn too_long(outcome: &Outcome) -> Option<Duration> {
    match outcome.as_ref().err()?.not_sent()? {
        NotSent::TooLong { wait, .. } => Some(*wait),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_be_too_long_fails_at_once() {
    let client = Client::new();
    let service = around(&client, builder("1/s").max_wait(Duration::from_secs(2)));
    let mut tasks = spawn_many(&service, 4).await;
    let last = tasks.pop().expect("four tasks").await.expect("no panic");
    assert_eq!(client.times(), [0]);
    assert_eq!(too_long(&last), Some(Duration::from_secs(3)));
    let text = "not sent to a.test: its turn would come in 3s, and max_wait is 2s";
    assert_eq!(last.expect_err("too long").to_string(), text);
    // It took no place: the others have theirs, and a later one has its turn at 3 s.
    all(tasks).await;
    assert!(get(&service, "http://a.test/").await.is_ok());
    assert_eq!(client.times(), [0, 1_000, 2_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_waits_that_would_become_too_long() {
    let client = Client::new().script([(500, WAIT_5)]);
    let service = around(&client, builder("1/s").max_wait(Duration::from_secs(4)));
    let mut tasks = spawn_many(&service, 2).await;
    let second = tasks.pop().expect("two tasks").await.expect("no panic");
    // At 0.5 s it has 3.5 s left, and its turn would come in 5 s.
    at(500, &client).await;
    assert_eq!(too_long(&second), Some(Duration::from_secs(5)));
    assert_eq!(too_long(&get(&service, "http://a.test/").await), Some(Duration::from_secs(5)));
    at(1_500, &client).await;
    assert!(get(&service, "http://a.test/").await.is_ok());
    assert_eq!(client.times(), [0, 5_500]);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_hosts_is_bounded() {
    let client = Client::new();
    let service = around(&client, builder("1/s").max_hosts(3));
    for n in 0..100 {
        let outcome = get(&service, &format!("http://host{n}.test/")).await;
        match outcome {
            Ok(_) => assert!(n < 3),
            Err(error) => {
                let many =
                    NotSent::TooManyHosts { host: format!("host{n}.test").into(), max_hosts: 3 };
                assert_eq!(error.not_sent(), Some(&many));
            }
        }
    }
    // Known hosts do not notice, and an idle host makes room.
    assert!(get(&service, "http://host0.test/").await.is_ok());
    at(1_500, &client).await;
    assert!(get(&service, "http://host99.test/").await.is_ok());
    assert_eq!(client.times(), [0, 0, 0, 1_000, 1_500]);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_ask_for_long_pauses_are_bounded_too() {
    let long: Answer = (429, &[("retry-after", "86400")]);
    let client = Client::new().script([(0, long); 50]);
    let service = around(&client, builder("1000/s").max_hosts(3));
    for n in 0..50 {
        let outcome = get(&service, &format!("http://host{n}.test/")).await;
        assert_eq!(outcome.is_ok(), n < 3, "host {n}");
    }
    assert_eq!(client.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_of_an_evicted_host_takes_no_room_of_others() {
    // The answer of the first host comes when its bucket is full again, and others have its place.
    let long: Answer = (429, &[("retry-after", "86400")]);
    let client = Client::new().script([(5_000, long)]);
    let service = around(&client, builder("1/s").max_hosts(1));
    let first = spawn_many(&service, 1).await;
    at(4_500, &client).await;
    assert!(get(&service, "http://b.test/").await.is_ok());
    all(first).await;
    assert!(get(&service, "http://b.test/").await.is_ok());
    assert_eq!(client.times(), [0, 4_500, 5_500]);
}
