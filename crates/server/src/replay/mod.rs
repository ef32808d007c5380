//! What a policy would have done to real traffic: `tollgate replay`.
//!
//! Each line of the access logs becomes the facts of a request, and goes through the same limiter
//! as requests of the service do, on a clock that follows the log.
//!
//! * [`log`]: the formats of logs, and what a line tells;
//! * [`input`]: files, standard input and gzip, read in chunks; the requests of all logs in the
//!   order of their times;
//! * [`Replay`]: the limiter and the counts; [`Report`]: the result, as a table or as JSON;
//! * [`arguments`]: what the command line says about the logs, and everything from there to the
//!   printed report.
//!
//! Nothing in here knows of a server or a runtime.
//!
//! ```
//! use tollgate_http::Policy;
//! use tollgate_server::replay::Replay;
//! use tollgate_server::replay::input::{Input, Logs, Reading};
//!
//! let policy: Policy = "
//!     version = 1
//!     always = ['calls']
//!     [limits.calls]
//!     quota = '1/s burst 2'
//!     key = 'address'
//! ".parse()?;
//! let line = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5\n";
//! let log = line.repeat(5).into_bytes();
//! let input = Input::of("access.log", std::io::Cursor::new(log));
//! let mut logs = Logs::new(vec![input], &Reading::default())?;
//! let mut replay = Replay::new(&policy)?;
//! replay.run(&mut logs)?;
//! let report = replay.report(&logs, 10);
//! assert_eq!((report.totals.requests, report.totals.refused), (5, 3));
//! assert_eq!(report.limits[0].quotas[0].enough.as_deref(), Some("1/s burst 5"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod arguments;
mod counts;
pub mod input;
pub mod log;
mod measure;
mod report;
mod run;

pub use report::{
    Busiest, CallerReport, KeyReport, LimitReport, LogReport, PolicyReport, QuotaReport, Report,
    RouteReport, SkippedReport, Totals,
};
pub use run::Replay;
