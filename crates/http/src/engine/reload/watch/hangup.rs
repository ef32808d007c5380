//! SIGHUP: the file is read at once.

use std::io;
use std::sync::Arc;

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::{Handle, Signals};

use super::bell::Bell;

/// Rings the bell at each SIGHUP, until the handle is closed. Then this limiter's part of the
/// signal handler is removed, too.
pub(super) fn listen(bell: Arc<Bell>) -> io::Result<Handle> {
    let mut signals = Signals::new([SIGHUP])?;
    let handle = signals.handle();
    std::thread::Builder::new().name("tollgate-sighup".into()).spawn(move || {
        for _ in signals.forever() {
            bell.hangup();
        }
    })?;
    Ok(handle)
}
