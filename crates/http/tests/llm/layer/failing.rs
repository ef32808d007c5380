//! Clients and answers that fail.

use std::time::Duration;

use super::support::{
    Client, Piece, Step, answer, request, scene, send, stream, tokens, tokens_used, usage, used,
};

const OVERLOADED: &str = r#"data: {"type":"error","error":{"type":"overloaded_error"}}"#;

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_is_not_tried_again() {
    let (pool, layer) = scene(1, tokens());
    let client = Client::new([Step::Fail]);
    let seen = send(&client.around(&layer), request(400, 300)).await;
    assert_eq!(seen, Err("connection lost".to_owned()));
    // The server may have counted it.
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (400, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_client_fails_is_not_preferred() {
    let (_, layer) = scene(2, tokens());
    let client = Client::new([Step::Fail, used(1, 1), used(1, 1), used(1, 1)]);
    let service = client.around(&layer);
    send(&service, request(4, 4)).await.expect_err("it fails");
    for _ in 0..3 {
        send(&service, request(4, 4)).await.expect("an answer");
    }
    let keys = client.keys_and_times();
    assert!(keys.iter().skip(1).all(|(key, _)| *key != keys[0].0), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_in_the_middle_counts_as_a_failure() {
    let (pool, layer) = scene(1, tokens());
    let start = "data: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
    let broken = vec![Piece::Data(start.into()), Piece::Fail];
    let client = Client::new([Step::Answer(200, Vec::new(), broken)]);
    assert_eq!(send(&client.around(&layer), request(400, 300)).await, Err("reset".to_owned()));
    assert_eq!(tokens_used(&pool, "a"), 325);
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_of_a_stream_counts_as_what_it_is() {
    let (pool, layer) = scene(1, tokens());
    let limited =
        r#"data: {"error":{"code":"rate_limit_exceeded","message":"Please try again in 7s"}}"#;
    let client = Client::new([stream(&["data: {}", limited])]);
    let seen = send(&client.around(&layer), request(400, 300)).await.expect("an answer");
    assert_eq!(seen, (200, format!("data: {{}}\n\n{limited}\n\n")));
    assert_eq!(usage(&pool, "a").paused_for, Some(Duration::from_secs(7)));
    assert_eq!(tokens_used(&pool, "a"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_used_before_its_error_counts() {
    let (pool, layer) = scene(1, tokens());
    let start = r#"data: {"message":{"usage":{"input_tokens":25,"output_tokens":1}}}"#;
    let client = Client::new([stream(&[start, OVERLOADED])]);
    send(&client.around(&layer), request(400, 300)).await.expect("an answer");
    assert_eq!(tokens_used(&pool, "a"), 26);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_streams_fail_rests() {
    let (_, layer) = scene(1, tokens());
    let client = Client::new((0..4).map(|_| stream(&["data: {}", OVERLOADED]))).slow();
    let service = client.around(&layer);
    for _ in 0..4 {
        send(&service, request(4, 4)).await.expect("an answer");
    }
    let times: Vec<u128> = client.keys_and_times().into_iter().map(|(_, at)| at).collect();
    // The first failure is no reason to rest. The second one in a row costs half a second, and each
    // further one twice as much.
    assert_eq!(times, [0, 1, 502, 1_503]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fails_inside_of_a_stream_is_disabled() {
    let (_, layer) = scene(1, tokens());
    let client = Client::new([stream(&[r#"data: {"error":{"code":"invalid_api_key"}}"#])]);
    let service = client.around(&layer);
    send(&service, request(4, 4)).await.expect("an answer");
    let error = send(&service, request(4, 4)).await.expect_err("no key is left");
    assert!(error.starts_with("the pool has no active key: add one"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_body_does_not_come_is_read_as_far_as_it_came() {
    let (_, layer) = scene(2, tokens());
    let layer = layer.error_body_patience(Duration::from_secs(3));
    let start = r#"{"error":{"code":"insufficient_quota"}}"#;
    let hanging = vec![Piece::Data(start.into()), Piece::Pause(Duration::from_secs(3_600))];
    let client = Client::new([Step::Answer(429, Vec::new(), hanging), used(1, 1)]);
    assert_eq!(send(&client.around(&layer), request(4, 4)).await.expect("an answer").0, 200);
    assert_eq!(client.keys_and_times()[1].1, 3_000);
}

#[tokio::test(start_paused = true)]
async fn an_error_body_is_given_to_the_caller_whole() {
    let first = format!(r#"{{"error":{{"code":"x","message":"{}"}}}}"#, "y".repeat(100_000));
    let pieces = vec![
        Piece::Data(first.clone().into()),
        Piece::Pause(Duration::from_secs(5)),
        Piece::Data("and more".into()),
    ];
    let client = Client::new([Step::Answer(400, Vec::new(), pieces)]);
    let service = client.around(&scene(1, tokens()).1);
    assert_eq!(send(&service, request(4, 4)).await, Ok((400, format!("{first}and more"))));

    // Late, short, and failing in the end.
    let late = |end| {
        vec![
            Piece::Data("a".into()),
            Piece::Pause(Duration::from_secs(5)),
            Piece::Data("b".into()),
            end,
        ]
    };
    let client = Client::new([
        Step::Answer(400, Vec::new(), late(Piece::Data("c".into()))),
        Step::Answer(400, Vec::new(), late(Piece::Fail)),
        Step::Answer(400, Vec::new(), vec![Piece::Data("a".into()), Piece::Fail]),
        answer(400, ""),
    ]);
    let service = client.around(&scene(1, tokens()).1);
    assert_eq!(send(&service, request(4, 4)).await, Ok((400, "abc".to_owned())));
    assert_eq!(send(&service, request(4, 4)).await, Err("reset".to_owned()));
    assert_eq!(send(&service, request(4, 4)).await, Err("reset".to_owned()));
    assert_eq!(send(&service, request(4, 4)).await, Ok((400, String::new())));
}
