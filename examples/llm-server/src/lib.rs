//! A small model API on loopback: it enforces limits for each key, and answers in OpenAI's formats.
//!
//! The examples of clients run against it. It counts in its own way, independent of the library
//! that the examples show.
//!
//! * [`Plan`] says what a key may use, and in whose headers the server tells it.
//! * [`Server`] starts on a free port, and is told there what should go wrong: see [`Fault`].
//! * [`Tally`] is what became of the requests.
//!
//! A request reserves the tokens of its prompt and of its longest answer. What the answer did not
//! need is given back when it ends. A token is a word here.

// A request goes through this folder as follows. `Server` reads it into a `Chat`, and asks the
// `Account` of its key, which has two `Level`s. The verdict becomes an error of `fault.rs`, or an
// answer of `answer.rs`, whole or as events. `dialect.rs` writes the headers.

mod account;
mod answer;
mod chat;
mod dialect;
mod fault;
mod level;
mod plan;
mod server;

pub use account::Tally;
pub use dialect::Dialect;
pub use fault::Fault;
pub use plan::Plan;
pub use server::Server;
