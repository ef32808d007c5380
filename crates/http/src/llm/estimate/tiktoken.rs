//! OpenAI's tokenizer.

use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};
use tiktoken_rs::{
    CoreBPE, cl100k_base_singleton, o200k_base_singleton, o200k_harmony_singleton,
    p50k_base_singleton, p50k_edit_singleton, r50k_base_singleton,
};

use super::Estimator;

/// The tokenizer gets a text in pieces of this many bytes, because the time of its regular
/// expression can grow with the square of the length, and because the expression gives up, with a
/// panic, on some texts that are longer by far. A cut adds at most a token or two.
const PIECE: usize = 1_024;

/// More of a text is not tokenized, but estimated to be like what comes before it.
const MOST: usize = 64 * 1_024;

impl Estimator {
    /// Counts tokens with OpenAI's tokenizer: that of the request's model, and that of GPT-4o and
    /// GPT-5 (`o200k_base`) for models that are not known, such as those of other providers.
    ///
    /// Of a text of more than 64 KiB, the rest is estimated to be like the beginning. The first
    /// request with a tokenizer loads its table, which takes a fraction of a second.
    ///
    /// ```
    /// use tollgate_http::llm::Estimator;
    /// let body = br#"{"model":"gpt-4o","input":"unbelievable circumstances"}"#;
    /// let estimate = |estimator: Estimator| estimator.estimate("/v1/embeddings", body);
    /// assert_eq!(estimate(Estimator::new()).demand.prompt, 7);
    /// assert_eq!(estimate(Estimator::new().tiktoken()).demand.prompt, 4);
    /// ```
    #[must_use]
    #[cfg_attr(docsrs, doc(cfg(feature = "tiktoken")))]
    pub fn tiktoken(self) -> Self {
        self.count_with(count)
    }
}

/// The tokens of a text.
fn count(model: &str, text: &str) -> u64 {
    let tokenizer = tokenizer(model);
    let counted = &text[..boundary_before(text, MOST)];
    let mut tokens: usize = 0;
    let mut rest = counted;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(end_of_piece(rest));
        tokens += tokenizer.count_ordinary(piece);
        rest = after;
    }
    let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
    // `counted` is only shorter than the text if it is about `MOST` long, and so never 0.
    let scaled = u128::from(tokens) * text.len() as u128;
    u64::try_from(scaled.div_ceil(counted.len().max(1) as u128)).unwrap_or(u64::MAX)
}

/// Where the first piece of a text ends: after a space near its bound, if there is one, so that no
/// word is cut.
fn end_of_piece(text: &str) -> usize {
    let end = boundary_before(text, PIECE);
    if end == text.len() {
        return end;
    }
    let from = boundary_before(text, end - PIECE / 4);
    // A space belongs to the word after it.
    text[from..end].rfind(' ').map_or(end, |space| from + space).max(1)
}

/// The last boundary between letters that is not after `end`; at least the first.
fn boundary_before(text: &str, end: usize) -> usize {
    let mut end = end.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

fn tokenizer(model: &str) -> &'static CoreBPE {
    // Routers write `openai/gpt-4o`.
    let name = model.rsplit('/').next().unwrap_or(model);
    match get_tokenizer(name) {
        Some(Tokenizer::O200kHarmony) => o200k_harmony_singleton(),
        Some(Tokenizer::Cl100kBase) => cl100k_base_singleton(),
        Some(Tokenizer::P50kBase) => p50k_base_singleton(),
        Some(Tokenizer::P50kEdit) => p50k_edit_singleton(),
        Some(Tokenizer::R50kBase | Tokenizer::Gpt2) => r50k_base_singleton(),
        Some(Tokenizer::O200kBase) | None => o200k_base_singleton(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_tokenizer_counts() {
        let text = "Rate limits are about fairness, and about servers that stay up. ".repeat(40);
        let exact = tokenizer("gpt-4o").count_ordinary(&text) as u64;
        let counted = count("gpt-4o", &text);
        assert!(counted >= exact && counted <= exact + 4, "{counted} of {exact}");
        assert_eq!(count("gpt-4", "hello world"), 2);
        assert_eq!(count("openai/gpt-3.5-turbo", ""), 0);
        assert_eq!(count("a model of others", "hello world"), 2);
    }

    #[test]
    fn hostile_texts_are_counted() {
        for letter in [" ", "a", "\u{1f600}", "\r\n ", "'s", "\u{0}"] {
            let text = letter.repeat(2 * MOST / letter.len());
            let tokens = count("gpt-4o", &text);
            assert!(tokens > 0 && tokens <= text.len() as u64, "{letter:?}: {tokens}");
        }
    }
}
