//! An agent of rig over two API keys. One question of a user is two requests to the model, because
//! the agent calls a tool in between. So the limits belong below the client, where every request
//! passes, and not around the agent.
//!
//! `cargo run --release -p tollgate-llm-clients --example rig_agent` (about 10 seconds, real time)
//!
//! rig takes any implementation of its trait `HttpClientExt` with `connect`:
//! [`RigTransport`] is one. See [`tollgate_llm_clients::clients`] for what is below it. The API is
//! a small server on loopback: see [`tollgate_llm_server`].
//!
//! genai 0.7 cannot be wrapped like this. It takes a `reqwest::Client` and nothing else, and what
//! can be put into one (`connector_layer`) sees connections and not requests. What works with it:
//! `KeyPool::call` around `exec_chat`, with the key of each try in the `ServiceTarget`. Then the
//! limits must be given, because genai keeps the headers of failures only, and a stream counts as
//! its estimate.

#[path = "support/limited.rs"]
mod limited;
#[path = "support/table.rs"]
mod table;

use std::io::{Write as _, stdout};
use std::time::Instant;

use futures_lite::StreamExt as _;
use limited::limited;
use rig_agent::prelude::{Agent, AgentBuilder, MultiTurnStreamItem};
use rig_core::message::ToolName;
use rig_core::providers::openai::OpenAIConfig;
use rig_core::streaming::{Item, StreamEvent};
use rig_core::tool::{DynamicTool, ToolOutput};
use table::{KEYS, Keys};
use tokio::task::JoinSet;
use tollgate_llm_clients::clients::{Failure, Journal, RigTransport};
use tollgate_llm_server::Server;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let plans = KEYS.map(|key| (key.secret, key.plan));
    let server = Server::start(&plans).await?;
    let journal = Journal::default();
    let keys = Keys::new(&server, &journal)?;

    // The limits, below the client.
    let service = limited(&keys, &journal);
    let openai = OpenAIConfig::new("from the pool").with_base_url(server.base_url());
    let model = openai.connect(RigTransport::new(service)).chat("small");

    let agent = AgentBuilder::new(model)
        .preamble("You explain limits. Look them up before you answer.")
        .max_tokens(100)
        .default_max_turns(3)
        .dynamic_tool(limits_tool()?)
        .build();

    println!("80 users ask the agent at once:\n");
    ask_all(&agent, 80).await;
    keys.print();

    println!("\nAn answer word by word:\n");
    stream(&agent).await
}

/// A tool that needs no argument.
fn limits_tool() -> Result<DynamicTool, Failure> {
    let schema = serde_json::json!({"type": "object", "properties": {}});
    let call = |_| -> rig_core::wasm_compat::WasmBoxedFuture<'static, _> {
        Box::pin(async { Ok(ToolOutput::text("600 requests and 120000 tokens a minute")) })
    };
    Ok(DynamicTool::new(ToolName::new("limits")?, "The limits of the account", schema, call))
}

/// Asks all at once, and tells how it went.
async fn ask_all(agent: &Agent, users: u32) {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for user in 0..users {
        let agent = agent.clone();
        tasks.spawn(async move {
            let question = format!("I am user {user}. How much may I send at once?");
            agent.prompt(question).await.map(|answer| answer.completion_calls.len())
        });
    }
    let answers = tasks.join_all().await;
    let took = start.elapsed();
    let good: Vec<usize> =
        answers.iter().filter_map(|answer| answer.as_ref().ok().copied()).collect();
    let requests: usize = good.iter().sum();
    println!("  {} answers from {requests} requests in {:.1} s", good.len(), took.as_secs_f64());
    if let Some(Err(failure)) = answers.iter().find(|answer| answer.is_err()) {
        println!("  the others failed, one of them so: {failure}");
    }
}

/// The same through a stream: the tool is called, and then the words come one by one.
async fn stream(agent: &Agent) -> Result<(), Failure> {
    let mut items = agent.prompt("How much may I send at once?").stream();
    print!("  ");
    while let Some(item) = items.next().await {
        match item? {
            MultiTurnStreamItem::StreamAssistantItem(Item::Event(StreamEvent::Text {
                text,
                ..
            })) => {
                print!("{text}");
                stdout().flush()?;
            }
            MultiTurnStreamItem::ToolCall { tool_call } => {
                println!("(calls the tool `{}`)", tool_call.function.name);
                print!("  ");
            }
            _ => {}
        }
    }
    println!();
    Ok(())
}
