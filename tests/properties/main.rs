//! Properties that hold whatever is asked, in whichever order.

mod bounds;
mod leased;
#[path = "../support/level.rs"]
mod level;
#[path = "../support/model.rs"]
mod model;
#[path = "../support/script.rs"]
mod script;
mod scripts;
#[path = "../support/sizes.rs"]
mod sizes;
mod timeline;
mod twin;
mod windows;
