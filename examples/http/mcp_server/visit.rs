//! The clients of the server: one that shows what is sent, and one as applications use it.

use std::net::SocketAddr;

use reqwest::Method;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

use crate::http_client::{Answer, Client};
use crate::serve::AnyError;

/// Calls tools until they are refused, prints what happened, and checks it.
pub(crate) async fn visit(address: SocketAddr) -> Result<(), AnyError> {
    let server = Client::of(address)
        .with("content-type", "application/json")?
        .with("accept", "application/json, text/event-stream")?
        .with("mcp-protocol-version", "2025-11-25")?;
    let user = |name: &str| server.with("authorization", format!("Bearer key-of-{name}"));

    println!(
        "Each user calls `research`, which costs 5, until it is refused, and then `weather`:\n"
    );
    println!(
        "{:<6}{:<12}{:>8}{:>8}   {:<26}{:<26}",
        "user", "tier", "research", "weather", "research refused by", "weather refused by"
    );
    for (name, tier, limit) in [
        ("fay", "free", 10),
        ("ben", "basic", 60),
        ("pia", "premium", 300),
        ("eve", "enterprise", 1000),
    ] {
        let client = user(name)?;
        let (research, no_research) = until_refused(&client, "research").await?;
        let (weather, no_weather) = until_refused(&client, "weather").await?;
        let why = |refused: &Answer| {
            let fields =
                ["ratelimit", "retry-after"].map(|name| refused.field(name).unwrap_or("-"));
            format!("{}, {} s", fields[0], fields[1])
        };
        println!(
            "{name:<6}{tier:<12}{research:>8}{weather:>8}   {:<26}{:<26}",
            why(&no_research),
            why(&no_weather)
        );
        let used = research * 5 + weather;
        assert!((limit..limit + limit / 10).contains(&used), "{used} permits were used");
    }
    Ok(())
}

/// Calls a tool until it is refused; returns how often it was called, and the refusal.
async fn until_refused(client: &Client, tool: &str) -> Result<(usize, Answer), AnyError> {
    let mut calls = 0;
    loop {
        let answer = call(client, tool).await?;
        match answer.status.as_u16() {
            200 => calls += 1,
            429 => return Ok((calls, answer)),
            other => return Err(format!("{tool}: {other}, {}", answer.body).into()),
        }
    }
}

async fn call(client: &Client, tool: &str) -> Result<Answer, AnyError> {
    let arguments = json!({ "town": "Bergen", "question": "Why does it rain so much?" });
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    });
    client.send(Method::POST, "/mcp", message.to_string()).await
}
