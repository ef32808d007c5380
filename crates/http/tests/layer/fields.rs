//! The fields of responses, by what the handler answers.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use crate::probe::{Probe, answer, behind, field, left, request, send};
use crate::scene::{limiter, policy};

const POLICY: &str = "always = ['calls']\n[limits.calls]\nquota = '5/1000days'\n";

const FIELDS: [&str; 5] = [
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

fn count<T>(response: &Response<T>) -> usize {
    FIELDS.iter().filter(|name| response.headers().contains_key(**name)).count()
}

#[test]
fn every_status_but_redirections_tells_what_is_left() {
    for (status, fields) in [
        (200, 5),
        (101, 5),
        (204, 5),
        (304, 5),
        (301, 0),
        (302, 0),
        (303, 0),
        (307, 0),
        (308, 0),
        (404, 5),
        (500, 5),
        (999, 5),
    ] {
        for method in [http::Method::GET, http::Method::HEAD, http::Method::CONNECT] {
            let (limiter, _clock) = limiter(&policy(POLICY));
            let mut service = behind(&limiter, Probe::new(move |_| answer(status)));
            let mut request = request("/");
            *request.method_mut() = method;
            let response = send(&mut service, request).unwrap();
            assert_eq!((response.status().as_u16(), count(&response)), (status, fields));
        }
    }
}

#[test]
fn fields_of_the_handler_stay() {
    for own in FIELDS {
        let (limiter, _clock) = limiter(&policy(POLICY));
        let mut service = behind(
            &limiter,
            Probe::new(move |_: Request<String>| async move {
                let mut response = answer(200).await?;
                response.headers_mut().append(own, HeaderValue::from_static("mine"));
                response.headers_mut().append(own, HeaderValue::from_static("also mine"));
                Ok(response)
            }),
        );
        let response = send(&mut service, request("/")).unwrap();
        let values: Vec<_> = response.headers().get_all(own).iter().collect();
        assert_eq!(values, ["mine", "also mine"]);
        assert_eq!(count(&response), 5);
    }
}

/// As many fields as a map can hold.
fn full_map() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for number in 0_u32.. {
        let name = HeaderName::try_from(format!("x-{number}")).expect("a name");
        if headers.try_insert(name, HeaderValue::from(number)).is_err() {
            break;
        }
    }
    headers
}

#[test]
fn a_response_that_is_full_of_fields_passes() {
    let full = full_map();
    assert!(full.len() > 20_000, "{}", full.len());
    for room in 0..7 {
        let mut headers = full.clone();
        for number in 0..room {
            headers.remove(format!("x-{number}"));
        }
        let (before, (limiter, _clock)) = (headers.len(), limiter(&policy(POLICY)));
        let mut service = behind(
            &limiter,
            Probe::new(|_: Request<String>| {
                let mut response = Response::new(String::new());
                response.headers_mut().clone_from(&headers);
                async { Ok(response) }
            }),
        );
        let response = send(&mut service, request("/")).unwrap();
        assert_eq!(response.headers().len(), before + count(&response));
    }
}

#[test]
fn a_request_with_a_megabyte_of_headers_is_counted_by_one_of_them() {
    let text = "always = ['calls']\n[limits.calls]\nquota = '5/1000days'\nkey = 'header:x-tenant'\n\
         missing = 'refuse'\n";
    let (limiter, _clock) = limiter(&policy(text));
    let mut service = behind(&limiter, Probe::new(|_| answer(200)));
    let mut send = |value: &str, fill: bool| {
        let mut request = request("/");
        if fill {
            *request.headers_mut() = full_map();
            let mut values = request.headers_mut().values_mut().take(1000);
            values.all(|value| {
                *value = HeaderValue::from_str(&"x".repeat(1000)).unwrap();
                true
            });
            // Makes room for one.
            request.headers_mut().remove("x-5000");
        }
        request.headers_mut().insert("x-tenant", HeaderValue::from_str(value).unwrap());
        send(&mut service, request).unwrap()
    };
    let (one, other) = ("a".repeat(1_000_000), format!("{}b", "a".repeat(999_999)));
    for expected in [4, 3, 2] {
        assert_eq!(left(&send(&one, true)), expected);
        assert_eq!(left(&send(&other, false)), expected);
    }
    assert_eq!(send("", false).status(), 403);
}

#[test]
#[cfg(feature = "grpc")]
fn a_refusal_of_grpc_is_trailers_only() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let probe = Probe::new(|_| answer(200));
    let mut service = behind(&limiter, probe.clone());
    for sent in 0..7_usize {
        let mut request = request("/package.Service/Method");
        let grpc = HeaderValue::from_static("application/grpc+proto");
        request.headers_mut().insert("content-type", grpc);
        let response = send(&mut service, request).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(count(&response), 0, "answers of gRPC tell limits only in their status");
        let status = if sent >= 5 { Some("8") } else { None };
        assert_eq!(field(&response, "grpc-status"), status);
        if status.is_some() {
            assert!(http_body::Body::is_end_stream(response.body()));
            assert!(field(&response, "grpc-retry-pushback-ms").is_some());
        }
    }
    assert_eq!(probe.calls(), 5);
}

/// A client that sleeps for exactly the seconds that it is told passes, and not a second earlier.
#[test]
fn who_sleeps_for_retry_after_passes() {
    for algorithm in ["token-bucket", "fixed-window", "sliding-window", "strict"] {
        let text = format!(
            "always = ['a', 'b']\n[limits.a]\nquota = '3/7s'\nalgorithm = '{algorithm}'\n\
             [limits.b]\nquota = '5/13s'\nkey = 'address'\nalgorithm = '{algorithm}'\n"
        );
        let (limiter, clock) = limiter(&policy(&text));
        let mut service = behind(&limiter, Probe::new(|_| answer(200)));
        let mut slept = 0;
        for step in 0_u64..300 {
            clock.advance(std::time::Duration::from_millis(step * 7_919 % 1_500));
            let refused = send(&mut service, request("/")).unwrap();
            let Some(seconds) = field(&refused, "retry-after") else { continue };
            assert_eq!(refused.status(), 429);
            let seconds: u64 = seconds.parse().expect("whole seconds");
            assert!(seconds > 0);
            clock.advance(std::time::Duration::from_secs(seconds - 1));
            let early = limiter.explain(&crate::scene::facts("/")).expect("memory").status();
            assert_eq!(early, Some(429), "{algorithm}: {seconds} s were too many");
            clock.advance(std::time::Duration::from_secs(1));
            let response = send(&mut service, request("/")).unwrap();
            assert_eq!(response.status(), 200, "{algorithm}: {seconds} s were too few");
            slept += 1;
        }
        assert!(slept > 30, "{slept}");
    }
}
