//! Requests in one call: what can be done with their futures.

#![cfg(all(feature = "llm", feature = "tokio"))]

use std::error::Error;
use std::sync::Arc;

use tollgate::llm::{CallError, KeyPool, LimitKind, Limiter, Limits, Period, Reply};

type Called = Result<Answer, CallError<Answer, std::io::Error>>;

#[derive(Debug)]
struct Answer {
    used: u64,
}

impl Answer {
    fn reply(&self) -> Reply {
        Reply::new(200).spent(self.used)
    }
}

/// A request that borrows from its task, on a runtime that moves tasks between threads: what the
/// future of a call borrows must not keep it from being `Send`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_can_be_spawned() -> Result<(), Box<dyn Error>> {
    let model = Arc::new(Limiter::builder().tokens_per_minute(10_000).build()?);
    let task = tokio::spawn({
        let model = Arc::clone(&model);
        async move {
            let used = String::from("900");
            let send = || async { Ok(Answer { used: used.len() as u64 * 300 }) };
            let called: Called = model.call(1_500, 3, send, Answer::reply).await;
            called
        }
    });
    assert_eq!(task.await??.used, 900);
    assert_eq!(
        model.usage().of(LimitKind::Tokens(Period::MINUTE)).map(|tokens| tokens.used),
        Some(900)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_a_pool_can_be_spawned() -> Result<(), Box<dyn Error>> {
    let pool = Arc::new(KeyPool::new());
    pool.add("main", "sk-1234".to_owned(), Limits::new().tokens_per_minute(10_000))?;
    let task = tokio::spawn(async move {
        let suffix = String::from("1234");
        let suffix = &suffix;
        let called: Called = pool
            .call(
                1_500,
                3,
                |key| async move {
                    assert!(key.secret().ends_with(suffix));
                    assert!(!format!("{key:?}").contains("1234"), "a secret in Debug");
                    Ok(Answer { used: 900 })
                },
                Answer::reply,
            )
            .await;
        called
    });
    assert_eq!(task.await??.used, 900);
    Ok(())
}
