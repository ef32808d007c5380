//! The service under load for a long time, while its policy is replaced twice a second: once by its
//! file, and once by operators. It must make no error, and its memory must stay as it is.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::load::{Client, Counted, Load};
use crate::policies::{PORTS, check, forward_auth};
use crate::process::{Process, ask};
use crate::rls::{self, ENVOY};
use crate::start::mebibytes;

/// The load is in pieces of so many seconds, after each of which its errors are told.
const PIECE: u32 = 20;

/// Users, of which the service keeps the levels.
const USERS: u32 = 100_000;

/// A policy with several limits; its quotas differ by `number`, so that each one is a change.
fn policy(number: u64) -> String {
    let (calls, flood) = (100_000_000 + number, 200_000_000 + number);
    format!(
        "version = 1\nalways = ['flood', 'calls']\n\
         [client]\nheader = 'x-forwarded-for'\ntrusted_proxies = ['127.0.0.0/8']\n\
         [limits.flood]\nquota = '{flood}/s'\nkey = 'address'\n\
         [limits.calls]\nquota = '{calls}/s'\nkey = 'caller'\n\
         [response]\nheaders = ['ratelimit', 'x-ratelimit']\n\
         [limits.edge]\nquota = '{calls}/s'\nkey = 'entry:user'\n\
         [[descriptors]]\ndomain = 'bench'\nentries = ['user']\nlimits = ['edge']\n\
         [penalty]\nkey = 'caller'\nafter = '30/min'\nblock = '1min'\n"
    )
}

/// What came of it.
#[derive(Debug, Default)]
struct Seen {
    counted: Vec<(&'static str, Counted)>,
    /// Minutes since the begin, memory in KiB, and open files.
    samples: Vec<(f64, u64, usize)>,
    posted: u64,
    written: u64,
    failed: Vec<String>,
}

/// Runs for so many minutes. Returns whether all was well.
pub(crate) fn run(minutes: f64) -> bool {
    let mut service = Process::service(&(policy(0) + PORTS + ENVOY));
    let mut users = check();
    users.users = Some(USERS);
    let loads = [
        ("wrk, checks", Load::new(Client::Wrk { connections: 32 }, service.address, &users)),
        ("wrk, forward-auth", {
            Load::new(Client::Wrk { connections: 8 }, service.address, &forward_auth())
        }),
        ("h2load, checks", {
            let client = Client::H2load { connections: 4, streams: 16 };
            Load::new(client, service.address, &check())
        }),
        ("h2load, Envoy's protocol", {
            let client = Client::H2load { connections: 2, streams: 8 };
            Load::new(client, service.envoy.expect("it listens for Envoy"), &rls::request())
        }),
    ];
    let (seen, ends) = (Mutex::new(Seen::default()), AtomicBool::new(false));
    let (begun, time) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    std::thread::scope(|scope| {
        let (seen, ends, service) = (&seen, &ends, &service);
        for (name, load) in &loads {
            scope.spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    let counted = load.run(PIECE);
                    seen.lock().expect("no panic").counted.push((name, counted));
                }
            });
        }
        scope.spawn(|| replace_again_and_again(service, seen, ends));
        while begun.elapsed() < time {
            std::thread::sleep(Duration::from_secs(10));
            let minute = begun.elapsed().as_secs_f64() / 60.0;
            let sample = (minute, service.memory(), service.open_files());
            seen.lock().expect("no panic").samples.push(sample);
        }
        ends.store(true, Ordering::Relaxed);
    });
    let is_running = service.is_running();
    let reloads = reloads(&service);
    let seen = seen.into_inner().expect("no panic");
    is_running & told(&seen, &reloads)
}

/// Writes the file, and half a second later posts another policy.
fn replace_again_and_again(service: &Process, seen: &Mutex<Seen>, ends: &AtomicBool) {
    let admin = service.admin.expect("the service has operators");
    let file = service.file_of_service();
    let other = file.with_file_name("next.toml");
    let mut number = 0;
    while !ends.load(Ordering::Relaxed) {
        number += 2;
        fs::write(&other, policy(number) + PORTS + ENVOY).expect("the folder can be written");
        fs::rename(&other, &file).expect("the file can be replaced");
        std::thread::sleep(Duration::from_millis(500));
        let head = "POST /rate_limit/config HTTP/1.1\r\ncontent-type: application/toml";
        let answer =
            ask(admin, head, &policy(number + 1)).unwrap_or_else(|error| error.to_string());
        let mut seen = seen.lock().expect("no panic");
        seen.written += 1;
        seen.posted += 1;
        if !answer.starts_with("HTTP/1.1 200 ") {
            seen.failed.push(answer);
        }
        drop(seen);
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The service's own count of reloads.
fn reloads(service: &Process) -> Vec<String> {
    let admin = service.admin.expect("the service has operators");
    let metrics = ask(admin, "GET /metrics HTTP/1.1", "").expect("an answer");
    let of_interest = |line: &&str| line.starts_with("tollgate_policy_reloads_total");
    metrics.lines().filter(of_interest).map(str::to_owned).collect()
}

/// Prints what came of it; returns whether that is well.
fn told(seen: &Seen, reloads: &[String]) -> bool {
    println!("\n## Soak\n\n| client | requests | refused | errors |\n|---|---|---|---|");
    let mut is_well = seen.failed.is_empty();
    let mut names: Vec<&str> = seen.counted.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let sum = |figure: fn(&Counted) -> u64| -> u64 {
            seen.counted.iter().filter(|(of, _)| *of == name).map(|(_, c)| figure(c)).sum()
        };
        let (refused, errors) = (sum(|counted| counted.refused), sum(|counted| counted.errors));
        is_well &= refused == 0 && errors == 0;
        println!("| {name} | {} | {refused} | {errors} |", sum(|counted| counted.requests));
    }
    println!("\nPolicies posted: {}, written: {}.", seen.posted, seen.written);
    for line in reloads.iter().chain(&seen.failed) {
        println!("    {line}");
    }
    println!("\n| minute | memory MiB | open files |\n|---|---|---|");
    let step = (seen.samples.len() / 20).max(1);
    for (minute, memory, files) in seen.samples.iter().step_by(step).chain(seen.samples.last()) {
        println!("| {minute:.1} | {:.1} | {files} |", mebibytes(*memory));
    }
    // By then, every user was there.
    let settled = seen.samples.get(seen.samples.len() / 4).map_or(0, |sample| sample.1);
    let last = seen.samples.last().map_or(0, |sample| sample.1);
    let is_flat = last <= settled + settled / 10;
    println!(
        "\nMemory after a quarter of the time: {:.1} MiB; at the end: {:.1} MiB.",
        mebibytes(settled),
        mebibytes(last)
    );
    is_well && is_flat
}
