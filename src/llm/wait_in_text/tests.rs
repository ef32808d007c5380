use super::*;
use proptest::prelude::*;

/// Texts of errors that providers sent, as users of other clients reported them.
#[test]
fn texts_of_providers() {
    for (text, nanos) in [
        // OpenAI.
        (
            "on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s. Visit https://platform.openai.com/account/rate-limits to learn more.",
            3_890_000_000,
        ),
        (
            "on tokens per min. Limit: 10000 / min. Please try again in 6ms. Contact us through our help center",
            6_000_000,
        ),
        ("Limit 3, Used 3, Requested 1. Please try again in 20s.", 20_000_000_000),
        // Groq.
        (
            "on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens? Upgrade",
            578_016_000_000,
        ),
        ("Requested ~12903. Please try again in 50.597142857s. Visit", 50_597_142_857),
        ("Used 99000, Requested 5000. Please try again in 1h28m. Need", 5_280_000_000_000),
        // Azure.
        (
            "your current OpenAI S0 pricing tier. Please retry after 86400 seconds. Please contact",
            86_400_000_000_000,
        ),
        ("Rate limit is exceeded. Try again in 30 seconds.", 30_000_000_000),
        // Gemini, and Google's Code Assist.
        ("input_token_count, limit: 4000000\nPlease retry in 47.434392449s.", 47_434_392_449),
        ("'google.rpc.RetryInfo', 'retryDelay': '47s'}]}}", 47_000_000_000),
        (r#""retryDelay": "34.074824224s""#, 34_074_824_224),
        (r#"\"retryDelay\": \"58.9s\""#, 58_900_000_000),
        (
            "You have exhausted your capacity on this model. Your quota will reset after 15h51m26s.",
            57_086_000_000_000,
        ),
        (r#""quotaResetDelay": "135h9m46s""#, 486_586_000_000_000),
        // Moonshot.
        (
            "request reached organization max RPM: 20, please try again after 1 seconds",
            1_000_000_000,
        ),
        // GitHub Models.
        (
            "Rate limit of 8 per 86400s exceeded for UserByModelByDay. Please wait 85841 seconds before retrying.",
            85_841_000_000_000,
        ),
        // Forms that clients are tested with.
        ("rate limit; retry after 2500 ms", 2_500_000_000),
        ("Please try\nagain in 11.455s. Need more", 11_455_000_000),
        ("Retry-After: 20", 20_000_000_000),
        (r#"{"error": "slow down", "retry_after": 7.5}"#, 7_500_000_000),
        ("please wait for at least 1 minute and 30 seconds", 90_000_000_000),
        ("Try again in 2 hours, 5 minutes", 7_500_000_000_000),
        ("Please wait 86,400 seconds", 86_400_000_000_000),
        ("please wait a few minutes, or retry after 1,234,567ms", 1_234_567_000_000),
        ("try again in an hour", 3_600_000_000_000),
        ("Resets in: ~3 days.", 259_200_000_000_000),
        ("TRY AGAIN IN 5 SECONDS", 5_000_000_000),
        ("wait 30.", 30_000_000_000),
        // The first counts, and what follows it does not belong to it.
        ("retry in 2s 30 requests, then retry in 9s", 2_000_000_000),
        ("retry in 2s 1m", 2_000_000_000),
        ("wait 1m2ms3", 60_002_000_000),
    ] {
        assert_eq!(wait_in_text(text), Some(Duration::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn texts_without_a_wait() {
    for text in [
        "",
        "Rate limit of 50 per 86400s exceeded",
        "Limit 30000, Requested 31538. The input or output tokens must be reduced",
        "Please reduce the prompt length or the maximum tokens requested, or try again later.",
        "Too many tokens, please wait before trying again.",
        "please wait a few minutes before you try again",
        "please try again in a moment",
        "try again in 5",
        "wait 5 requests",
        "please reduce your message size and try again. Visit",
        "retry after 2026-08-13T15:37:13Z",
        "Retry-After: Thu, 13 Aug 2026 15:37:13 GMT",
        "try again at 3:45 PM",
        "await 5s",
        "waiting 5s",
        "wait -5s",
        "wait 5sm",
        "wait 5 mother",
        "retry in NaN s",
        "try again in 1000000000s",
        "try again in 99999999999999999999999999999999999999999 hours",
        "available in 20 regions",
    ] {
        assert_eq!(wait_in_text(text), None, "{text}");
    }
}

#[test]
fn a_long_text_is_read_up_to_a_bound() {
    let wait = "retry in 5s";
    let read = Some(Duration::from_secs(5));
    assert_eq!(wait_in_text(&(" ".repeat(MOST_BYTES - wait.len()) + wait)), read);
    assert_eq!(wait_in_text(&(" ".repeat(MOST_BYTES) + wait)), None);
    // The bound falls into a letter.
    assert_eq!(wait_in_text(&("\u{20ac}".repeat(MOST_BYTES / 3) + "€€")), None);
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,200}") {
        let wait = wait_in_text(&text);
        prop_assert!(wait.is_none_or(|wait| wait.as_secs() < duration::TOO_LONG));
    }

    #[test]
    fn pieces_in_any_order_are_read(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "retry", " ", "after", "in", "wait", "1", ",000", "s", "m", ".", "\"", ":", "and",
            "9999999999999999999999", "ms", "day", "a", "for", "é", "µs", "-", "_", "\n",
        ]),
        0..40,
    )) {
        let text = pieces.concat();
        let wait = wait_in_text(&text);
        prop_assert!(wait.is_none_or(|wait| wait.as_secs() < duration::TOO_LONG));
    }

    #[test]
    fn what_is_written_is_read(hours in 0_u64..1_000, minutes in 0_u64..60, ms in 0_u64..60_000) {
        let wait = Duration::from_millis((hours * 3_600 + minutes * 60) * 1_000 + ms);
        let (secs, millis) = (ms / 1_000, ms % 1_000);
        let short = format!("{hours}h{minutes}m{secs}.{millis:03}s");
        prop_assert_eq!(wait_in_text(&format!("Please try again in {short}.")), Some(wait));
        let long = format!("{hours} hours, {minutes} minutes and {secs}.{millis:03} seconds");
        prop_assert_eq!(wait_in_text(&format!("retry after {long}, please")), Some(wait));
    }
}
