//! Where this crate answers otherwise than its peers, on purpose.

use super::runner::Mismatch;
use super::vector::Vector;

/// A rule by which an answer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    ZeroRate,
    ZeroBurst,
    NoInterval,
    RoundedUp,
    AboveBurst,
    NeverAboveBurst,
    ZeroPermits,
    NewLimitIsFull,
    FasterThanOnePerNano,
    OtherMetrics,
    WiderClock,
    UpstreamFloat,
}

impl Cause {
    /// Whether the limiter is in another state than upstream's from here on.
    pub(crate) fn changes_the_state(self) -> bool {
        !matches!(
            self,
            Self::NoInterval
                | Self::RoundedUp
                | Self::ZeroPermits
                | Self::FasterThanOnePerNano
                | Self::OtherMetrics
                | Self::UpstreamFloat
        )
    }

    fn reason(self) -> &'static str {
        match self {
            Self::ZeroRate => "a rate of zero is a typed error: nothing would ever pass again",
            Self::ZeroBurst => "a burst of zero is a typed error: nothing could ever pass",
            Self::NoInterval => {
                "an interval of zero is an error, and a negative one can't be said; unlimited has \
                 a name of its own"
            }
            Self::RoundedUp => {
                "waits are rounded up, so that whoever sleeps exactly this long is not refused; \
                 bucket4j truncates"
            }
            Self::AboveBurst => {
                "nothing fills a bucket beyond its burst: no window bound would hold"
            }
            Self::NeverAboveBurst => "more than the burst never passes, and that is said at once",
            Self::ZeroPermits => "zero permits are granted unless in debt, as in Go",
            Self::NewLimitIsFull => "a limit that was not there before starts full",
            Self::FasterThanOnePerNano => "more than one permit a nanosecond is kept exactly",
            Self::OtherMetrics => "only permits granted and refused are counted",
            Self::WiderClock => "time ends after 2^64 ns, not 2^63",
            Self::UpstreamFloat => {
                "counts beyond 2^53 are exact; bucket4j falls back to floats and is off by one or two"
            }
        }
    }
}

/// A vector whose answers differ.
struct Deviation {
    matcher: Matcher,
    reason: &'static str,
}

enum Matcher {
    /// By id: exactly these steps differ, with these answers.
    Id(&'static str, &'static [(usize, &'static str)]),
    /// By upstream's name of the test, for vectors that are not in the file.
    Test(&'static str),
}

use Matcher::{Id, Test};

const ZERO_RATE: &str = "a rate of zero is a typed error: nothing would ever pass again";
const ROUNDED_UP: &str = "waits are rounded up: 2.75 tokens at 6/8 per ns take 3.67 ns";
const FULL_REFUND: &str = "a cancelled reservation gives everything back, due or not, and those \
                           behind it move up; Go refunds what later ones left and holds them where \
                           they were";
const NO_TIME_TWICE: &str = "time never goes backwards: no interval is paid for twice";

const DEVIATIONS: &[Deviation] = &[
    Deviation { matcher: Id("go-zero-limit", &[(0, "error")]), reason: ZERO_RATE },
    Deviation {
        matcher: Id("go-every", &[(0, "error"), (1, "error")]),
        reason: "an interval of zero is an error, and a negative one can't be said; unlimited has \
                 a name of its own",
    },
    Deviation {
        matcher: Id("b4j-force-add-4", &[(0, "no such operation")]),
        reason: "nothing fills a bucket beyond its burst: no window bound would hold",
    },
    Deviation { matcher: Id("b4j-replace-prop-neg", &[(0, "4")]), reason: ROUNDED_UP },
    Deviation {
        matcher: Id("more-go-cancel-0-tokens", &[(4, "ok true, act_at 200000000")]),
        reason: FULL_REFUND,
    },
    Deviation {
        matcher: Id("more-go-cancel-1-token", &[(4, "ok true, act_at 300000000")]),
        reason: FULL_REFUND,
    },
    Deviation {
        matcher: Id("more-go-cancel-multi", &[(6, "ok true, act_at 400000000")]),
        reason: FULL_REFUND,
    },
    Deviation {
        matcher: Id("more-go-cancel-too-late", &[(3, "ok true, act_at 300000000")]),
        reason: FULL_REFUND,
    },
    Deviation {
        matcher: Id(
            "more-go-reserve-jump-back",
            &[(1, "ok true, act_at 200000000"), (2, "ok true, act_at 400000000")],
        ),
        reason: NO_TIME_TWICE,
    },
    Deviation {
        matcher: Id("more-go-reserve-set-burst", &[(3, "ok true, act_at 1200000000")]),
        reason: NO_TIME_TWICE,
    },
    Deviation {
        matcher: Id("more-go-jump-backwards", &[(10, "0"), (11, "false")]),
        reason: NO_TIME_TWICE,
    },
    Deviation {
        matcher: Id("more-b4j-wait-max-above-capacity", &[(0, "ok false, slept 0")]),
        reason: "more than the burst never passes, and that is said at once",
    },
    Deviation {
        matcher: Id("more-b4j-zero-permits", &[(0, "true"), (1, "done")]),
        reason: "zero permits are granted unless in debt, as in Go",
    },
    Deviation {
        matcher: Id("more-b4j-too-fast", &[(0, "done")]),
        reason: "more than one permit a nanosecond is kept exactly",
    },
    Deviation {
        matcher: Id("more-b4j-unmatched-initial", &[(0, "no such operation")]),
        reason: "a limit that was not there before starts full",
    },
    Deviation { matcher: Id("more-analysis-zero-after-limit", &[(0, "error")]), reason: ZERO_RATE },
    Deviation { matcher: Test("TestCancel0Tokens"), reason: FULL_REFUND },
    Deviation { matcher: Test("TestCancel1Token"), reason: FULL_REFUND },
    Deviation { matcher: Test("TestCancelMulti"), reason: FULL_REFUND },
    Deviation { matcher: Test("TestCancelTooLate"), reason: FULL_REFUND },
    Deviation { matcher: Test("TestReserveJumpBackCancel"), reason: FULL_REFUND },
    Deviation { matcher: Test("TestReserveJumpBack"), reason: NO_TIME_TWICE },
    Deviation { matcher: Test("TestReserveSetBurst"), reason: NO_TIME_TWICE },
    Deviation { matcher: Test("TestLimiterJumpBackwards"), reason: NO_TIME_TWICE },
];

/// What to think of a vector's answers.
#[derive(Debug)]
pub(crate) enum Verdict {
    Agrees,
    Deviates(&'static str),
    Wrong(String),
}

pub(crate) fn judge(vector: &Vector, mismatches: &[Mismatch]) -> Verdict {
    let by_id = DEVIATIONS.iter().find_map(|deviation| match deviation.matcher {
        Id(id, answers) if id == vector.id => Some((answers, deviation.reason)),
        _ => None,
    });
    if let Some((answers, reason)) = by_id {
        return judge_listed(answers, reason, mismatches);
    }
    let Some(first) = mismatches.first() else { return Verdict::Agrees };
    let unexplained: Vec<&Mismatch> = mismatches.iter().filter(|m| m.cause.is_none()).collect();
    if let (true, Some(cause)) = (unexplained.is_empty(), first.cause) {
        return Verdict::Deviates(cause.reason());
    }
    let by_test = DEVIATIONS.iter().find_map(|deviation| match deviation.matcher {
        Test(test) if test == vector.test => Some(deviation.reason),
        _ => None,
    });
    match by_test {
        Some(reason) => Verdict::Deviates(reason),
        None if !vector.portable => Verdict::Deviates("said not to be portable"),
        None => Verdict::Wrong(describe(unexplained.into_iter())),
    }
}

/// Exactly the listed steps differ, and by the listed answers; else the list is stale.
fn judge_listed(
    answers: &[(usize, &str)],
    reason: &'static str,
    mismatches: &[Mismatch],
) -> Verdict {
    let got: Vec<(usize, String)> =
        mismatches.iter().map(|m| (m.step, m.got.to_string())).collect();
    let listed: Vec<(usize, String)> =
        answers.iter().map(|(step, answer)| (*step, (*answer).to_owned())).collect();
    if got == listed {
        Verdict::Deviates(reason)
    } else {
        Verdict::Wrong(format!("listed deviations {listed:?}, but {}", describe(mismatches.iter())))
    }
}

fn describe<'a>(mismatches: impl Iterator<Item = &'a Mismatch>) -> String {
    let each = mismatches.map(|m| {
        let expect = m.expect.as_ref().map_or("no error".to_owned(), ToString::to_string);
        format!("step {} {}: got `{}`, upstream {expect}", m.step, m.op, m.got)
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "nothing differs".to_owned() } else { each.join("; ") }
}
