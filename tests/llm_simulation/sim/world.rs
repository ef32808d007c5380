//! Time, and all that happens in it.

use super::agenda::Agenda;
use super::others;
use super::outcome::{Outcome, Waits};
use super::trace::Trace;
use super::traffic::{self, Random};
use super::{
    Answer, Client, Counting, Job, MINUTE, Nanos, Next, SECOND, Scene, Server, SkewedClock, State,
    Traffic,
};

/// A request on its way.
#[derive(Clone, Copy)]
struct Sent {
    job: Job,
    key: usize,
    at: Nanos,
    /// By which of the client's processes.
    process: usize,
}

enum Event {
    WarmedUp,
    Wish,
    /// All callers call for the first time.
    Callers,
    Another(usize),
    Restart,
    AtServer(Sent),
    Generated(usize, u64),
    /// It had arrived at this time.
    End(Sent, Nanos, Answer),
    AtClient(Sent, Answer),
    /// The key's answer had nothing to do with its limits.
    FailureAtClient(Sent, Answer),
}

/// What is used is counted from here on: the first minutes begin with a full burst.
const WARM_UP: Nanos = 5 * MINUTE;

/// Parts in which an answer is generated.
const PARTS: u64 = 4;

/// Makes a client on a clock, which may continue from the state of the one before, and is told what
/// time it is for the servers.
pub(crate) type MakeClient<'a> = dyn Fn(&SkewedClock, Option<State>, Nanos) -> Box<dyn Client> + 'a;

struct World<'a> {
    scene: &'a Scene,
    make: &'a MakeClient<'a>,
    client: Box<dyn Client>,
    clock: SkewedClock,
    trace: Trace,
    process: usize,
    servers: Vec<Server>,
    account_of: Vec<usize>,
    random: Random,
    agenda: Agenda<Event>,
    wishes: usize,
    /// How many calls are still to be made by callers.
    calls: usize,
    known_since: Vec<Nanos>,
    waits: Waits,
    outcome: Outcome,
}

impl World<'_> {
    fn happen(&mut self, event: Event) {
        let now = self.agenda.now;
        match event {
            Event::WarmedUp => self.servers.iter_mut().for_each(|server| server.begin_tally(now)),
            Event::Wish => {
                self.wish();
                let between = match self.scene.traffic {
                    Traffic::Load(load) => 1e9 / (self.requests_per_second() * load),
                    Traffic::Every(pause) => traffic::float(pause),
                    Traffic::Callers { .. } => return,
                };
                let pause = self.random.nanos(between / 1e9);
                self.agenda.after(pause, Event::Wish);
            }
            Event::Callers => {
                let Traffic::Callers { callers, .. } = self.scene.traffic else { return };
                (0..callers).for_each(|_| self.call());
            }
            Event::Another(account) => {
                let tokens = traffic::tokens_of_others(&mut self.random);
                let server = &mut self.servers[account];
                server.serve_another(now, tokens);
                let rate = server.requests_per_second().unwrap_or_default();
                let pause = self.scene.others.pause(&mut self.random, now, rate);
                self.agenda.after(pause, Event::Another(account));
            }
            Event::Restart => self.restart(),
            Event::AtServer(sent) => self.arrive(sent),
            Event::Generated(account, output) => self.servers[account].generated(now, output),
            Event::End(sent, arrived, mut answer) => {
                self.server(sent.key).end(now, arrived, &sent.job, &mut answer);
                let transit = self.transit();
                self.agenda.after(transit, Event::AtClient(sent, answer));
            }
            Event::AtClient(sent, answer) => {
                let account = self.account_of[sent.key];
                if sent.process == self.process && self.servers[account].dialect.tells_limits() {
                    let known_since = &mut self.known_since[account];
                    *known_since = now.min(*known_since);
                }
                let later = sent.at > self.known_since[account];
                self.outcome.refused_later += usize::from(later && answer.status == 429);
                self.tell(&sent, &answer);
            }
            Event::FailureAtClient(sent, answer) => self.tell(&sent, &answer),
        }
    }

    /// How long a message is on its way.
    fn transit(&mut self) -> Nanos {
        if self.scene.near { SECOND / 10_000 } else { traffic::transit(&mut self.random) }
    }

    fn server(&mut self, key: usize) -> &mut Server {
        &mut self.servers[self.account_of[key]]
    }

    /// What all limits together let pass.
    fn requests_per_second(&self) -> f64 {
        self.servers.iter().filter_map(Server::requests_per_second).sum()
    }

    /// Somebody wants an answer.
    fn wish(&mut self) {
        // All servers of a scene count in the same way.
        let counting = self.servers.first().map_or(Counting::Reserved, |server| server.counting);
        let job = traffic::job(&mut self.random, self.wishes, counting, self.scene.wrong);
        self.wishes += 1;
        if self.client.offer(job) {
            self.waits.begin(job, self.agenda.now);
        }
    }

    /// A caller calls, if there is anything left to ask.
    fn call(&mut self) {
        if self.calls > 0 {
            self.calls -= 1;
            self.wish();
        }
    }

    fn arrive(&mut self, sent: Sent) {
        let now = self.agenda.now;
        let account = self.account_of[sent.key];
        self.trace.at_server(now, &sent.job, sent.key, &mut self.servers[account]);
        let failing = self.scene.failures.iter().find_map(|failure| failure.answer(sent.key, now));
        if let Some(answer) = failing {
            self.outcome.sent_in_vain += 1;
            let transit = self.transit();
            self.agenda.after(transit, Event::FailureAtClient(sent, answer));
            return;
        }
        let answer = self.server(sent.key).arrive(now, &sent.job);
        if !answer.is_good() {
            let transit = self.transit();
            self.agenda.after(transit, Event::AtClient(sent, answer));
            return;
        }
        let work = self.servers[account].work(&mut self.random, &sent.job);
        if self.servers[account].counting == Counting::AsGenerated {
            let output = sent.job.actual.output;
            for part in 1..=PARTS {
                let share = output * part / PARTS - output * (part - 1) / PARTS;
                self.agenda.after(work * part / PARTS, Event::Generated(account, share));
            }
        }
        self.agenda.after(work, Event::End(sent, now, answer));
    }

    /// An answer reaches the client, or nobody if its process has ended.
    fn tell(&mut self, sent: &Sent, answer: &Answer) {
        self.outcome.refused += usize::from(answer.status == 429);
        if sent.process != self.process {
            return;
        }
        let next = self.client.answered(sent.job, sent.key, answer);
        self.trace.answered(self.agenda.now, &sent.job, answer, &*self.client);
        if next == Next::Done {
            self.waits.end(sent.job.number, self.agenda.now);
            let outcome = &mut self.outcome;
            let count =
                if answer.is_good() { &mut outcome.answered } else { &mut outcome.given_up };
            *count += 1;
            self.call();
        }
    }

    fn restart(&mut self) {
        let Some(restart) = self.scene.restart else { return };
        self.process += 1;
        let now = self.agenda.now;
        let state = if restart.keeps_state { self.client.state(now) } else { None };
        if !self.scene.told && state.is_none() {
            self.known_since.fill(Nanos::MAX);
        }
        // Another clock, which began at another time.
        self.clock = SkewedClock::new(3 * MINUTE + 54_321, self.scene.drift);
        self.clock.set(now);
        self.client = (self.make)(&self.clock, state, now);
        // Whatever had no answer is asked again at once, as far as there is room.
        let client = &mut self.client;
        self.waits.retain(|job| client.offer(job));
    }

    /// Whatever comes next, at the servers or at the client, until the end.
    fn play(&mut self) {
        loop {
            let look = self.client.next_look();
            let look = look.map(|shown| self.clock.time_of(shown).max(self.agenda.now));
            let event = self.agenda.next();
            let next = look.into_iter().chain(event).min();
            let Some(now) = next.filter(|next| *next <= self.scene.length) else {
                // Who still waits, waits to the end.
                if next.is_some() || !self.waits.is_empty() {
                    self.agenda.now = self.scene.length;
                }
                return;
            };
            self.agenda.now = now;
            self.clock.set(now);
            if event == Some(now) {
                if let Some(event) = self.agenda.pop() {
                    self.happen(event);
                }
            }
            for (job, key) in self.client.release() {
                self.trace.sent(now, &job, key, &*self.client);
                let sent = Sent { job, key, at: now, process: self.process };
                let transit = self.transit();
                self.agenda.after(transit, Event::AtServer(sent));
            }
        }
    }

    fn begin(&mut self) {
        match self.scene.traffic {
            Traffic::Callers { .. } => self.agenda.at(SECOND, Event::Callers),
            Traffic::Load(_) | Traffic::Every(_) => self.agenda.at(SECOND, Event::Wish),
        }
        self.agenda.at(WARM_UP, Event::WarmedUp);
        if self.scene.others.come() {
            let accounts = 0..self.servers.len();
            accounts.for_each(|account| self.agenda.at(others::COME, Event::Another(account)));
        }
        if let Some(restart) = self.scene.restart {
            self.agenda.at(restart.at, Event::Restart);
        }
    }

    fn outcome(mut self) -> Outcome {
        let end = self.agenda.now;
        let all = self.requests_per_second();
        let mut used = 0.0;
        for server in &mut self.servers {
            let weight = server.requests_per_second().unwrap_or_default();
            used += weight * server.share_used(end);
        }
        let used = if all > 0.0 { used / all } else { 0.0 };
        Outcome { used, longest_wait: self.waits.longest(end), ..self.outcome }
    }
}

/// Runs a scene with one client after the other, of which most scenes have only one.
pub(crate) fn run(scene: &Scene, make: &MakeClient) -> Outcome {
    let servers: Vec<_> = scene.accounts.iter().map(|account| account.server.clone()).collect();
    let clock = SkewedClock::new(977 * MINUTE + 12_345, scene.drift);
    let calls = match scene.traffic {
        Traffic::Callers { callers, calls } => callers * calls,
        Traffic::Load(_) | Traffic::Every(_) => 0,
    };
    let mut world = World {
        scene,
        make,
        client: make(&clock, None, 0),
        clock,
        trace: Trace::new(),
        process: 0,
        account_of: scene.accounts_of_keys(),
        random: Random::new(scene.seed),
        agenda: Agenda::new(),
        wishes: 0,
        calls,
        known_since: vec![if scene.told { 0 } else { Nanos::MAX }; servers.len()],
        waits: Waits::default(),
        outcome: Outcome::default(),
        servers,
    };
    world.begin();
    world.play();
    world.outcome()
}
