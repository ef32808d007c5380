//! Every interleaving of small scenes of asks, answers and outages, by loom:
//! `RUSTFLAGS="--cfg tollgate_loom" cargo test --profile loom --features shared --lib loom_scenes`.
//!
//! Who sends the calls is played by the scenes, since tokio's tasks are not modelled. An asker that
//! nobody wakes is found as a deadlock.

use std::future::poll_fn;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use tokio::time::Instant;

use super::batching::{Batching, Departure};
use super::pending::{Pending, Reply};
use super::{Answer, Ask, Failure, Outcome, Verb};
use crate::shared::store::{Charge, Part};
use crate::sync::Mutex;

type Shared = std::sync::Arc<Pending>;

/// What a server keeps, and how many answers nobody has received.
struct Scene {
    /// With whether an outage lasts.
    batching: Mutex<(Batching<Shared>, bool)>,
    returned: AtomicUsize,
}

fn model(scene: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scene);
}

fn pending() -> Shared {
    let part = Part::new(0, "alice", [Charge::new(1)]);
    std::sync::Arc::new(Pending::new(Ask::new(Verb::Take, 1, part), Instant::now()))
}

fn granted() -> Reply {
    Ok(Answer::new(Outcome::Done { after: std::time::Duration::ZERO }, 1, []))
}

impl Scene {
    fn new(batch_size: usize) -> Arc<Self> {
        let batching = Batching::new(batch_size, |pending: &Shared| !pending.is_left());
        let (batching, returned) = (Mutex::new((batching, false)), AtomicUsize::new(0));
        Arc::new(Self { batching, returned })
    }

    /// Takes an ask in. Returns the call that shall go out.
    fn join(&self, ask: &Shared) -> Option<Departure<Shared>> {
        let mut locked = self.batching.lock();
        if locked.1 {
            drop(locked);
            assert!(ask.tell(Err(Failure::Outage)).is_none());
            return None;
        }
        locked.0.join(Shared::clone(ask))
    }

    /// Answers a call, and those that follow it.
    fn answer(&self, departure: Option<Departure<Shared>>) {
        let mut next = departure;
        while let Some(Departure { call, asks, .. }) = next {
            self.batching.lock().0.is_answered(call);
            for ask in asks.iter() {
                self.take_back(ask.tell(granted()));
            }
            next = self.batching.lock().0.end(call);
        }
    }

    /// Begins an outage.
    fn give_up(&self) {
        let asks = {
            let mut locked = self.batching.lock();
            locked.1 = true;
            locked.0.give_up()
        };
        for ask in asks {
            assert!(!matches!(ask.tell(Err(Failure::Outage)), Some(Ok(_))));
        }
    }

    fn take_back(&self, reply: Option<Reply>) {
        self.returned.fetch_add(usize::from(matches!(reply, Some(Ok(_)))), Ordering::Relaxed);
    }

    /// Asks, and waits for the answer.
    fn ask(&self) -> Reply {
        let ask = pending();
        self.answer(self.join(&ask));
        let reply = block_on(poll_fn(|context| ask.poll(context)));
        self.take_back(ask.leave());
        reply
    }

    /// Asks, looks once for the answer, and goes away. Returns whether it had an answer.
    fn ask_and_leave(&self) -> bool {
        let ask = pending();
        let departure = self.join(&ask);
        let look = ask.poll(&Context::from_waker(Waker::noop()));
        self.take_back(ask.leave());
        self.answer(departure);
        matches!(look, std::task::Poll::Ready(Ok(_)))
    }

    fn has_nothing_under_way(&self) -> bool {
        self.batching.lock().0.all().is_empty()
    }
}

#[test]
fn an_answer_is_received_or_returned_once() {
    model(|| {
        let scene = Scene::new(4);
        let ask = pending();
        let call = scene.join(&ask);
        let store = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.answer(call))
        };
        ask.tell_late();
        let look = ask.poll(&Context::from_waker(Waker::noop()));
        scene.take_back(ask.leave());
        store.join().unwrap();
        let received = usize::from(matches!(look, std::task::Poll::Ready(Ok(_))));
        assert_eq!(received + scene.returned.load(Ordering::Relaxed), 1);
        assert!(scene.has_nothing_under_way());
    });
}

#[test]
fn an_asker_is_answered_although_another_goes_away() {
    for batch_size in [1, 4] {
        model(move || {
            let scene = Scene::new(batch_size);
            // A call that has a task: the asks of the scene queue behind it.
            let driven = scene.join(&pending());
            let call = scene.join(&pending());
            scene.answer(driven);
            let leaving = {
                let scene = Arc::clone(&scene);
                thread::spawn(move || scene.ask_and_leave())
            };
            let waiting = {
                let scene = Arc::clone(&scene);
                thread::spawn(move || scene.ask())
            };
            scene.answer(call);
            assert!(waiting.join().unwrap().is_ok());
            let received = leaving.join().unwrap();
            let returned = scene.returned.load(Ordering::Relaxed);
            assert!(returned <= usize::from(!received), "{returned}");
            assert!(scene.has_nothing_under_way());
        });
    }
}

#[test]
fn an_outage_tells_everybody_and_a_late_answer_is_returned() {
    model(|| {
        let scene = Scene::new(4);
        let (driven, sent) = (scene.join(&pending()), pending());
        let call = scene.join(&sent);
        scene.answer(driven);
        let waiting = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.ask())
        };
        let outage = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.give_up())
        };
        scene.answer(call);
        let reply = waiting.join().unwrap();
        outage.join().unwrap();
        let is_told = matches!(reply, Ok(_) | Err(Failure::Outage));
        assert!(is_told, "{reply:?}");
        // Nobody receives the answer to the ask that was sent before. That to the other one comes
        // back only if the outage was told first, and does not come if the ask was not sent.
        scene.take_back(sent.leave());
        let returned = scene.returned.load(Ordering::Relaxed);
        let most = if reply.is_ok() { 1 } else { 2 };
        assert!((1..=most).contains(&returned), "{returned} {reply:?}");
        assert!(scene.has_nothing_under_way());
    });
}
