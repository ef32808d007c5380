//! A client of OpenAI's API (the crate async-openai) over two API keys: 150 questions at once, none
//! of which is refused for being too many, and a key that runs out of money on the way.
//!
//! `cargo run --release -p tollgate-llm-clients --example openai_client` (about 10 seconds, real
//! time)
//!
//! The client knows nothing of limits. They are in a layer below it: see
//! [`tollgate_llm_clients::clients`] for the parts, of which async-openai takes the uppermost with
//! `with_http_service`. The API is a small server on loopback: see [`tollgate_llm_server`].

#[path = "support/limited.rs"]
mod limited;
#[path = "support/table.rs"]
mod table;

use std::io::{Write as _, stdout};
use std::time::Instant;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, ChatCompletionStreamOptions, CreateChatCompletionRequest,
    CreateChatCompletionRequestArgs,
};
use futures_lite::StreamExt as _;
use limited::limited;
use table::{KEYS, Keys};
use tokio::task::JoinSet;
use tollgate_llm_clients::clients::{Failure, Journal, OpenAiTransport};
use tollgate_llm_server::{Fault, Server};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let plans = KEYS.map(|key| (key.secret, key.plan));
    let server = Server::start(&plans).await?;
    let journal = Journal::default();
    let keys = Keys::new(&server, &journal)?;

    // The limits, below the client.
    let service = limited(&keys, &journal);
    let config = OpenAIConfig::new().with_api_base(server.base_url()).with_api_key("from the pool");
    let client = Client::with_config(config).with_http_service(OpenAiTransport::new(service));

    println!("150 questions at once, over two keys:\n");
    ask_all(&client, 150).await;
    keys.print();

    let broke = KEYS[0];
    println!("\nThe key `{}` has no money any more. 40 questions:\n", broke.id);
    server.fail_next(broke.secret, Fault::QuotaSpent, u64::MAX);
    ask_all(&client, 40).await;
    keys.print();

    println!("\nAn answer word by word:\n");
    stream(&client).await?;
    Ok(())
}

/// Asks all at once, and tells how it went.
async fn ask_all(client: &Client<OpenAIConfig>, questions: u32) {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..questions {
        let client = client.clone();
        tasks.spawn(async move {
            let request = question(number, false)?;
            let answer = client.chat().create(request).await?;
            Ok::<u32, Failure>(answer.usage.map_or(0, |usage| usage.total_tokens))
        });
    }
    let answers = tasks.join_all().await;
    let took = start.elapsed();
    let good = answers.iter().filter(|answer| answer.is_ok()).count();
    println!("  {good} answers in {:.1} s", took.as_secs_f64());
    if let Some(Err(failure)) = answers.iter().find(|answer| answer.is_err()) {
        println!("  the others failed, one of them so: {failure}");
    }
}

/// A question with some text to read, of a length that differs.
fn question(number: u32, stream: bool) -> Result<CreateChatCompletionRequest, Failure> {
    let text = "Every limit of a model has a number of requests and a number of tokens. "
        .repeat(2 + number as usize % 5);
    let message =
        ChatCompletionRequestUserMessage::from(format!("Read this, and be brief. {text}"));
    let mut request = CreateChatCompletionRequestArgs::default();
    request.model("small").messages([message.into()]).max_completion_tokens(100_u32);
    if stream {
        let options =
            ChatCompletionStreamOptions { include_usage: Some(true), ..Default::default() };
        request.stream(true).stream_options(options);
    }
    Ok(request.build()?)
}

/// An answer whose words come one by one. The client reads the events; the layer passes them on.
async fn stream(client: &Client<OpenAIConfig>) -> Result<(), Failure> {
    let mut events = client.chat().create_stream(question(1, true)?).await?;
    print!("  ");
    while let Some(event) = events.next().await {
        let event = event?;
        for choice in &event.choices {
            print!("{}", choice.delta.content.as_deref().unwrap_or_default());
            stdout().flush()?;
        }
        if let Some(usage) = event.usage {
            println!("\n  {} tokens were used", usage.total_tokens);
        }
    }
    Ok(())
}
