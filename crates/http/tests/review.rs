//! Mistakes that a review found.

use tollgate_http::Facts;

/// The facts of a request printed the API key and the values of all headers.
#[test]
fn facts_do_not_print_secrets() {
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", http::HeaderValue::from_static("Bearer hunter2"));
    let printed = format!("{:?}", Facts::new("GET", "/").api_key("s3cret").headers(&headers));
    assert!(!printed.contains("s3cret") && !printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("authorization"), "{printed}");
}
