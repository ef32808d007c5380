//! What the store is asked about the descriptors of one request.
//!
//! 1. Charges of descriptors that only look are looked at.
//! 2. If none of these refuses and no descriptor is refused without its limits, the permits of all
//!    others are taken, or those of none. Else they are looked at.
//! 3. If they were taken, then hits beyond what is left become debt, for rules that say so.
//! 4. After that, descriptors that give permits back do so.
//!
//! Usually there is only the second step, which is one ask of the store.

use std::ops::Range;

use smallvec::SmallVec;

use super::DescriptorDecision;
use super::decide::Hits;
use crate::engine::compiled::Compiled;
use crate::engine::decide::Engine;
use crate::engine::store::{
    Answer, Charge, Later, Reply, StoreError, Verb, Verdict, all_answers, note_answers,
};

/// All charges of a request's descriptors.
pub(super) struct Asking {
    /// Those that are only looked at come first.
    charges: SmallVec<[Charge; 4]>,
    /// Of each charge: its descriptor, and how many hits may become debt.
    of: SmallVec<[(usize, u64); 4]>,
    /// How many are only looked at.
    looks: usize,
    /// Where those begin that are given back.
    back: usize,
    step: Step,
    /// Whether a descriptor is known to be over its limit.
    is_over: bool,
    failed: Option<StoreError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Looks,
    Others,
    Debts,
    Back,
    Done,
}

impl Asking {
    /// Takes the charges out of the decisions.
    pub(super) fn new(decided: &mut [DescriptorDecision], hits: &[Hits]) -> Self {
        let is_over = decided.iter().any(|descriptor| !descriptor.decision.is_allowed());
        let (step, failed) = (Step::Looks, None);
        let (charges, of) = (SmallVec::new(), SmallVec::new());
        let mut asking = Self { charges, of, looks: 0, back: 0, step, is_over, failed };
        // If nothing is taken anyway, one look is enough.
        let looks = |hits: &Hits| hits.count == 0 && !hits.gives_back && !is_over;
        asking.add(decided, hits, looks);
        asking.looks = asking.charges.len();
        asking.add(decided, hits, |hits| !looks(hits) && !hits.gives_back);
        asking.back = asking.charges.len();
        asking.add(decided, hits, |hits| hits.gives_back);
        asking
    }

    fn add(
        &mut self,
        decided: &mut [DescriptorDecision],
        hits: &[Hits],
        is_meant: impl Fn(&Hits) -> bool,
    ) {
        let all = decided.iter_mut().zip(hits).enumerate();
        for (index, (descriptor, hits)) in all.filter(|(_, (_, hits))| is_meant(hits)) {
            for mut charge in descriptor.decision.charges.drain(..) {
                let cost = charge.cost.saturating_mul(hits.count);
                // A look without hits asks whether a permit is left.
                let least = u64::from(!hits.gives_back);
                charge.cost = if hits.owes { cost.min(1) } else { cost }.max(least);
                self.of.push((index, if hits.owes { cost.saturating_sub(1) } else { 0 }));
                self.charges.push(charge);
            }
        }
    }

    /// Asks the store until it answers later, or until all is known.
    pub(super) fn go_on(&mut self, engine: &Engine, policy: &Compiled) -> Option<Later> {
        while self.step != Step::Done {
            match self.ask(policy) {
                Reply::Now => self.next(),
                Reply::Later(later) => return Some(later),
                Reply::Failed(error) => self.fail(engine, error),
            }
        }
        None
    }

    /// Asks the store what this step is about.
    fn ask(&mut self, policy: &Compiled) -> Reply {
        let verb = match self.step {
            Step::Looks => Verb::Look,
            Step::Others | Step::Back if self.is_over => Verb::Look,
            Step::Others => Verb::Take,
            Step::Back => Verb::Credit,
            Step::Debts => return self.ask_for_debts(policy),
            Step::Done => return Reply::Now,
        };
        let asked = self.asked();
        match &mut self.charges[asked] {
            [] => Reply::Now,
            charges => policy.buckets.ask(verb, charges),
        }
    }

    fn ask_for_debts(&mut self, policy: &Compiled) -> Reply {
        if self.of.iter().all(|(_, debt)| *debt == 0) {
            return Reply::Now;
        }
        let mut debts = self.debts();
        if debts.is_empty() {
            return Reply::Now;
        }
        let reply = policy.buckets.ask(Verb::Consume, &mut debts);
        if matches!(reply, Reply::Now) {
            self.note_debts(debts.iter().map(|charge| charge.answer));
        }
        reply
    }

    /// The charges of this step, but for debts.
    fn asked(&self) -> Range<usize> {
        match self.step {
            Step::Looks => 0..self.looks,
            Step::Others => self.looks..self.back,
            Step::Back => self.back..self.charges.len(),
            Step::Debts | Step::Done => 0..0,
        }
    }

    /// Notes answers that came later.
    pub(super) fn answered(&mut self, engine: &Engine, answers: Result<Vec<Answer>, StoreError>) {
        let noted = if self.step == Step::Debts {
            let answers = all_answers(answers, self.debts().len());
            answers.map(|answers| self.note_debts(answers))
        } else {
            let asked = self.asked();
            note_answers(&mut self.charges[asked], answers)
        };
        match noted {
            Ok(()) => self.next(),
            Err(error) => self.fail(engine, error),
        }
    }

    fn next(&mut self) {
        let refuses = |charge: &Charge| !charge.shadow && charge.answer.refuses();
        self.is_over |= self.charges[..self.back].iter().any(refuses);
        // Who gives back is not refused, whatever is left.
        for charge in &mut self.charges[self.back..] {
            charge.answer.verdict = Verdict::Granted;
        }
        self.step = match self.step {
            Step::Looks => Step::Others,
            Step::Others if !self.is_over => Step::Debts,
            Step::Others | Step::Debts => Step::Back,
            Step::Back | Step::Done => Step::Done,
        };
    }

    fn owes(charge: &Charge, debt: u64) -> bool {
        debt > 0 && !charge.answer.refuses()
    }

    /// The charges that become debt.
    fn debts(&self) -> SmallVec<[Charge; 4]> {
        let others = self.charges[..self.back].iter().zip(&self.of).skip(self.looks);
        let owing = others.filter(|(charge, (_, debt))| Self::owes(charge, *debt));
        owing.map(|(charge, (_, debt))| Charge { cost: *debt, ..charge.clone() }).collect()
    }

    fn note_debts(&mut self, answers: impl IntoIterator<Item = Answer>) {
        let others = self.charges[..self.back].iter_mut().zip(&self.of).skip(self.looks);
        let owing = others.filter(|(charge, (_, debt))| Self::owes(charge, *debt));
        for ((charge, _), answer) in owing.zip(answers) {
            charge.answer = answer;
        }
    }

    /// The store has failed. Permits that were taken stay taken, so what comes after that is lost.
    fn fail(&mut self, engine: &Engine, error: StoreError) {
        if matches!(self.step, Step::Debts | Step::Back) && self.back > 0 {
            engine.observer.store_failed(&error);
        } else {
            self.failed = Some(error);
        }
        self.step = Step::Done;
    }

    /// Gives the charges back to their decisions, and makes the decisions.
    pub(super) fn conclude(&mut self, engine: &Engine, decided: &mut [DescriptorDecision]) {
        for (charge, (index, debt)) in self.charges.drain(..).zip(&self.of) {
            if let Some(descriptor) = decided.get_mut(*index) {
                let cost = charge.cost.saturating_add(*debt);
                descriptor.decision.charges.push(Charge { cost, ..charge });
            }
        }
        for DescriptorDecision { decision, .. } in decided {
            if decision.charges.is_empty() {
                continue;
            }
            match &self.failed {
                Some(error) => engine.fail(decision, error),
                None => engine.settle(decision),
            }
        }
    }
}
