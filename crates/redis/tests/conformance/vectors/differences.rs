//! Where stores answer otherwise than other libraries, on purpose.

/// A vector, the steps that differ with the answers of a store, and why.
type Difference = (&'static str, &'static [(usize, &'static str)], &'static str);

const ZERO_RATE: &str = "a rate of zero is a typed error: nothing would ever pass again";
const NO_TIME_TWICE: &str = "time never goes backwards: no interval is paid for twice";

const DIFFERENCES: &[Difference] = &[
    ("go-zero-limit", &[(0, "error"), (1, "error")], ZERO_RATE),
    ("more-analysis-zero-after-limit", &[(0, "error")], ZERO_RATE),
    ("more-go-jump-backwards", &[(10, "0"), (11, "false")], NO_TIME_TWICE),
    ("more-go-reserve-jump-back", &[(2, "ok true, act_at 400000000")], NO_TIME_TWICE),
    (
        "b4j-replace-prop-neg",
        &[(0, "4000")],
        "waits are rounded up: 2.75 tokens at 6/8 per ns take 3.67 ns",
    ),
    (
        "b4j-replace-prop",
        &[(2, "60"), (3, "60")],
        "a new quota counts from the first charge under it: until then the old one refills",
    ),
    (
        "go-set-limit-cancel",
        &[(4, "ok true, act_at 500000000")],
        "what was taken under one quota is not given back under another",
    ),
    (
        "more-go-cancel-too-late",
        &[(3, "ok true, act_at 300000000")],
        "a store gives back what it is told to, due or not; `shared::Reservation` does not ask",
    ),
    (
        "more-b4j-interval-keeps-its-grid",
        &[(4, "0")],
        "a window of which nothing is used begins anew with its next use",
    ),
    (
        "more-b4j-wait-max-above-capacity",
        &[(0, "ok false, slept 0")],
        "more than the burst never passes, and that is said at once",
    ),
    (
        "more-b4j-zero-permits",
        &[(0, "true"), (1, "done")],
        "zero permits are granted unless in debt, as in Go",
    ),
    ("more-b4j-too-fast", &[(0, "done")], "more than one permit a nanosecond is kept exactly"),
];

/// What is wrong with the answers to a vector, if anything is.
pub(super) fn unexplained(id: &str, mismatches: &[(usize, String)]) -> Option<String> {
    let known = DIFFERENCES.iter().find(|known| known.0 == id);
    let expected = known.map_or(&[][..], |known| known.1);
    let expected: Vec<_> = expected.iter().map(|(step, said)| (*step, (*said).into())).collect();
    if expected == mismatches {
        if let Some((_, _, why)) = known {
            println!("{id}: differs: {why}");
        }
        return None;
    }
    Some(format!("{mismatches:?} and not {expected:?}"))
}
