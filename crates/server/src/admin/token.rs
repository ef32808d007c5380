//! Who is an operator: whoever has the token or, if there is none, every program of this machine
//! that can connect.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tollgate::{KeyedLimiter, Quota};
use tollgate_http::address::{Network, Peer, Prefixes};

use super::Admin;
use crate::web::{Problem, is_of_another_site};

/// The token of operators. It is kept as a hash, so that tokens of any length are compared in the
/// same time, and it is never shown.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Why a file has no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file can't be read.
    #[error("{}: the token can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        error: io::Error,
    },
    /// A token that can be guessed.
    #[error("{}: the token has fewer than {SHORTEST} characters: write a random one, for \
             example that of `openssl rand -hex 32`", path.display())]
    Short {
        /// The file.
        path: PathBuf,
    },
}

/// The shortest token.
const SHORTEST: usize = 16;

impl Token {
    /// The token in a file, without white space around it.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or if the token has fewer than 16 characters.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| TokenError::Unreadable { path: path.to_owned(), error })?;
        let token = text.trim();
        if token.len() < SHORTEST {
            return Err(TokenError::Short { path: path.to_owned() });
        }
        Ok(Self::new(token))
    }

    fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn is(&self, other: &str) -> bool {
        self.0.ct_eq(&Self::new(other).0).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

/// How often an address may be wrong. Afterwards, a right token is refused as well, so that guesses
/// are not told from others.
fn wrong_tokens() -> Quota {
    Quota::per_minute(5).burst(10)
}

/// Knows who is an operator.
pub(super) struct Guard {
    token: Option<Token>,
    wrong: KeyedLimiter<Network>,
}

impl Guard {
    pub(super) fn new(token: Option<Token>) -> Self {
        let wrong = KeyedLimiter::builder(wrong_tokens())
            .max_keys(10_000)
            .build()
            .expect("the quota and the number of keys are valid");
        Self { token, wrong }
    }

    fn admits(&self, peer: Peer, request: &Head<'_>) -> Result<(), Problem> {
        let Some(token) = &self.token else { return request.is_of_this_machine() };
        let network = Network::of(peer, Prefixes::default());
        if let Some(wait) = self.wrong.delay_for(&network, 1).ok().filter(|wait| !wait.is_zero()) {
            let seconds = wait.as_secs().saturating_add(1);
            let detail = "too many tokens from this address were wrong";
            return Err(
                Problem::new(429, "Wait before the next token", detail).retry_after(seconds)
            );
        }
        let given = token_of(request.headers);
        if given.as_deref().is_some_and(|given| token.is(given)) {
            return request.is_of_this_site();
        }
        // A request without a token is no guess: a browser sends one before it asks for the token.
        if given.is_some() {
            let _ = self.wrong.allow(&network);
            tracing::warn!(address = %network, "a token of the operators was wrong");
        }
        Err(Problem::new(
            401,
            "The token is missing or wrong",
            "send `Authorization: Bearer TOKEN`",
        ))
    }
}

/// What the guard looks at.
struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl Head<'_> {
    /// Refuses requests that a web page elsewhere makes a browser on this machine send: through a
    /// name that its owner lets point to this machine, or without one.
    fn is_of_this_machine(&self) -> Result<(), Problem> {
        // HTTP/2 has the name in its URI.
        let authority = self.uri.authority().map(http::uri::Authority::as_str);
        let host = authority.or_else(|| self.text(&HOST)).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
        });
        let is_local = matches!(name, "" | "localhost" | "[::1]")
            || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        if !is_local {
            let detail = "without a token, only the names `localhost`, `127.0.0.1` and `[::1]` are \
                          answered: set `token_file` in `[server.admin]`";
            return Err(Problem::new(403, "The host is not this machine", detail));
        }
        self.is_of_this_site()
    }

    /// Refuses changes that a page of another site makes a browser send with the token that the
    /// browser has kept.
    fn is_of_this_site(&self) -> Result<(), Problem> {
        if *self.method == Method::GET || !is_of_another_site(self.headers) {
            return Ok(());
        }
        Err(Problem::new(403, "The request comes from another site", ""))
    }

    fn text(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The token that a request has: of the scheme `Bearer`, or the password of `Basic`, which is what
/// browsers ask for.
fn token_of(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

/// The middleware: lets operators through.
pub(super) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::Unix);
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let head = Head { method, uri, headers };
    match admin.0.guard.admits(peer, &head) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let is_unknown = problem.status() == 401;
            let mut response = problem.into_response();
            if is_unknown {
                // In lines of their own: in one line, Chromium understands none of them.
                for challenge in ["Basic realm=\"tollgate\"", "Bearer"] {
                    let challenge = HeaderValue::from_static(challenge);
                    response.headers_mut().append(WWW_AUTHENTICATE, challenge);
                }
            }
            response
        }
    }
}
