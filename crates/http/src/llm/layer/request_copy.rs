//! A copy of a request, of which it is made anew if it is sent again.

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// A copy of a request.
///
/// Every request is copied, and few are sent again. So the values of all fields are copied to one
/// place: to clone a [`HeaderMap`](http::HeaderMap) takes an allocation for each value.
pub(super) struct RequestCopy {
    method: Method,
    uri: Uri,
    version: Version,
    extensions: Extensions,
    fields: Vec<Field>,
    values: Vec<u8>,
    body: Bytes,
}

struct Field {
    name: HeaderName,
    /// Where the value ends that begins where that of the field before ends.
    end: usize,
    is_sensitive: bool,
}

impl RequestCopy {
    pub(super) fn of(head: &Parts, body: &Bytes) -> Self {
        let mut values = Vec::with_capacity(head.headers.values().map(HeaderValue::len).sum());
        let mut fields = Vec::with_capacity(head.headers.len());
        for (name, value) in &head.headers {
            values.extend_from_slice(value.as_bytes());
            let is_sensitive = value.is_sensitive();
            fields.push(Field { name: name.clone(), end: values.len(), is_sensitive });
        }
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            extensions: head.extensions.clone(),
            fields,
            values,
            body: body.clone(),
        }
    }

    /// The request.
    pub(super) fn into_parts<B: From<Bytes>>(self) -> (Parts, B) {
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.uri, head.version) = (self.method, self.uri, self.version);
        head.extensions = self.extensions;
        let mut start = 0;
        for Field { name, end, is_sensitive } in self.fields {
            // All of them were values before, so none is invalid.
            if let Ok(mut value) = HeaderValue::from_bytes(&self.values[start..end]) {
                value.set_sensitive(is_sensitive);
                head.headers.append(name, value);
            }
            start = end;
        }
        (head, B::from(self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_comes_back() {
        let mut secret = HeaderValue::from_static("sk-1");
        secret.set_sensitive(true);
        let request = Request::put("https://example.com/v1/chat?x=1")
            .version(Version::HTTP_2)
            .header("x-key", secret)
            .header("x-many", "1")
            .header("accept", "")
            .header("x-many", "2")
            .header("x-latin", HeaderValue::from_bytes(b"\xe9").expect("a valid value"))
            .extension("kept")
            .body(());
        let (head, ()) = request.expect("a valid request").into_parts();
        let body = Bytes::from_static(b"{}");

        let (again, same_body) = RequestCopy::of(&head, &body).into_parts::<Bytes>();
        assert_eq!(same_body, body);
        assert_eq!((&again.method, &again.uri), (&head.method, &head.uri));
        assert_eq!((again.version, &again.headers), (head.version, &head.headers));
        assert!(again.headers["x-key"].is_sensitive() && !again.headers["x-many"].is_sensitive());
        assert_eq!(again.extensions.get(), Some(&"kept"));
    }
}
