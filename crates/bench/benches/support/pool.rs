//! Threads that are started once, released together, and timed as one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::work::Work;

type Job = (Arc<dyn Work>, u64);

/// What a thread reports.
struct Report {
    begun: Instant,
    ended: Instant,
    /// CPU time between the two.
    busy: Duration,
    /// Whether the answer was the one under measurement.
    held: bool,
}

/// How long a job took, and how many of its threads ran at a time in the mean.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) took: Duration,
    pub(crate) parallel: f64,
}

/// A fixed number of threads that wait for work.
pub(crate) struct Pool {
    jobs: Vec<mpsc::Sender<Job>>,
    reports: mpsc::Receiver<Report>,
    threads: Vec<JoinHandle<()>>,
}

/// Where the threads of one pool meet before each job.
struct Start {
    asleep: Barrier,
    awake: AtomicUsize,
    threads: usize,
}

impl Start {
    /// Sleeps until the others have the job, then spins until the others are awake too: a thread
    /// that is still being woken would leave the first ones without contention.
    fn meet(&self) {
        if self.asleep.wait().is_leader() {
            self.awake.store(0, Ordering::SeqCst);
        }
        self.asleep.wait();
        self.awake.fetch_add(1, Ordering::SeqCst);
        while self.awake.load(Ordering::SeqCst) < self.threads {
            thread::yield_now();
        }
    }
}

impl Pool {
    /// Starts `threads` threads.
    pub(crate) fn new(threads: usize) -> Self {
        let start =
            Arc::new(Start { asleep: Barrier::new(threads), awake: AtomicUsize::new(0), threads });
        let (report, reports) = mpsc::channel();
        let (jobs, threads) = (0..threads)
            .map(|number| {
                let (job, jobs) = mpsc::channel();
                let (start, report) = (Arc::clone(&start), report.clone());
                (
                    job,
                    thread::spawn(move || {
                        if threads > 1 {
                            stay_on_core(number);
                        }
                        work(&start, &jobs, &report);
                    }),
                )
            })
            .unzip();
        Self { jobs, reports, threads }
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> u64 {
        self.threads.len() as u64
    }

    /// Lets every thread do `times` operations, and returns the time from the first start to the
    /// last end. A single thread's time is its CPU time, so that what else the machine does counts
    /// less.
    ///
    /// # Panics
    ///
    /// If an answer was not the one under measurement.
    pub(crate) fn time(&self, name: &str, work: &Arc<dyn Work>, times: u64) -> Timing {
        for job in &self.jobs {
            job.send((Arc::clone(work), times)).expect("the thread waits for work");
        }
        let reports: Vec<Report> = self.reports.iter().take(self.jobs.len()).collect();
        assert!(reports.iter().all(|report| report.held), "{name} changed its answer");
        if let [alone] = &*reports {
            return Timing { took: alone.busy, parallel: 1.0 };
        }
        let begun = reports.iter().map(|report| report.begun).min().expect("a thread");
        let ended = reports.iter().map(|report| report.ended).max().expect("a thread");
        let busy: Duration = reports.iter().map(|report| report.busy).sum();
        let took = ended - begun;
        Timing { took, parallel: busy.as_secs_f64() / took.as_secs_f64().max(1e-9) }
    }

    /// How many threads should have run at a time, had nothing else used the machine.
    pub(crate) fn undisturbed(&self) -> f64 {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        f64::from(u32::try_from(cores.min(self.threads.len())).unwrap_or(u32::MAX))
    }
}

impl Drop for Pool {
    /// Waits for the threads, so that what belongs to them is free again for the next pool.
    fn drop(&mut self) {
        self.jobs.clear();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn work(start: &Start, jobs: &mpsc::Receiver<Job>, reports: &mpsc::Sender<Report>) {
    for (work, times) in jobs {
        start.meet();
        let busy = cpu_time();
        let begun = Instant::now();
        work.run(times);
        let ended = Instant::now();
        let busy = cpu_time().saturating_sub(busy);
        if reports.send(Report { begun, ended, busy, held: work.holds() }).is_err() {
            return;
        }
    }
}

/// The CPU time that the calling thread has had.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Keeps the calling thread on one core, a different one for each number: threads that are woken
/// together may else take turns on a single core, and never meet.
#[cfg(target_os = "linux")]
fn stay_on_core(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let mut own = CpuSet::new();
    own.set(cores[number % cores.len()]);
    // Where it is not allowed, the printed parallelism tells.
    let _ = sched_setaffinity(None, &own);
}

#[cfg(not(target_os = "linux"))]
fn stay_on_core(_: usize) {}
