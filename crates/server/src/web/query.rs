//! The query of a request, or the problem that it is.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::Problem;

/// The query of a request. An unknown or wrong parameter is answered with 400.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(query)| Self(query)).map_err(|error| bad_query(error.body_text()))
    }
}

/// The query has a parameter that is unknown or wrong.
pub(crate) fn bad_query(detail: impl Into<String>) -> Problem {
    Problem::new(400, "The query is not one of this resource", detail.into())
}
