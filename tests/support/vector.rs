//! The vector format, read from JSON.

use serde_json::Value;
use tollgate::Timestamp;

/// One scenario.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) id: String,
    /// The upstream project it comes from.
    pub(crate) project: String,
    /// The upstream test it comes from.
    pub(crate) test: String,
    /// Whether it should pass everywhere.
    pub(crate) portable: bool,
    pub(crate) times: Times,
    pub(crate) start: i128,
    pub(crate) unlimited: bool,
    pub(crate) limits: Vec<Limit>,
    pub(crate) steps: Vec<Step>,
}

/// How the times of a vector map to a clock, which has no time before zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) unit: i128,
    origin: i128,
}

/// One limit of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) id: Option<String>,
    pub(crate) capacity: i128,
    pub(crate) initial: Option<i128>,
    /// Permits per period; any JSON number, or text for "unlimited".
    pub(crate) refill_tokens: Value,
    /// In nanoseconds.
    pub(crate) refill_period: i128,
    pub(crate) style: String,
    /// On the clock.
    pub(crate) first_refill: Option<Timestamp>,
    pub(crate) adaptive_initial: bool,
}

/// One operation, and what upstream answers.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) t: Option<i128>,
    pub(crate) op: String,
    args: Value,
    pub(crate) expect: Option<Value>,
}

impl Vector {
    pub(crate) fn parse_all(json: &str) -> Vec<Self> {
        let all: Value = serde_json::from_str(json).expect("valid JSON");
        all.as_array().expect("a list").iter().map(Self::parse).collect()
    }

    fn parse(json: &Value) -> Self {
        let unit = match json["unit"].as_str() {
            Some("ns") => 1,
            Some("us") => 1_000,
            Some("ms") => 1_000_000,
            Some("s") => 1_000_000_000,
            other => panic!("unit {other:?} in {}", json["id"]),
        };
        let steps: Vec<Step> = list(&json["steps"]).map(Step::parse).collect();
        let start = integer(&json["config"]["start"]).unwrap_or(0);
        let first = steps.iter().filter_map(|step| step.t).min().unwrap_or(0);
        let times = Times { unit, origin: start.min(first).min(0) };
        Self {
            id: text(&json["id"]),
            project: text(&json["source"]["project"]),
            test: text(&json["source"]["test"]),
            portable: json["scope"].as_str().is_none_or(|scope| scope.starts_with("portable")),
            times,
            start,
            unlimited: json["config"]["unlimited"] == true,
            limits: list(&json["config"]["limits"])
                .map(|limit| Limit::parse(limit, times))
                .collect(),
            steps,
        }
    }
}

impl Times {
    /// A time of the vector on the clock.
    pub(crate) fn on_clock(self, t: i128) -> Timestamp {
        let nanos = (t - self.origin).saturating_mul(self.unit).max(0);
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A time of the clock as nanoseconds of the vector.
    pub(crate) fn of_clock(self, at: Timestamp) -> i128 {
        i128::from(at.as_nanos()) + self.origin * self.unit
    }
}

impl Limit {
    pub(crate) fn parse(json: &Value, times: Times) -> Self {
        Self {
            id: json["id"].as_str().map(str::to_owned),
            capacity: integer(&json["capacity"]).unwrap_or(0),
            initial: integer(&json["initial"]),
            refill_tokens: json["refill_tokens"].clone(),
            refill_period: integer(&json["refill_period"]).unwrap_or(0).saturating_mul(times.unit),
            style: json["style"].as_str().unwrap_or("greedy").to_owned(),
            first_refill: integer(&json["first_refill"]).map(|t| times.on_clock(t)),
            adaptive_initial: json["adaptive_initial"] == true,
        }
    }
}

impl Step {
    fn parse(json: &Value) -> Self {
        Self {
            t: integer(&json["t"]),
            op: text(&json["op"]),
            args: json.clone(),
            expect: json.get("expect").filter(|expect| !expect.is_null()).cloned(),
        }
    }

    /// An argument; `Null` if it is absent.
    pub(crate) fn arg(&self, name: &str) -> &Value {
        &self.args[name]
    }

    pub(crate) fn int(&self, name: &str) -> Option<i128> {
        integer(self.arg(name))
    }

    /// The first of several spellings of one argument that is there.
    pub(crate) fn int_of(&self, names: &[&str]) -> Option<i128> {
        names.iter().find_map(|name| self.int(name))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        *self.arg(name) == true
    }

    pub(crate) fn limits(&self, times: Times) -> Vec<Limit> {
        list(self.arg("limits")).map(|limit| Limit::parse(limit, times)).collect()
    }
}

/// A JSON integer of any 64-bit kind, or a float without a fractional part.
pub(crate) fn integer(json: &Value) -> Option<i128> {
    match json {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok()),
        Value::String(text) if text == "never" => Some(i128::from(i64::MAX)),
        _ => None,
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}
