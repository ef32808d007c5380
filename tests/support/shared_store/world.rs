//! A model of all that a store holds, which checks each answer.

use std::collections::HashMap;
use std::time::Duration;

use tollgate::shared::store::{
    Answer, Ask, Charge, Level, Outcome, Part, Receipt, Rule, Verb, Verdict,
};
use tollgate::{Clock, Quota};

use super::model::{Mark, Model, Range};
use super::scene::{Opened, is_done};

/// One limit of a namespace: its rule and its quotas.
pub(crate) type Limit = (Rule, Vec<Quota>);

/// A namespace and a subject.
type Subject = (usize, String);

/// What is held of some subjects.
type Models = HashMap<Subject, Vec<Model>>;

/// A charge that can be given back.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) part: Part,
    marks: Vec<Mark>,
}

/// All subjects, and the charges that can be given back.
pub(crate) struct World<'a> {
    opened: Opened<'a>,
    limits: Vec<Vec<Limit>>,
    models: Models,
    held: Vec<Held>,
    /// Verdicts that either side of the model allows, because of what the store rounds.
    pub(crate) unclear: u32,
}

/// What the model makes of a charge that asks the limits.
struct Judged {
    /// When the permits are there; `None` if the limit has no say, or never lets them pass.
    ready: Option<Range>,
    mark: Option<Mark>,
}

impl<'a> World<'a> {
    pub(crate) fn new(opened: Opened<'a>, limits: Vec<Vec<Limit>>) -> Self {
        Self { opened, limits, models: HashMap::new(), held: Vec::new(), unclear: 0 }
    }

    fn now(&self) -> u64 {
        self.opened.scene.clock.now().as_nanos()
    }

    fn tick(&self) -> u64 {
        self.opened.scene.tick_nanos()
    }

    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }

    /// Asks the store, and checks what it answers.
    pub(crate) fn ask(&mut self, ask: &Ask) {
        let answer = self.opened.ask(ask.clone());
        let _shown = IfPanicking(ask, &answer);
        let levels: usize = ask.parts.iter().map(|part| part.charges.len()).sum();
        assert_eq!(answer.levels.len(), levels, "{ask:?}: {answer:?}");
        match ask.verb {
            Verb::Take | Verb::TakeUpTo | Verb::Look => self.check_asking(ask, &answer),
            _ => self.check_imposing(ask, &answer),
        }
    }

    /// The models of the subjects of an ask.
    fn involved(&self, ask: &Ask) -> Models {
        let all = ask.parts.iter().map(subject);
        all.map(|subject| {
            let known = self.models.get(&subject).cloned();
            let full = |(rule, quotas): &Limit| Model::full(*rule, quotas[0], self.tick());
            let models = known.unwrap_or_else(|| self.limits[subject.0].iter().map(full).collect());
            (subject, models)
        })
        .collect()
    }

    fn quota(&self, part: &Part, index: usize) -> Quota {
        self.limits[part.namespace][index].1[part.charges[index].quota]
    }

    /// The model of a limit under the quota of a charge.
    fn view(&self, models: &Models, part: &Part, index: usize) -> Model {
        let mut model = models[&subject(part)][index].clone();
        model.change(self.now(), self.quota(part, index));
        model
    }

    fn check_asking(&mut self, ask: &Ask, answer: &Answer) {
        let (done, before) = (is_done(answer), self.involved(ask));
        let times = match ask.verb {
            Verb::TakeUpTo if done => answer.count,
            Verb::TakeUpTo => ask.count.min(1),
            _ => ask.count,
        };
        let patience = if ask.verb == Verb::TakeUpTo { Duration::ZERO } else { ask.patience };
        let mut after = before.clone();
        let mut judged: Vec<Vec<Judged>> = ask.parts.iter().map(|_| Vec::new()).collect();
        let (mut all_pass, mut longest) = (true, 0..=0);
        for shadows in [false, true] {
            for (number, part) in ask.parts.iter().enumerate().filter(|it| it.1.shadow == shadows) {
                let levels = levels_of(ask, answer, number);
                let mut all: Vec<Judged> = (0..part.charges.len())
                    .map(|index| self.judge(&after, part, index, times, patience, levels[index]))
                    .collect();
                let passes = levels.iter().all(|level| level.verdict == Verdict::Granted);
                if !shadows {
                    all_pass &= passes;
                    for ready in all.iter().filter_map(|it| it.ready.as_ref()) {
                        let (least, most) = longest.into_inner();
                        longest = least.max(*ready.start())..=most.max(*ready.end());
                    }
                }
                if passes && all_pass {
                    for (index, judged) in all.iter_mut().enumerate() {
                        let mark = self.charge(&mut after, part, index, times, false);
                        judged.mark = Some(mark);
                    }
                }
                judged[number] = all;
            }
        }
        assert_eq!(done, all_pass, "{ask:?}: {answer:?}");
        if let Outcome::Done { after: told } = answer.outcome {
            self.assert_time(told, &longest, "the time until the permits are there");
            assert_eq!(answer.count, times);
            assert!(times <= ask.count);
            let is_most = times == ask.count || !self.surely_fits(&before, ask, times + 1);
            assert!(is_most, "{times} times, but {} would fit: {ask:?}", times + 1);
        } else {
            assert_eq!((answer.outcome, answer.count), (Outcome::Refused, 0));
        }
        let shown = if done { &after } else { &before };
        for (number, part) in ask.parts.iter().enumerate() {
            let levels = levels_of(ask, answer, number);
            for (index, judged) in judged[number].iter().enumerate() {
                self.check_level(shown, part, index, levels[index], judged.ready.as_ref());
            }
        }
        if done && ask.verb != Verb::Look {
            for (number, part) in ask.parts.iter().enumerate() {
                let marks: Option<Vec<Mark>> =
                    judged[number].iter().map(|judged| judged.mark.clone()).collect();
                let levels = levels_of(ask, answer, number);
                if let Some(marks) = marks {
                    self.hold(part, times, marks, levels);
                }
            }
            self.commit(after);
        }
    }

    /// Checks a verdict and its wait against the model.
    fn judge(
        &mut self,
        models: &Models,
        part: &Part,
        index: usize,
        times: u64,
        patience: Duration,
        level: Level,
    ) -> Judged {
        let (model, charge) = (self.view(models, part, index), &part.charges[index]);
        let permits = charge.cost.saturating_mul(times);
        let nobody = Judged { ready: None, mark: None };
        if charge.cost == 0 {
            assert_eq!(level.verdict, Verdict::Granted, "{charge:?}: {level:?}");
            return nobody;
        }
        if permits > model.quota().burst_size() {
            assert_eq!((level.verdict, level.wait), (Verdict::Never, Duration::ZERO), "{charge:?}");
            return nobody;
        }
        let now = self.now();
        let ready = model.ready(now, permits);
        let wait = (ready.start() - now)..=(ready.end() - now);
        let nanos = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let patience = if matches!(model, Model::Bucket(_)) { nanos } else { 0 };
        let (can, must) = (*wait.start() <= patience, *wait.end() <= patience);
        self.unclear += u32::from(can != must);
        match level.verdict {
            Verdict::Granted => assert!(can, "{charge:?} x {times}: {level:?}, {model:?}"),
            Verdict::Refused => {
                assert!(!must, "{charge:?} x {times}: {level:?}, {model:?}");
                self.assert_time(level.wait, &wait, "the wait of a refusal");
            }
            other => panic!("{other:?} of {charge:?} x {times}: {model:?}"),
        }
        Judged { ready: Some(wait), mark: None }
    }

    /// Whether so many times the charges fit even if as much is in use as can be.
    fn surely_fits(&self, models: &Models, ask: &Ask, times: u64) -> bool {
        let (mut models, now) = (models.clone(), self.now());
        ask.parts.iter().filter(|part| !part.shadow).all(|part| {
            let fits = part.charges.iter().enumerate().all(|(index, charge)| {
                let (model, permits) =
                    (self.view(&models, part, index), charge.cost.saturating_mul(times));
                let burst = model.quota().burst_size();
                charge.cost == 0 || permits <= burst && *model.ready(now, permits).end() <= now
            });
            for index in 0..part.charges.len() {
                if fits {
                    self.charge(&mut models, part, index, times, false);
                }
            }
            fits
        })
    }

    /// Takes from the model.
    fn charge(
        &self,
        models: &mut Models,
        part: &Part,
        index: usize,
        times: u64,
        is_in_use: bool,
    ) -> Mark {
        let (now, quota) = (self.now(), self.quota(part, index));
        let permits = part.charges[index].cost.saturating_mul(times);
        let model = &mut models.get_mut(&subject(part)).expect("an involved subject")[index];
        if permits > 0 {
            model.change(now, quota);
        }
        model.take(now, permits, is_in_use)
    }

    fn check_imposing(&mut self, ask: &Ask, answer: &Answer) {
        let (mut models, now) = (self.involved(ask), self.now());
        let mut marks: Vec<Vec<Mark>> = ask.parts.iter().map(|_| Vec::new()).collect();
        for (number, part) in ask.parts.iter().enumerate() {
            for index in 0..part.charges.len() {
                let (quota, charge) = (self.quota(part, index), &part.charges[index]);
                let permits = charge.cost.saturating_mul(ask.count);
                let held = self.held.iter_mut().find(|held| held.is_of(part));
                let model = &mut models.get_mut(&subject(part)).expect("involved")[index];
                match ask.verb {
                    Verb::Reset => {
                        let (rule, _) = self.limits[part.namespace][index];
                        *model = Model::full(rule, quota, self.opened.scene.tick_nanos());
                    }
                    Verb::Consume => {}
                    // Also of nothing: the receipt may be from before a reset.
                    Verb::HandBack | Verb::Cancel => {
                        let held = held.expect("a charge that is held");
                        let (mark, unfollowed) = (&mut held.marks[index], ask.verb == Verb::Cancel);
                        model.hand_back(now, permits, mark, unfollowed);
                    }
                    _ if permits == 0 => {}
                    Verb::Raise => {
                        model.change(now, quota);
                        model.raise(now, permits);
                    }
                    Verb::Credit => {
                        model.change(now, quota);
                        model.credit(now, permits);
                    }
                    other => panic!("{other:?}"),
                }
                if ask.verb == Verb::Consume {
                    let mark = self.charge(&mut models, part, index, ask.count, true);
                    marks[number].push(mark);
                }
            }
        }
        assert_eq!(answer.outcome, Outcome::Done { after: Duration::ZERO });
        assert_eq!(answer.count, ask.count);
        for (number, part) in ask.parts.iter().enumerate() {
            let levels = levels_of(ask, answer, number);
            for (index, level) in levels.iter().enumerate() {
                assert_eq!(level.verdict, Verdict::Granted);
                self.check_level(&models, part, index, *level, None);
            }
            match ask.verb {
                Verb::Consume => {
                    let marks = std::mem::take(&mut marks[number]);
                    self.hold(part, ask.count, marks, levels);
                }
                Verb::HandBack | Verb::Cancel => self.give(part, levels),
                _ => {}
            }
        }
        self.commit(models);
    }

    /// Checks all of a level but the verdict. `ready` is how long the permits took to arrive.
    fn check_level(
        &self,
        models: &Models,
        part: &Part,
        index: usize,
        level: Level,
        ready: Option<&Range>,
    ) {
        let (model, now) = (self.view(models, part, index), self.now());
        let used = model.used(now);
        assert!(used.contains(&level.used), "{level:?} and not {used:?}: {model:?} at {now}");
        assert_eq!(level.remaining, model.quota().burst_size().saturating_sub(level.used));
        let full_at = model.full_at(now);
        let full_after = (full_at.start() - now)..=(full_at.end() - now);
        self.assert_time(level.full_after, &full_after, "the time until it is full");
        let ready = ready.cloned().unwrap_or(0..=0);
        let is_at_once = level.verdict == Verdict::Granted && *ready.end() == 0;
        if is_at_once && level.remaining == 0 {
            let next = model.ready(now, 1);
            let next = (next.start() - now)..=(next.end() - now);
            self.assert_time(level.wait, &next, "the time until the next permit");
        } else if level.verdict == Verdict::Granted && (is_at_once || *ready.start() > 0) {
            self.assert_time(level.wait, &ready, "the time until the permits are there");
        }
    }

    /// A time that is told is the exact one, rounded up, by a tick at most.
    fn assert_time(&self, told: Duration, exact: &Range, what: &str) {
        let told = u64::try_from(told.as_nanos()).expect("a time of this test");
        let most = exact.end() + if *exact.end() > 0 { self.tick() } else { 0 };
        assert!(*exact.start() <= told && told <= most, "{what}: {told} ns and not {exact:?}");
    }

    /// Remembers a charge.
    fn hold(&mut self, part: &Part, times: u64, marks: Vec<Mark>, levels: &[Level]) {
        let mut part = part.clone();
        for (charge, level) in part.charges.iter_mut().zip(levels) {
            charge.cost = charge.cost.saturating_mul(times);
            charge.receipt = level.receipt;
        }
        self.held.retain(|held| !held.is_of(&part));
        if self.held.len() >= 8 {
            self.held.remove(0);
        }
        self.held.push(Held { part, marks });
    }

    /// Notes what was given back, and the receipts for the rest.
    fn give(&mut self, part: &Part, levels: &[Level]) {
        let at = self.held.iter().position(|held| held.is_of(part)).expect("a held charge");
        let mut rest = self.held.remove(at);
        for ((left, given), level) in rest.part.charges.iter_mut().zip(&part.charges).zip(levels) {
            left.cost -= given.cost;
            left.receipt = level.receipt;
        }
        self.held.retain(|held| !held.is_of(&rest.part));
        self.held.push(rest);
    }

    /// Replaces what is known. Charges under another quota are forgotten, because a store need not
    /// take them back.
    fn commit(&mut self, models: Models) {
        for (subject, models) in models {
            let quotas_of = &self.limits[subject.0];
            self.held.retain(|held| {
                let each = held.part.charges.iter().enumerate();
                self::subject(&held.part) != subject
                    || each.into_iter().all(|(index, charge)| {
                        let model = &models[index];
                        quotas_of[index].1[charge.quota] == model.quota()
                            && held.marks[index].changes == model.changes()
                    })
            });
            self.models.insert(subject, models);
        }
    }
}

impl Held {
    /// Whether a part is about this charge: charges are told apart by their receipts.
    fn is_of(&self, part: &Part) -> bool {
        let receipts = |charges: &[Charge]| -> Vec<Receipt> {
            charges.iter().map(|charge| charge.receipt).collect()
        };
        subject(&self.part) == subject(part)
            && receipts(&self.part.charges) == receipts(&part.charges)
    }
}

/// Shows an ask and its answer if a check fails.
struct IfPanicking<'b>(&'b Ask, &'b Answer);

impl Drop for IfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{:?}\n{:?}", self.0, self.1);
        }
    }
}

fn subject(part: &Part) -> Subject {
    (part.namespace, part.subject.to_string())
}

/// The levels of one part.
fn levels_of<'b>(ask: &Ask, answer: &'b Answer, number: usize) -> &'b [Level] {
    let before: usize = ask.parts[..number].iter().map(|part| part.charges.len()).sum();
    &answer.levels[before..][..ask.parts[number].charges.len()]
}
