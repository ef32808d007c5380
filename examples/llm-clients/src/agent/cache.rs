//! Answers that were given before, for callers whose limit is reached.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tollgate::Timestamp;

/// A bounded number of answers, of which the oldest is dropped for a new one.
///
/// An answer is given again only to the key that it was made for: an agent may have put into it
/// what only that caller is allowed to see. Callers who share a key, such as those of whom nothing
/// is known, share its answers too.
#[derive(Debug)]
pub(super) struct Cache {
    capacity: usize,
    max_age: Duration,
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    by_question: HashMap<Question, Entry>,
    /// The questions in the order in which their answers were made.
    oldest_first: VecDeque<Question>,
}

/// A key, and what it asked.
type Question = (String, String);

/// Answers to longer prompts, in bytes, are not kept: they are rarely asked twice, and the cache
/// is bounded by its number of answers.
const LONGEST_PROMPT: usize = 4_096;

#[derive(Debug)]
struct Entry {
    text: String,
    made_at: Timestamp,
}

impl Cache {
    pub(super) fn new(capacity: usize, max_age: Duration) -> Self {
        Self { capacity, max_age, answers: Mutex::default() }
    }

    /// An answer that `key` was given to this prompt, and its age.
    pub(super) fn find(
        &self,
        key: &str,
        prompt: &str,
        now: Timestamp,
    ) -> Option<(String, Duration)> {
        if !self.holds(prompt) {
            return None;
        }
        let question = (key.to_owned(), normal_form(prompt));
        let answers = self.lock();
        let entry = answers.by_question.get(&question)?;
        let age = now - entry.made_at;
        (age <= self.max_age).then(|| (entry.text.clone(), age))
    }

    /// Keeps an answer for later.
    pub(super) fn insert(&self, key: String, prompt: &str, text: String, now: Timestamp) {
        if !self.holds(prompt) {
            return;
        }
        let question = (key, normal_form(prompt));
        let mut answers = self.lock();
        let entry = Entry { text, made_at: now };
        if answers.by_question.insert(question.clone(), entry).is_some() {
            // The new answer is the youngest.
            answers.oldest_first.retain(|other| *other != question);
        }
        answers.oldest_first.push_back(question);
        if answers.oldest_first.len() > self.capacity
            && let Some(oldest) = answers.oldest_first.pop_front()
        {
            answers.by_question.remove(&oldest);
        }
    }

    fn holds(&self, prompt: &str) -> bool {
        self.capacity > 0 && prompt.len() <= LONGEST_PROMPT
    }

    /// A panic elsewhere leaves the answers usable.
    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prompts that differ only in case and in spaces ask the same.
fn normal_form(prompt: &str) -> String {
    prompt.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(7);

    fn text(cache: &Cache, key: &str, prompt: &str) -> Option<String> {
        cache.find(key, prompt, NOW).map(|(text, _)| text)
    }

    #[test]
    fn an_answer_is_for_its_key_alone() {
        let cache = Cache::new(9, Duration::MAX);
        cache.insert("a".to_owned(), "Why?", "Because.".to_owned(), NOW);
        assert_eq!(text(&cache, "a", "  why? ").as_deref(), Some("Because."));
        assert_eq!(text(&cache, "b", "Why?"), None);
    }

    #[test]
    fn the_oldest_answer_is_dropped() {
        let cache = Cache::new(2, Duration::MAX);
        for prompt in ["one", "two", "one", "three"] {
            cache.insert("a".to_owned(), prompt, prompt.to_owned(), NOW);
        }
        assert_eq!(text(&cache, "a", "two"), None);
        assert!(text(&cache, "a", "one").is_some() && text(&cache, "a", "three").is_some());
    }

    #[test]
    fn an_answer_that_is_too_old_is_not_given() {
        let cache = Cache::new(2, Duration::from_nanos(5));
        cache.insert("a".to_owned(), "Why?", "Because.".to_owned(), NOW);
        assert!(cache.find("a", "Why?", Timestamp::from_nanos(12)).is_some());
        assert!(cache.find("a", "Why?", Timestamp::from_nanos(13)).is_none());
    }

    #[test]
    fn a_long_prompt_is_not_kept() {
        let cache = Cache::new(2, Duration::MAX);
        for (length, kept) in [(LONGEST_PROMPT, true), (LONGEST_PROMPT + 1, false)] {
            let prompt = "x".repeat(length);
            cache.insert("a".to_owned(), &prompt, "Because.".to_owned(), NOW);
            assert_eq!(text(&cache, "a", &prompt).is_some(), kept);
        }
    }

    #[test]
    fn no_capacity_keeps_nothing() {
        let cache = Cache::new(0, Duration::MAX);
        cache.insert("a".to_owned(), "Why?", "Because.".to_owned(), NOW);
        assert_eq!(text(&cache, "a", "Why?"), None);
    }
}
