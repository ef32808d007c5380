//! The clients of the server: one that shows what is sent, and one as applications use it.

use std::net::SocketAddr;

use reqwest::Method;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    HttpStatusError, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{ServiceError, ServiceExt};
use serde_json::{Value, json};

use crate::http_client::{Answer, Client};
use crate::serve::AnyError;

/// Shows what the server's clients meet, and checks it.
pub(crate) async fn visit(address: SocketAddr) -> Result<(), AnyError> {
    let server = Client::of(address)
        .with("content-type", "application/json")?
        .with("accept", "application/json, text/event-stream")?
        .with("mcp-protocol-version", "2025-11-25")?;
    let user = |name: &str| server.with("authorization", format!("Bearer key-of-{name}"));

    exhaust(&[
        ("fay", "free", 10, user("fay")?),
        ("ben", "basic", 60, user("ben")?),
        ("pia", "premium", 300, user("pia")?),
        ("eve", "enterprise", 1000, user("eve")?),
    ])
    .await?;
    ask_for_status(&user("ben")?).await?;
    let unknown = call(&user("fay")?, "no_such_tool").await?;
    assert_eq!(unknown.status, 429, "inventing names of tools helps");
    let twice =
        r#"{ "method": "tools/call", "params": { "name": "weather", "name": "research" } }"#;
    let twice = user("fay")?.send(Method::POST, "/mcp", twice.to_owned()).await?;
    assert_eq!(twice.status, 400, "limiter and server may read different names");
    let nobody = call(&user("nobody")?, "weather").await?;
    assert_eq!(nobody.status, 401);
    call_with_rmcp(address).await
}

/// Each user calls the costly tool until it is refused, and then the cheap one.
async fn exhaust(users: &[(&str, &str, usize, Client)]) -> Result<(), AnyError> {
    println!("Each user calls `research`, which costs 5, until it is refused, and then `weather`.");
    println!("\nuser  tier        calls/min  research  refused by        weather  refused by");
    for (name, tier, limit, client) in users {
        let (research, no_research) = until_refused(client, "research").await?;
        let (weather, no_weather) = until_refused(client, "weather").await?;
        let [first, second] = [&no_research, &no_weather].map(|refusal| {
            let wait = refusal.field("retry-after").unwrap_or_default();
            format!("{} for {wait} s", refused_by(refusal))
        });
        println!("{name:<6}{tier:<12}{limit:>9}{research:>10}  {first:<16}{weather:>9}  {second}");

        // Permits come back meanwhile, so a slow machine sees a few more.
        let used = research * 5 + weather;
        assert!((*limit..limit + limit / 5).contains(&used), "{used} of {limit} permits were used");
        assert_eq!((refused_by(&no_research), refused_by(&no_weather)), ("tool", "user"));
    }
    let (_, _, _, client) = &users[0];
    println!("\nThe answer to one more call:");
    call(client, "weather").await?.print();
    Ok(())
}

/// The limit that refused: the first name in the field `RateLimit`.
fn refused_by(refusal: &Answer) -> &str {
    let field = refusal.field("ratelimit").unwrap_or_default();
    field.split('"').nth(1).unwrap_or_default()
}

/// A model can ask how much is left, also when it is refused everything else.
async fn ask_for_status(client: &Client) -> Result<(), AnyError> {
    let answer = call(client, "rate_limit_status").await?;
    assert_eq!(answer.status, 200);
    let message: Value = serde_json::from_str(&answer.body)?;
    let status = &message["result"]["structuredContent"];
    println!("\nWhat `rate_limit_status` tells ben:");
    let tools = status["tools"].as_array().ok_or("the status names no tools")?;
    for tool in tools {
        println!("  {tool}");
    }
    assert!(tools.iter().all(|tool| tool["limits"].as_array().is_some_and(|all| all.len() == 2)));
    Ok(())
}

/// A client as applications use it: what it makes of a refusal.
async fn call_with_rmcp(address: SocketAddr) -> Result<(), AnyError> {
    let config = StreamableHttpClientTransportConfig::with_uri(format!("http://{address}/mcp"));
    let transport = StreamableHttpClientTransport::from_config(config.auth_header("key-of-fay"));
    let client = ().serve(transport).await?;
    let tools = client.list_all_tools().await?;
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    println!("\nA client of crate `rmcp` lists the tools: {}.", names.join(", "));
    let mut call = CallToolRequestParams::new("weather");
    call.arguments = json!({ "town": "Bergen" }).as_object().cloned();
    let error = client.call_tool(call).await.err().ok_or("a call above the limit was answered")?;
    let refusal = refusal(&error).ok_or("the client does not see the status")?;
    let wait: u32 = refusal.retry_after.as_deref().unwrap_or_default().parse()?;
    println!("When it calls `weather`, it sees status {}, retry after {wait} s.", refusal.status);
    assert!(refusal.status == 429 && (1..=6).contains(&wait));
    client.cancel().await?;
    Ok(())
}

/// The status and `Retry-After` of a request that was answered with an error.
fn refusal(error: &ServiceError) -> Option<&HttpStatusError> {
    let ServiceError::TransportSend(error) = error else { return None };
    match error.error.downcast_ref()? {
        StreamableHttpError::<reqwest::Error>::HttpStatus(status) => Some(status),
        _ => None,
    }
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
