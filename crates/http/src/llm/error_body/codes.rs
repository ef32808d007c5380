//! The codes of errors, in the words of each provider.

/// What a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// It amounts to this status, whatever the status of the answer is.
    Certain(u16),
    /// It amounts to this status if nothing else says more.
    Vague(u16),
}

/// What a code means; `None` if it is not known. The case does not matter.
///
/// Codes come from `type`, `code`, `status` and `reason`, and the names of exceptions of AWS. Where
/// they contradict each other, see [`most_telling`].
pub(super) fn meaning(code: &str) -> Option<Code> {
    let code = code.trim();
    // AWS writes `com.amazon.coral.service#ThrottlingException:http://...`.
    let code = code.rsplit('#').next().unwrap_or(code);
    let code = code.split(':').next().unwrap_or(code);
    if code.len() > LONGEST {
        return None;
    }
    let same = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(code));
    let of = |table: &[(u16, &[&str])]| {
        table.iter().find(|(_, names)| same(names)).map(|(status, _)| *status)
    };
    of(CERTAIN).map(Code::Certain).or_else(|| of(VAGUE).map(Code::Vague))
}

/// Longer codes are not looked up.
const LONGEST: usize = 64;

/// Of several certain codes, the one that says most: `RESOURCE_EXHAUSTED` with the reason
/// `MODEL_CAPACITY_EXHAUSTED` is an overload.
pub(super) fn most_telling(codes: impl Iterator<Item = u16>) -> Option<u16> {
    const ORDER: [u16; 10] = [402, 401, 529, 503, 413, 404, 403, 400, 429, 504];
    codes.min_by_key(|code| ORDER.iter().position(|other| other == code).unwrap_or(ORDER.len()))
}

const CERTAIN: &[(u16, &[&str])] = &[
    (
        402,
        &[
            // OpenAI and those like it.
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "payment_required",
            "insufficient_credits",
            "insufficient_balance",
            // Anthropic.
            "billing_error",
            "out_of_credits",
            // Moonshot.
            "exceeded_current_quota_error",
            // Google's Code Assist.
            "INSUFFICIENT_G1_CREDITS_BALANCE",
            // Alibaba.
            "Arrearage",
            // Zhipu: out of money or of resource packages.
            "1113",
        ],
    ),
    (
        401,
        &[
            "authentication_error",
            "invalid_authentication_error",
            "incorrect_api_key_error",
            "invalid_api_key",
            "InvalidApiKey",
            "account_deactivated",
            "access_terminated",
            "token_expired",
            // Google.
            "UNAUTHENTICATED",
            "API_KEY_INVALID",
            "API_KEY_EXPIRED",
            "CONSUMER_SUSPENDED",
            // AWS.
            "UnrecognizedClientException",
            "ExpiredTokenException",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
        ],
    ),
    (
        529,
        &[
            "overloaded_error",
            "engine_overloaded_error",
            "server_is_overloaded",
            "server_overloaded",
            "overloaded",
            "capacity_exceeded",
            // Cerebras: its queue is full.
            "queue_exceeded",
            // Mistral: the service tier's capacity is exceeded for this model.
            "3505",
            // Alibaba.
            "Throttling.ServiceOverloaded",
            // Zhipu: too many people use this model.
            "1305",
        ],
    ),
    (
        503,
        &[
            "service_unavailable_error",
            "service_unavailable",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "ModelNotReadyException",
            "UNAVAILABLE",
            "MODEL_CAPACITY_EXHAUSTED",
            "slow_down",
        ],
    ),
    (413, &["request_too_large"]),
    (403, &["unsupported_country_region_territory"]),
    (
        404,
        &[
            "not_found_error",
            "model_not_found",
            "NOT_FOUND",
            "resource_not_found_error",
            "DeploymentNotFound",
            "ResourceNotFoundException",
        ],
    ),
    (
        400,
        &[
            "context_length_exceeded",
            "string_above_max_length",
            "content_policy_violation",
            "content_filter",
            "invalid_prompt",
            "ValidationException",
        ],
    ),
    (
        429,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limit_reached_error",
            "rate_limited",
            "rate_limit",
            "RateLimitReached",
            "rateLimitExceeded",
            "too_many_requests",
            "too_many_requests_error",
            "TooManyRequests",
            // Google.
            "RESOURCE_EXHAUSTED",
            // Cerebras.
            "too_many_tokens_error",
            "token_quota_exceeded",
            "request_quota_exceeded",
            // AWS and Alibaba.
            "ThrottlingException",
            "TooManyRequestsException",
            "Throttling",
            "throttling_error",
            "Throttling.RateQuota",
            "Throttling.AllocationQuota",
            "LimitRequests",
            "limit_burst_rate",
            // Together.
            "dynamic_request_limited",
            "dynamic_token_limited",
            // Codex.
            "usage_limit_reached",
            // Mistral; Zhipu: too many at once, too many in a time.
            "1300",
            "1302",
            "1303",
        ],
    ),
    (504, &["timeout_error", "DEADLINE_EXCEEDED", "gateway_timeout", "ModelTimeoutException"]),
];

const VAGUE: &[(u16, &[&str])] = &[
    (
        500,
        &[
            "api_error",
            "server_error",
            "INTERNAL",
            "internal_error",
            "internal_server_error",
            "InternalServerError",
            "InternalServerException",
            "InternalFailure",
            "ModelErrorException",
            "ModelStreamErrorException",
        ],
    ),
    (401, &["unauthorized"]),
    (
        403,
        &[
            "permission_error",
            "permission_denied",
            "permission_denied_error",
            "permission-denied",
            "AccessDeniedException",
            "access_denied",
            "forbidden",
            "request_forbidden",
            "usage_not_included",
        ],
    ),
    (
        400,
        &[
            "invalid_request_error",
            "invalid_request",
            "invalid-argument",
            "INVALID_ARGUMENT",
            "FAILED_PRECONDITION",
            "bad_request",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_in_any_case_and_in_the_form_of_aws() {
        assert_eq!(meaning("Overloaded_Error"), Some(Code::Certain(529)));
        assert_eq!(meaning(" resource_exhausted "), Some(Code::Certain(429)));
        let aws = "com.amazonaws.bedrock#ThrottlingException:http://internal.amazon.com/";
        assert_eq!(meaning(aws), Some(Code::Certain(429)));
        assert_eq!(meaning("server_error"), Some(Code::Vague(500)));
        for unknown in ["", "tokens", "requests", "error", &"x".repeat(1_000)] {
            assert_eq!(meaning(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn no_code_is_in_two_places() {
        let all = || CERTAIN.iter().chain(VAGUE).flat_map(|(_, names)| names.iter());
        for name in all() {
            assert_eq!(all().filter(|other| other.eq_ignore_ascii_case(name)).count(), 1, "{name}");
            assert!(name.len() <= LONGEST, "{name}");
        }
    }

    #[test]
    fn the_most_telling_code_counts() {
        assert_eq!(most_telling([429, 402].into_iter()), Some(402));
        assert_eq!(most_telling([429, 503].into_iter()), Some(503));
        assert_eq!(most_telling([504, 429].into_iter()), Some(429));
        assert_eq!(most_telling([].into_iter()), None);
    }
}
