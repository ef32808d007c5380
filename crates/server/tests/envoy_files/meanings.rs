//! What a file means to Go's `yaml.v2`, and what ratelimit checks.
