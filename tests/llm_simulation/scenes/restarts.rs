//! The client's process ends in the middle, and another one begins.

use super::{open_ai, scene};
use crate::sim::{Counter, Counts, DAY, Dialect, MINUTE, Nanos, Restart, Scene, Server, Traffic};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let learned = scene("restart, learned", open_ai(), length);
    let told = Scene { name: "restart, told", told: true, ..learned.clone() };
    let day = windows_of_a_day(length.max(DAY));
    vec![
        Scene { restart: Some(lost(length)), ..told.clone() },
        Scene { name: "restart, told, kept", restart: Some(kept(length)), ..told },
        Scene { restart: Some(lost(length)), ..learned.clone() },
        Scene { name: "restart, learned, kept", restart: Some(kept(length)), ..learned },
        Scene { restart: Some(lost(day.length)), ..day.clone() },
        Scene { name: "restart, day, kept", restart: Some(kept(day.length)), ..day },
    ]
}

fn lost(length: Nanos) -> Restart {
    Restart { at: length / 2, keeps_state: false }
}

fn kept(length: Nanos) -> Restart {
    Restart { at: length / 2, keeps_state: true }
}

/// A day's requests are used up long before midnight, and then the client restarts.
fn windows_of_a_day(length: Nanos) -> Scene {
    let day = Counter::windows(Counts::Requests, 500, DAY);
    let server = Server::new(Dialect::Draft6, [day]);
    let asked = scene("restart, day", server, length);
    Scene { traffic: Traffic::Every(MINUTE - MINUTE / 4), ..asked }
}
