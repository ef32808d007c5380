//! An agent that gives each caller 60 answers a minute, of which 10 may come at once, and that
//! answers with less when a caller's limit is reached.
//!
//! `cargo run --release -p tollgate-llm-clients --example agent` (about 5 seconds, real time)
//!
//! The agent is in `src/agent/`, and a stand-in for a model says its answers. The guide
//! `docs/llm-agents.md` shows the same in small pieces.

use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

use futures_lite::StreamExt as _;
use tollgate_llm_clients::agent::{Agent, Answer, AskError, Context, Kind, ModelError, PacedModel};

#[tokio::main]
async fn main() -> Result<(), ModelError> {
    let agent = Agent::builder()
        .rate_limit_per_minute(60, 10)
        .key(Context::key) // the user, else the address, else "global"
        .cache(1_000, Duration::from_mins(10))
        .short_answers_per_minute(30, 3)
        .build(PacedModel::new(Duration::from_millis(1)))?;

    keys(&agent);
    degradation(&agent).await;
    patience(&agent).await?;
    reservations(&agent).await?;
    stream(&agent).await?;
    statistics(&agent);
    Ok(())
}

/// Whose limit a request counts against.
fn keys(agent: &Agent) {
    println!(
        "Each caller has a limit of its own: the user's, else the address's, else one for all"
    );
    println!("others.\n");
    let visitor = |address: [u8; 4]| Context::anonymous().with_address(address.into());
    for (who, context) in [
        ("a user", Context::of_user("alice")),
        ("the same user elsewhere", Context::of_user("alice").with_address([192, 0, 2, 8].into())),
        ("a visitor", visitor([192, 0, 2, 7])),
        ("somebody", Context::anonymous()),
    ] {
        println!("  {who:<24} {}", agent.rate_limit().stats(&agent.key_of(&context)));
    }
}

/// One caller asks far too much at once, and another one is not concerned.
async fn degradation(agent: &Agent) {
    println!("\nalice asks 18 questions at once; every third one is the same:\n");
    let alice = Context::of_user("alice");
    for number in 1..=18 {
        let prompt = match number % 3 {
            0 => "What is a burst?".to_owned(),
            _ => format!("What is rule {number}?"),
        };
        println!("  {number:>2}  {}", describe(agent.ask(&alice, &prompt).await));
    }
    let bob = Context::of_user("bob");
    println!("\nbob asks one:\n");
    println!("      {}", describe(agent.ask(&bob, "What is a burst?").await));
}

/// One line about an answer.
fn describe(result: Result<Answer, AskError>) -> String {
    match result {
        Ok(answer) => {
            let (words, stats) =
                (answer.text.split_whitespace().count(), &answer.metadata.rate_limit);
            let kind = answer.metadata.kind.name();
            format!("{kind:<7} {words:>2} words, {stats}")
        }
        Err(AskError::Refused(refusal)) => format!("none    {refusal}"),
        Err(error) => format!("none    {error}"),
    }
}

/// A caller who would rather wait than get less.
async fn patience(agent: &Agent) -> Result<(), AskError> {
    println!("\nalice is willing to wait for 3 seconds, and gets full answers again:\n");
    let patient = Context::of_user("alice").with_patience(Duration::from_secs(3));
    for prompt in ["What is debt?", "What is a window?"] {
        let answer = agent.ask(&patient, prompt).await?;
        let (kind, waited) = (answer.metadata.kind.name(), answer.metadata.waited);
        println!("  {kind} after {:.1} s", waited.as_secs_f64());
    }
    Ok(())
}

/// A job that knows at once when each of its questions will be answered.
async fn reservations(agent: &Agent) -> Result<(), AskError> {
    println!("\nA job of alice reserves three answers, and does without the first:\n");
    let alice = Context::of_user("alice");
    let key = agent.key_of(&alice);
    let limit = agent.rate_limit();
    let [first, second, third] = [limit.reserve(&key)?, limit.reserve(&key)?, limit.reserve(&key)?];
    let seconds = |delay: Option<Duration>| delay.unwrap_or_default().as_secs_f64();
    let delays = [&first, &second, &third].map(|reservation| seconds(reservation.delay()));
    println!("  due in {:.1} s, {:.1} s and {:.1} s", delays[0], delays[1], delays[2]);
    first.cancel();
    println!(
        "  the first is cancelled: the others are due in {:.1} s and {:.1} s",
        seconds(second.delay()),
        seconds(third.delay())
    );
    let start = Instant::now();
    for reservation in [second, third] {
        agent.ask_reserved(reservation, &alice, "What is a permit?").await?;
        println!("  answered after {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Word by word, with the metadata before the first word.
async fn stream(agent: &Agent) -> Result<(), ModelError> {
    println!("\nA visitor reads an answer word by word. Its metadata comes first:\n");
    let visitor = Context::anonymous().with_address([192, 0, 2, 7].into());
    let mut answer = agent.stream(&visitor, "What is a rate?").await?;
    println!("  {}", answer.metadata().to_json());
    for (name, value) in answer.metadata().rate_limit.headers() {
        println!("  {name}: {value}");
    }
    print!("  ");
    while let Some(word) = answer.next().await {
        print!("{}", word?);
        stdout().flush()?;
    }
    println!();
    if answer.metadata().kind != Kind::Full {
        println!("  (It could have been longer.)");
    }
    Ok(())
}

/// What those see who run it.
fn statistics(agent: &Agent) {
    let statistics = agent.statistics();
    println!("\nCallers who were refused most full answers:\n");
    for (key, refusals) in &statistics.most_refused {
        println!("  {key} {refusals}");
    }
    println!("\nFor Prometheus, without any key:\n");
    for line in statistics.prometheus().lines().filter(|line| !line.starts_with('#')) {
        println!("  {line}");
    }
}
