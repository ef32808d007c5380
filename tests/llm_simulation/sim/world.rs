//! Time, and all that happens in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::server::{Dialect, Server, Stated};
use super::traffic::{self, Random};
use super::{Answer, Client, Job, MINUTE, Nanos, SECOND, SkewedClock};

/// Servers, and what comes upon them.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) stated: Stated,
    /// Requests, tokens (or input tokens), and output tokens per minute of each key's account.
    pub(crate) keys: Vec<(u64, u64, u64)>,
    /// Whether the client knows its limits from the beginning.
    pub(crate) told: bool,
    /// The share of each account that others use.
    pub(crate) others: f64,
    /// How wrong estimates are: up to this factor.
    pub(crate) wrong: f64,
    /// Of all that the limits let pass, how much is asked for.
    pub(crate) load: f64,
    /// The client's clock, too fast by so many millionths.
    pub(crate) drift: i64,
    pub(crate) length: Nanos,
    /// Another one is another day.
    pub(crate) seed: u64,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: usize,
    pub(crate) refused: usize,
    /// Of those, sent after a first answer by that key could have told its limits.
    pub(crate) refused_later: usize,
    /// Of the tokens that could be had.
    pub(crate) used: f64,
}

enum Event {
    WarmedUp,
    Wish,
    Another(usize),
    AtServer(Job, usize, Nanos),
    Generated(usize, u64),
    End(Job, usize, Answer, Nanos),
    AtClient(Job, usize, Answer, Nanos),
}

struct Agenda {
    events: BinaryHeap<Reverse<(Nanos, usize)>>,
    what: Vec<Option<Event>>,
    free: Vec<usize>,
    /// Keeps what happens at one instant in order.
    now: Nanos,
}

impl Agenda {
    fn at(&mut self, time: Nanos, event: Event) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.what.push(None);
            self.what.len() - 1
        });
        self.what[slot] = Some(event);
        self.events.push(Reverse((time, slot)));
    }

    fn after(&mut self, delay: Nanos, event: Event) {
        self.at(self.now + delay, event);
    }

    fn next(&self) -> Option<Nanos> {
        self.events.peek().map(|Reverse((time, _))| *time)
    }

    fn pop(&mut self) -> Option<Event> {
        let Reverse((_, slot)) = self.events.pop()?;
        self.free.push(slot);
        self.what[slot].take()
    }
}

/// What is used is counted from here on: the first minutes begin with a full burst.
const WARM_UP: Nanos = 5 * MINUTE;

/// Parts in which an answer is generated.
const PARTS: u64 = 4;

struct World<'a> {
    scene: &'a Scene,
    servers: Vec<Server>,
    random: Random,
    agenda: Agenda,
    wishes: usize,
    between_wishes: f64,
    known_since: Vec<Nanos>,
    elsewhere: Vec<u64>,
    outcome: Outcome,
}

/// Mean tokens of a request of others.
const OTHERS: f64 = 1_000.0;

impl World<'_> {
    fn happen(&mut self, event: Event, client: &mut dyn Client) {
        let now = self.agenda.now;
        match event {
            Event::WarmedUp => {
                self.servers.iter_mut().for_each(Server::forget);
                self.elsewhere.fill(0);
            }
            Event::Wish => {
                let scene = self.scene;
                let job = traffic::job(&mut self.random, self.wishes, scene.dialect, scene.wrong);
                self.wishes += 1;
                client.offer(job);
                self.agenda.after(self.random.nanos(self.between_wishes), Event::Wish);
            }
            Event::Another(key) => {
                let tokens = traffic::count(self.random.exponential(OTHERS)) + 1;
                self.elsewhere[key] += self.servers[key].serve_another(now, tokens);
                let per_second = self.servers[key].tokens_per_minute() / 60.0 * self.scene.others;
                let pause = self.random.nanos(OTHERS / per_second);
                self.agenda.after(pause, Event::Another(key));
            }
            Event::AtServer(job, key, sent) => self.arrive(job, key, sent),
            Event::Generated(key, output) => self.servers[key].generated(now, output),
            Event::End(job, key, mut answer, sent) => {
                self.servers[key].end(now, &job);
                if self.scene.stated == Stated::AtTheEnd {
                    answer.headers = self.servers[key].headers(now);
                }
                let transit = traffic::transit(&mut self.random);
                self.agenda.after(transit, Event::AtClient(job, key, answer, sent));
            }
            Event::AtClient(job, key, answer, sent) => {
                let known_since = &mut self.known_since[key];
                *known_since = now.min(*known_since);
                if answer.accepted {
                    self.outcome.answered += 1;
                } else {
                    self.outcome.refused += 1;
                    self.outcome.refused_later += usize::from(sent > *known_since);
                }
                client.answered(job, key, &answer);
            }
        }
    }

    fn arrive(&mut self, job: Job, key: usize, sent: Nanos) {
        let answer = self.servers[key].arrive(self.agenda.now, &job);
        if !answer.accepted {
            let transit = traffic::transit(&mut self.random);
            self.agenda.after(transit, Event::AtClient(job, key, answer, sent));
            return;
        }
        let work = traffic::work(&mut self.random, &job);
        let output = job.actual.output;
        for part in 1..=PARTS {
            let share = output * part / PARTS - output * (part - 1) / PARTS;
            self.agenda.after(work * part / PARTS, Event::Generated(key, share));
        }
        self.agenda.after(work, Event::End(job, key, answer, sent));
    }
}

/// Runs a scene; the client reads `clock`.
#[allow(clippy::cast_precision_loss, reason = "a few keys")]
pub(crate) fn run(scene: &Scene, clock: &SkewedClock, client: &mut dyn Client) -> Outcome {
    let server = |(requests, tokens, output): &(u64, u64, u64)| {
        Server::new(scene.dialect, *requests, *tokens, *output)
    };
    let servers: Vec<_> = scene.keys.iter().map(server).collect();
    let per_minute: f64 = servers.iter().map(Server::tokens_per_minute).sum();
    // A request has 920 tokens on average.
    let between_wishes = 60.0 * 920.0 / (per_minute * scene.load);
    let what = Vec::new();
    let agenda = Agenda { events: BinaryHeap::new(), what, free: Vec::new(), now: 0 };
    let mut world = World {
        scene,
        random: Random::new(scene.seed),
        agenda,
        wishes: 0,
        between_wishes,
        known_since: vec![if scene.told { 0 } else { Nanos::MAX }; servers.len()],
        elsewhere: vec![0; servers.len()],
        outcome: Outcome::default(),
        servers,
    };
    world.agenda.at(SECOND, Event::Wish);
    world.agenda.at(WARM_UP, Event::WarmedUp);
    if scene.others > 0.0 {
        // They come after a while.
        (0..scene.keys.len()).for_each(|key| world.agenda.at(10 * MINUTE, Event::Another(key)));
    }
    loop {
        let look = client.next_look().map(|shown| clock.time_of(shown).max(world.agenda.now));
        let event = world.agenda.next();
        let Some(now) = look.into_iter().chain(event).min() else { break };
        if now > scene.length {
            break;
        }
        world.agenda.now = now;
        clock.set(now);
        if event == Some(now) {
            if let Some(event) = world.agenda.pop() {
                world.happen(event, client);
            }
        }
        for (job, key) in client.release() {
            let transit = traffic::transit(&mut world.random);
            world.agenda.after(transit, Event::AtServer(job, key, now));
        }
    }
    let limits = world.servers.iter().zip(&world.elsewhere);
    let shares = limits.map(|(server, elsewhere)| {
        let weight = server.tokens_per_minute();
        weight * server.share_used(scene.length - WARM_UP, *elsewhere)
    });
    Outcome { used: shares.sum::<f64>() / per_minute, ..world.outcome }
}
