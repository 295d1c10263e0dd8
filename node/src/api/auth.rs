use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::Either;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tower::{Layer, Service};

const BEARER: &str = "Bearer ";

/// Lets only requests through that bring the token, and that no browser sends on behalf of a page.
#[derive(Clone)]
pub(super) struct AuthLayer(Arc<Expected>);

struct Expected {
    /// Compared in constant time, as blake3's hashes are.
    token: blake3::Hash,
    hosts: [String; 2],
}

impl AuthLayer {
    pub(super) fn new(token: &str, address: SocketAddr) -> Self {
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Self(Arc::new(Expected { token: blake3::hash(token.as_bytes()), hosts }))
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, expected: Arc::clone(&self.0) }
    }
}

/// See [`AuthLayer`].
#[derive(Clone)]
pub(super) struct Auth<S> {
    inner: S,
    expected: Arc<Expected>,
}

impl<S, B> Service<HttpRequest<B>> for Auth<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<HttpResponse, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        match self.expected.refusal(&request) {
            None => Either::Left(self.inner.call(request)),
            Some((status, why)) => {
                tracing::warn!(status, why, "the local API refused a request");
                Either::Right(ready(Ok(refused(status, why))))
            }
        }
    }
}

impl Expected {
    fn refusal<B>(&self, request: &HttpRequest<B>) -> Option<(u16, &'static str)> {
        let header = |name: &str| request.headers().get(name);
        if header("origin").is_some() {
            return Some((403, "web pages may not use this API\n"));
        }
        let host = header("host").and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.hosts.iter().any(|known| known == host)) {
            return Some((403, "the Host must be the API's own address\n"));
        }
        let bearer = header("authorization").and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix(BEARER));
        match token {
            Some(token) if blake3::hash(token.as_bytes()) == self.token => None,
            _ => Some((401, "bring the token from api.json: Authorization: Bearer TOKEN\n")),
        }
    }
}

fn refused(status: u16, why: &'static str) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(why));
    if let Ok(status) = status.try_into() {
        *response.status_mut() = status;
    }
    response
}

/// What a client sends.
pub(super) fn bearer(token: &str) -> String {
    format!("{BEARER}{token}")
}
