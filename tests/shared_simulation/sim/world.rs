//! Runs a scene.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tollgate::shared::{Limiter, Source};

use super::keys::{Keys, POPULAR_KEYS};
use super::scene::slow;
use super::split_mix::SplitMix64;
use super::store::{LONGEST_WAY_BACK, Link, Server};
use super::{Outcome, Scene, Uses};

/// Runs a scene to its end.
pub(crate) fn run(scene: &Scene) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { World::new(scene).run().await })
}

struct World<'a> {
    scene: &'a Scene,
    keys: Keys,
    random: SplitMix64,
    server: Server,
    instances: Vec<Instance>,
    started: Instant,
    book: Arc<Mutex<Book>>,
}

/// One process.
#[derive(Clone)]
struct Instance {
    limiter: Limiter<usize>,
    link: Link,
}

/// What has happened so far.
struct Book {
    keys: Vec<Key>,
    /// What one permit takes to come back.
    cost: Duration,
    burst: u64,
    /// When the bursts of the keys that ask for too much are used up.
    settled: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy, Default)]
struct Key {
    uses: Uses,
    /// A single limiter for the same requests.
    single: Uses,
    /// The permits that were used once bursts were used up.
    used: u64,
}

impl Instance {
    fn new(scene: &Scene, server: &Server) -> Self {
        let link = Link::new(server.clone());
        let mut builder = Limiter::builder("keys", scene.quota())
            .store(link.clone())
            .deadline(slow(Duration::from_millis(50)))
            .probe_every(slow(Duration::from_millis(100)))
            .trust_refusals_for(slow(Duration::from_secs(1)));
        if let Some(length) = scene.lease {
            builder = builder.lease(slow(length));
        }
        Self { limiter: builder.build().unwrap(), link }
    }
}

impl<'a> World<'a> {
    fn new(scene: &'a Scene) -> Self {
        let server = Server::new(scene.keys, !scene.seed);
        let book = Book {
            keys: vec![Key::default(); scene.keys],
            cost: slow(Duration::from_secs(1)) / u32::try_from(scene.permits_per_second).unwrap(),
            burst: scene.permits_per_second,
            settled: slow(scene.length) / 2,
            outcome: Outcome::default(),
        };
        Self {
            scene,
            keys: Keys::new(scene.keys),
            random: SplitMix64::new(scene.seed),
            instances: (0..scene.instances).map(|_| Instance::new(scene, &server)).collect(),
            server,
            started: Instant::now(),
            book: Arc::new(Mutex::new(book)),
        }
    }

    async fn run(mut self) -> Outcome {
        let end = slow(self.scene.length);
        let mut requests = JoinSet::new();
        // Requests come at random times, deaths at even intervals.
        let between_requests = slow(Duration::from_secs(1)) / self.scene.requests_per_second;
        let between_deaths = end / (self.scene.deaths + 1);
        let (mut request, mut death) = (Duration::ZERO, between_deaths);
        loop {
            request += between_requests.mul_f64(-(1.0 - self.random.share()).ln());
            if request >= end {
                break;
            }
            if death < request {
                tokio::time::sleep_until(self.started + death).await;
                self.replace_one();
                death += between_deaths;
            }
            tokio::time::sleep_until(self.started + request).await;
            let key = self.keys.next(&mut self.random);
            let instance = self.one_of_the_instances();
            let instance = self.instances[instance].clone();
            let (started, book) = (self.started, Arc::clone(&self.book));
            requests.spawn(async move { instance.ask(key, started, &book).await });
            while requests.try_join_next().is_some() {}
        }
        requests.join_all().await;
        self.outcome()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    #[allow(clippy::cast_precision_loss, reason = "some thousands")]
    fn one_of_the_instances(&mut self) -> usize {
        (self.random.share() * self.instances.len() as f64) as usize
    }

    /// Ends a process without a word, and starts another one.
    fn replace_one(&mut self) {
        let dead = self.one_of_the_instances();
        self.instances[dead].link.cut();
        self.instances[dead] = Instance::new(self.scene, &self.server);
    }

    #[allow(clippy::cast_precision_loss, reason = "some millions")]
    fn outcome(self) -> Outcome {
        let scene = self.scene;
        let mut book = self.book.lock().unwrap();
        let Book { keys, cost, burst, settled, outcome } = &mut *book;
        self.server.tell(outcome);
        // Without leases, permits are used when the answer arrives.
        let late = scene.lease.map_or(slow(LONGEST_WAY_BACK), |_| Duration::ZERO);
        let most = *cost * u32::try_from(*burst).unwrap() + late;
        let refill = slow(scene.length).saturating_sub(*settled).as_secs_f64() / cost.as_secs_f64();
        (outcome.least_used, outcome.used) = (f64::INFINITY, 0.0);
        for (key, Key { uses, used, .. }) in keys.iter().enumerate() {
            let fullest = Duration::from_nanos(uses.fullest);
            outcome.exceeded += usize::from(fullest > most);
            outcome.fullest = outcome.fullest.max(fullest.as_secs_f64() / most.as_secs_f64());
            let asked = self.keys.share_of(key) * f64::from(scene.requests_per_second);
            if asked >= 2.0 * scene.permits_per_second as f64 {
                outcome.hot_keys += 1;
                let used = *used as f64 / refill;
                outcome.used += used;
                outcome.least_used = outcome.least_used.min(used);
            }
        }
        outcome.used /= outcome.hot_keys.max(1) as f64;
        outcome.clone()
    }
}

impl Instance {
    async fn ask(self, key: usize, started: Instant, book: &Mutex<Book>) {
        book.lock().unwrap().asked(key, started.elapsed());
        let answer = self.limiter.try_acquire(&key, 1).await;
        // Whoever is dead uses nothing.
        if self.link.is_cut() {
            return;
        }
        let mut book = book.lock().unwrap();
        let (source, is_granted) = match &answer {
            Ok(grant) => (grant.source, true),
            Err(refused) => (refused.source, false),
        };
        book.answered(key, source);
        if is_granted {
            book.used(key, started.elapsed());
        }
    }
}

impl Book {
    fn asked(&mut self, key: usize, now: Duration) {
        let is_granted = self.keys[key].single.grants(now, self.cost, self.burst);
        self.outcome.grantable += u64::from(is_granted);
    }

    fn answered(&mut self, key: usize, source: Source) {
        let outcome = &mut self.outcome;
        outcome.decisions += 1;
        outcome.popular_decisions += u64::from(key < POPULAR_KEYS);
        match source {
            Source::Shared => {}
            Source::Leased => outcome.leased += 1,
            Source::Cached => outcome.cached += 1,
            _ => outcome.failed += 1,
        }
    }

    fn used(&mut self, key: usize, now: Duration) {
        self.outcome.granted += 1;
        let it = &mut self.keys[key];
        it.uses.note(now, self.cost);
        it.used += u64::from(now >= self.settled);
    }
}
