//! Watching the files of a policy.
//!
//! A thread waits for the [`Bell`], which is rung by a change in a file's folder, by SIGHUP, and
//! by the end of the limiter. It knows the limiter only weakly, so it does not keep it alive.

mod bell;
mod builder;
mod files;
mod folders;
#[cfg(unix)]
mod hangup;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::HttpLimiter;
use crate::engine::limiter::WeakLimiter;
use bell::{Bell, Rung};
use files::Load;
use files::PolicyFiles;
use folders::Folders;

/// How long changes are gathered before the files are read (rule L4). Whoever writes a file in
/// steps makes further changes meanwhile, and half a file can be a policy too, so then the time
/// begins anew.
const GATHER: Duration = Duration::from_millis(200);

/// How often that time begins anew, at most: somebody may write into the same folder all the time.
const GATHERINGS: u32 = 10;

/// How often the files are read although no change was heard of: a folder that was replaced, or a
/// file system that tells nothing, must not stay unnoticed.
const RECHECK: Duration = Duration::from_secs(30);

/// How often the files are read if a folder can't be watched.
const POLL: Duration = Duration::from_secs(3);

/// How often a file that is not there is looked for again before that is an error: it may vanish
/// for a moment while it is replaced.
const PATIENCE: u32 = 5;

/// What to watch.
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    load: Load,
    /// Read the files so often and watch no folder.
    every: Option<Duration>,
}

/// Owned by the limiter. The threads end when this is dropped. Nobody waits for them, because the
/// last clone of the limiter may be dropped by one of them.
pub(crate) struct Watch {
    bell: Arc<Bell>,
    #[cfg(unix)]
    hangup: signal_hook::iterator::Handle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bell.stop();
        #[cfg(unix)]
        self.hangup.close();
    }
}

/// Begins to watch. After this, no change of the files is missed.
pub(super) fn start(limiter: &HttpLimiter, watched: Watched) -> io::Result<Watch> {
    let bell = Arc::new(Bell::default());
    #[cfg(unix)]
    let watch = Watch { bell: Arc::clone(&bell), hangup: hangup::listen(Arc::clone(&bell))? };
    #[cfg(not(unix))]
    let watch = Watch { bell: Arc::clone(&bell) };
    let mut folders =
        watched.every.is_none().then(|| Folders::new(watched.paths.clone(), Arc::clone(&bell)));
    let pause = pause(watched.every, folders.as_mut(), limiter);
    let thread = Watcher {
        limiter: limiter.downgrade(),
        files: PolicyFiles::new(watched.paths, watched.load),
        every: watched.every,
        folders,
        bell,
    };
    std::thread::Builder::new().name("tollgate-watch".into()).spawn(move || thread.run(pause))?;
    Ok(watch)
}

/// Watches the folders; returns after which time the files are read in any case.
fn pause(
    every: Option<Duration>,
    folders: Option<&mut Folders>,
    limiter: &HttpLimiter,
) -> Duration {
    use super::Watching;
    let watched = folders.map(Folders::watch);
    let (watching, pause) = match &watched {
        Some(Ok(())) => (Watching::Events, RECHECK),
        Some(Err(_)) => (Watching::Polling, POLL),
        None => (Watching::Polling, every.unwrap_or(POLL)),
    };
    let is_new = limiter.reloads().status_mut().watches(watching);
    if let Some(Err(error)) = watched.filter(|_| is_new) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "tollgate_http",
            %error,
            "a folder of the policy can't be watched: its files are read every {POLL:?}"
        );
        #[cfg(not(feature = "tracing"))]
        drop(error);
    }
    pause
}

struct Watcher {
    limiter: WeakLimiter,
    files: PolicyFiles,
    every: Option<Duration>,
    folders: Option<Folders>,
    bell: Arc<Bell>,
}

impl Watcher {
    /// Reads the files at the beginning and whenever the bell rings, until the limiter is gone.
    fn run(mut self, mut pause: Duration) {
        while self.read() {
            let rung = self.bell.wait(Instant::now().checked_add(pause));
            match if rung == Rung::Changed { self.gather() } else { rung } {
                Rung::Stop => return,
                // What is in the files shall be in force, also if they have not changed.
                Rung::Hangup => self.files.forget(),
                Rung::Changed | Rung::Nothing => {}
            }
            // Before the files are read, so that a change after the reading is heard.
            let Some(limiter) = self.limiter.upgrade() else { return };
            pause = self::pause(self.every, self.folders.as_mut(), &limiter);
        }
    }

    /// Waits until nothing changes any more.
    fn gather(&self) -> Rung {
        let mut rung = Rung::Changed;
        for _ in 0..GATHERINGS {
            if rung != Rung::Changed {
                break;
            }
            rung = self.bell.gather(GATHER);
        }
        rung
    }

    /// Reads the files, and takes their policy if it is new. Returns whether to go on.
    fn read(&mut self) -> bool {
        let mut contents = self.files.read();
        for _ in 0..PATIENCE {
            if !contents.is_missing() {
                break;
            }
            if self.bell.gather(GATHER) == Rung::Stop {
                return false;
            }
            contents = self.files.read();
        }
        let Some(limiter) = self.limiter.upgrade() else { return false };
        // A store, a clock, a subscriber or the program's own function that panics must not end the
        // watching.
        let take = AssertUnwindSafe(|| self.files.take(contents, &limiter));
        if catch_unwind(take).is_err() {
            limiter.reloads().status_mut().panicked();
        }
        true
    }
}
