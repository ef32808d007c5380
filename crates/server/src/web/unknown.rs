//! Requests for what is not there.

use super::Problem;

/// The answer to a request for a path that is not there.
pub(crate) async fn unknown(uri: http::Uri) -> Problem {
    let path = uri.path().chars().take(100).collect::<String>();
    Problem::new(404, "There is no such resource", format!("nothing is at `{path}`"))
}

/// The answer to a request with a method that the resource does not have.
pub(crate) async fn wrong_method(method: http::Method) -> Problem {
    let method = method.as_str().chars().take(20).collect::<String>();
    Problem::new(
        405,
        "The resource does not have this method",
        format!("`{method}` is not allowed"),
    )
}
