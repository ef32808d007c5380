//! A client of the protocol, over a real connection.

use tollgate_server::envoy::SHOULD_RATE_LIMIT;
use tollgate_server::envoy::messages::{
    Entry, RateLimitDescriptor, RateLimitRequest, RateLimitResponse,
};
use tonic::Status;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use crate::server::{Running, builder, policy};

/// A client, and the service that it asks.
pub(crate) struct Client {
    grpc: Grpc<Channel>,
    _server: Option<Running>,
}

impl Client {
    /// A client of a service with this policy.
    pub(crate) async fn of(text: &str) -> Self {
        Self::to(Running::of(builder(&policy(text)).build().expect("memory")).await).await
    }

    /// A client of this server.
    pub(crate) async fn to(server: Running) -> Self {
        let client = Self::at(&server.address.to_string()).await;
        Self { _server: Some(server), ..client }
    }

    /// A client of the server at an address.
    pub(crate) async fn at(address: &str) -> Self {
        let channel = Channel::from_shared(format!("http://{address}"));
        let channel = channel.expect("an address").connect().await.expect("the server listens");
        Self { grpc: Grpc::new(channel), _server: None }
    }

    /// Asks the method.
    pub(crate) async fn ask(
        &mut self,
        request: RateLimitRequest,
    ) -> Result<RateLimitResponse, Status> {
        self.call(SHOULD_RATE_LIMIT, request).await
    }

    /// Calls the method at a path.
    pub(crate) async fn call(
        &mut self,
        path: &'static str,
        request: RateLimitRequest,
    ) -> Result<RateLimitResponse, Status> {
        self.grpc.ready().await.expect("the connection is open");
        let path = http::uri::PathAndQuery::from_static(path);
        let answer = self.grpc.unary(tonic::Request::new(request), path, ProstCodec::default());
        answer.await.map(tonic::Response::into_inner)
    }

    /// Asks about descriptors of the domain `edge`.
    pub(crate) async fn edge(
        &mut self,
        descriptors: Vec<RateLimitDescriptor>,
    ) -> RateLimitResponse {
        self.ask(request("edge", descriptors)).await.expect("a response")
    }
}

pub(crate) fn request(domain: &str, descriptors: Vec<RateLimitDescriptor>) -> RateLimitRequest {
    RateLimitRequest { domain: domain.into(), descriptors, hits_addend: 0 }
}

pub(crate) fn descriptor(entries: &[(&str, &str)]) -> RateLimitDescriptor {
    let entry = |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
    RateLimitDescriptor { entries: entries.iter().map(entry).collect(), ..Default::default() }
}

pub(crate) fn hits(count: u64, entries: &[(&str, &str)]) -> RateLimitDescriptor {
    RateLimitDescriptor { hits_addend: Some(count), ..descriptor(entries) }
}
