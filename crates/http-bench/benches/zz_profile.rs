//! Only to profile.
#[path = "support/driver.rs"]
mod driver;
#[path = "support/layers.rs"]
#[allow(dead_code)]
mod layers;
#[path = "support/pace.rs"]
#[allow(dead_code)]
mod pace;
#[path = "support/requests.rs"]
#[allow(dead_code)]
mod requests;
#[path = "../../bench/benches/support/work.rs"]
#[allow(dead_code)]
mod work;
use pace::Pace;
use requests::Crowd;
use tollgate_http::policy::*;
fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let n: u32 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1000);
    let pace = Pace::Vast;
    let c = Crowd::of(n);
    let c3 = Crowd::of(n).with_users();
    let both = [Dialect::RateLimit, Dialect::XRateLimit];
    let w = match what.as_str() {
        "single" => driver::contestant("x", layers::ours(Pace::Endless), &c, 200),
        "nofields" => driver::contestant(
            "x",
            layers::ours_telling(Pace::Endless, &[], BodyForm::None),
            &c,
            200,
        ),
        "three" => driver::contestant(
            "x",
            layers::ours_three(Pace::Endless, [Mode::Enforce; 3], Response::new()),
            &c3,
            200,
        ),
        "refused" => driver::contestant(
            "x",
            layers::ours_telling(Pace::Hourly(1), &both, BodyForm::None),
            &c,
            429,
        ),
        "gov" => driver::contestant("x", layers::tower_governor(Pace::Endless), &c, 200),
        "govh" => driver::contestant("x", layers::tower_governor_telling(pace), &c, 200),
        _ => driver::contestant("x", requests::NoOp, &c, 200),
    };
    let t = std::time::Instant::now();
    w.work.run(3_000_000);
    println!("{:.1} ns", t.elapsed().as_nanos() as f64 / 3e6);
}
