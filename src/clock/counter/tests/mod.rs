//! Tests of the clock with a counter and a kernel's clock that follow a script. The arithmetic is
//! the same as in production.

mod world;

use proptest::prelude::*;

use super::anchor::SPAN;
use world::{MILLI, SPEEDS, STEADY, World, each};

#[test]
fn an_even_counter_is_trusted_after_milliseconds_and_then_right() {
    each(|world| {
        world.warm_up();
        let before = world.kernel_readings.get();
        assert!(world.read_many(100_000, 5_000) <= STEADY);
        // Within 501 ms, the kernel's clock is read once per millisecond, and a few times more
        // where the counter was slightly ahead of it.
        let readings = world.kernel_readings.get() - before;
        assert!((501..1_600).contains(&readings), "{readings}");
    });
}

#[test]
fn a_thread_that_reads_seldom_reads_the_kernel() {
    each(|world| {
        for _ in 0..1_000 {
            assert_eq!(world.read_many(1, 1_100_000), 0);
        }
        assert_eq!(world.kernel_readings.get(), 1_000);
    });
}

#[test]
fn a_counter_that_becomes_half_as_fast_or_half_as_fast_again() {
    each(|world| {
        let speed = world.speed.get();
        for (percent, worst) in [(50, SPAN + STEADY), (100, SPAN), (150, SPAN), (100, SPAN)] {
            world.speed.set(speed * percent / 100);
            // The error within the first millisecond is at most that millisecond.
            assert!(world.read_many(10_000, 500) <= worst, "{percent} %");
            // The speed is then measured again, so the error does not last.
            assert!(world.read_many(10_000, 500) <= STEADY, "{percent} %");
        }
    });
}

#[test]
fn a_counter_whose_speed_never_settles_is_not_used_for_long() {
    each(|world| {
        world.warm_up();
        let speed = world.speed.get();
        let before = world.kernel_readings.get();
        for round in 0..1_000 {
            world.speed.set(speed * (100 + (round % 7) * 10) / 100);
            world.read_many(100, 7_000);
        }
        let readings = world.kernel_readings.get() - before;
        assert!(readings > 50_000, "{readings} of 100,000");
    });
}

#[test]
fn a_counter_that_stands_still_is_noticed_at_the_second_reading_of_the_same_count() {
    each(|world| {
        world.warm_up();
        world.read_many(1, 50_000);
        world.speed.set(0);
        world.read(0);
        // The time between two readings does not matter.
        for every in [1, 1_000, 3_000_000, 3_600_000_000_000] {
            assert_eq!(world.read_many(1_000, every), 0);
        }
        world.speed.set(SPEEDS[2]);
        world.read_many(10_000, 1_000);
        assert!(world.read_many(10_000, 1_000) <= STEADY);
    });
}

#[test]
fn steps_back_are_the_kernels_reading() {
    each(|world| {
        let milli = i64::try_from(world.speed.get()).expect("small");
        for step in [-1, -milli / 2, -milli, -100 * milli, i64::MIN] {
            world.warm_up();
            let (answer, _) = world.read(0);
            world.step(step);
            let (next, now) = world.read(0);
            // After a step back by one tick, the last reading may be repeated, but no earlier one.
            assert!(next >= now || step == -1, "{step}: {answer}, {next}, {now}");
        }
    });
}

#[test]
fn steps_ahead_are_the_kernels_reading_or_less_than_a_span() {
    each(|world| {
        let milli = i64::try_from(world.speed.get()).expect("small");
        for step in [1, milli / 2, milli, 100 * milli, i64::MAX] {
            world.warm_up();
            world.step(step);
            world.read_many(10_000, 1_000);
            assert!(world.read_many(10_000, 1_000) <= STEADY, "{step}");
        }
    });
}

#[test]
fn a_suspend_that_the_counter_counts_is_not_time() {
    each(|world| {
        for suspended in [300_000, MILLI, 3_600_000 * MILLI] {
            world.warm_up();
            world.suspend(suspended);
            world.read_many(10_000, 1_000);
            assert!(world.read_many(10_000, 1_000) <= STEADY);
        }
    });
}

#[test]
fn a_counter_that_stood_still_is_behind_for_at_most_a_millisecond_of_its_time() {
    each(|world| {
        world.warm_up();
        world.stand(10_000 * MILLI);
        // The clock is behind by ten seconds at worst, as the bound allows, but only until the next
        // reading of the kernel's clock.
        world.read_many(1_000, 1_100);
        assert!(world.read_many(10_000, 1_000) <= STEADY);
    });
}

#[test]
fn the_counter_wraps() {
    each(|world| {
        for ahead in [0, 1, 17, 5_000, 1_000_000, 10_000_000] {
            world.warm_up();
            world.set_counters(u64::MAX - ahead * world.speed.get() / MILLI);
            world.warm_up();
            assert!(world.read_many(20_000, 1_000) <= STEADY);
        }
    });
}

#[test]
fn an_even_counter_is_right_across_its_end() {
    each(|world| {
        world.set_counters(u64::MAX - 15 * world.speed.get());
        world.warm_up();
        assert!(world.read_many(20_000, 1_000) <= STEADY);
        assert!(world.threads[0].count.get() < u64::MAX / 2, "it has wrapped");
    });
}

#[test]
fn a_kernel_clock_that_stands_still_is_left_behind_by_a_span_at_most() {
    each(|world| {
        world.warm_up();
        world.kernel_speed.set(0);
        // `read` checks the bound.
        world.read_many(100_000, 1_000);
        world.kernel_speed.set(1_000);
        world.read_many(10_000, 1_000);
        assert!(world.read_many(10_000, 1_000) <= STEADY);
    });
}

#[test]
fn a_kernel_clock_that_is_slewed_is_followed() {
    each(|world| {
        world.warm_up();
        for slew in [999, 1_001, 990, 1_010] {
            world.kernel_speed.set(slew);
            assert!(world.read_many(20_000, 1_000) <= STEADY, "{slew}");
        }
    });
}

#[test]
fn a_thread_that_is_stopped_between_two_readings_makes_no_anchor_of_them() {
    each(|world| {
        world.warm_up();
        for pause in [1_000, 5_000, 100_000, 10 * MILLI] {
            world.pass(SPAN);
            world.pause.set(pause);
            world.read(0);
            let before = world.kernel_readings.get();
            world.read(0);
            let asked = world.kernel_readings.get() > before;
            assert!(asked || pause < 4_000, "{pause}");
            assert!(world.read_many(10_000, 1_000) <= STEADY, "{pause}");
        }
    });
}

#[test]
fn two_threads_read_the_same_time_on_cores_whose_counters_differ() {
    each(|world| {
        let offset = world.speed.get() * 12_345;
        world.threads[1].count.set(offset);
        for round in 0..20_000 {
            world.pass(1_000);
            let (here, before) = world.read(round % 2);
            let (there, after) = world.read((round + 1) % 2);
            assert!(here.abs_diff(there) <= 2 * STEADY + (after - before));
        }
    });
}

#[test]
fn a_thread_that_moves_between_cores_whose_counters_differ() {
    each(|world| {
        let speed = world.speed.get();
        for apart in [1, speed / 100, speed / 2, 3 * speed, 1_000_000 * speed] {
            let apart = i64::try_from(apart).expect("small");
            for round in 0..1_000 {
                // `read` checks the bound.
                world.read_many(30, 1_700);
                world.step(if round % 2 == 0 { apart } else { -apart });
            }
        }
    });
}

#[test]
fn the_end_of_time_is_not_passed() {
    each(|world| {
        // This makes an anchor in the last millisecond of time.
        world.kernel.set(u64::MAX - 7_500_000);
        world.warm_up();
        let speed = world.speed.get();
        while world.kernel.get() < u64::MAX - 10_000 {
            // The counter runs ahead of the kernel's clock, to the end of time and beyond.
            let behind = u64::MAX - world.kernel.get();
            world.speed.set(if behind > 300_000 { speed } else { 2 * speed });
            world.read_many(1, 1_000);
        }
    });
}

#[test]
fn a_tick_that_is_seen_twice_is_the_kernels_reading_and_no_reason_for_distrust() {
    each(|world| {
        world.warm_up();
        // A new anchor, some readings after it, and then the same tick twice.
        world.read_many(2_000, 1_000);
        world.read_many(10, 100);
        let before = world.kernel_readings.get();
        let speed = world.speed.replace(0);
        world.read_many(2, 1);
        world.speed.set(speed);
        world.read_many(50, 3_000);
        let readings = world.kernel_readings.get() - before;
        assert!((1..5).contains(&readings), "{readings}");
    });
}

/// Something that may happen to a machine.
#[derive(Clone, Debug)]
enum Event {
    Read { thread: usize, times: u64, every: u64 },
    Speed(u64),
    Step(i64),
    Stand(u64),
    Suspend(u64),
    Slew(u64),
    Pause(u64),
    NearTheEnd(u64),
}

fn events() -> impl Strategy<Value = Event> {
    let spans = || prop_oneof![0..5_000_u64, 0..2 * MILLI, 0..10_000 * MILLI];
    let ticks = prop_oneof![-50_i64..50, -5_000_000_i64..5_000_000, any::<i64>()];
    prop_oneof![
        8 => (0..2_usize, 1..400_u64, spans())
            .prop_map(|(thread, times, every)| Event::Read { thread, times, every }),
        // Up to 50 % slower or faster, a stop, or any speed.
        2 => prop_oneof![50..=150_u64, Just(0), 1..1_000_u64].prop_map(Event::Speed),
        2 => ticks.prop_map(Event::Step),
        1 => spans().prop_map(Event::Stand),
        1 => spans().prop_map(Event::Suspend),
        1 => prop_oneof![900..=1_100_u64, Just(0), Just(1_000)].prop_map(Event::Slew),
        1 => spans().prop_map(Event::Pause),
        1 => (0..20_000_000_u64).prop_map(Event::NearTheEnd),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_bound_holds(
        speed in prop::sample::select(SPEEDS.to_vec()),
        script in prop::collection::vec(events(), 1..60),
    ) {
        let world = World::new(speed);
        world.set_counters(5_000 * speed);
        world.warm_up();
        for event in script {
            match event {
                Event::Read { thread, times, every } => {
                    for _ in 0..times {
                        world.pass(every);
                        world.read(thread);
                    }
                }
                Event::Speed(percent) => world.speed.set(speed * percent / 100),
                Event::Step(ticks) => world.step(ticks),
                Event::Stand(nanos) => world.stand(nanos),
                Event::Suspend(nanos) => world.suspend(nanos),
                Event::Slew(permille) => world.kernel_speed.set(permille),
                Event::Pause(nanos) => world.pause.set(nanos),
                Event::NearTheEnd(ticks) => {
                    // For the bound, any jump counts as a step back by at most this.
                    world.each_history(|history| history.back = u64::MAX >> 1);
                    world.set_counters(u64::MAX - ticks);
                }
            }
        }
    }
}
