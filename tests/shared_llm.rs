//! LLM limits that processes share through a store. The processes are limiters over clones of one
//! store in memory; time is paused.
#![cfg(all(feature = "llm", feature = "shared"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "shared_llm/cancelling.rs"]
mod cancelling;
#[path = "shared_llm/headers.rs"]
mod headers;
#[path = "shared_llm/levels.rs"]
mod levels;
#[path = "shared_llm/one_subject.rs"]
mod one_subject;
#[path = "shared_llm/outages.rs"]
mod outages;
#[path = "shared_llm/pauses.rs"]
mod pauses;
#[path = "shared_llm/pools.rs"]
mod pools;
#[path = "shared_llm/settling.rs"]
mod settling;
#[path = "shared_llm/slots.rs"]
mod slots;
#[allow(dead_code, reason = "tests share modules")]
#[path = "shared/unruly_store.rs"]
mod unruly_store;
#[path = "shared_llm/waits.rs"]
mod waits;
#[path = "shared_llm/workers.rs"]
mod workers;
