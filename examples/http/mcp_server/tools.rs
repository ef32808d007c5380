//! The tools. None of them knows of limits, but the one whose purpose that is.

use axum::http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{ErrorData, ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_http::{Caller, Facts, HttpLimiter};

use crate::tool_path;

#[derive(Clone)]
pub(crate) struct Tools {
    limiter: HttpLimiter,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// The name of a town.
    town: String,
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// What to find out.
    question: String,
}

#[tool_router]
impl Tools {
    pub(crate) fn new(limiter: HttpLimiter) -> Self {
        Self { limiter }
    }

    #[tool(description = "The weather in a town")]
    async fn weather(&self, Parameters(place): Parameters<Place>) -> String {
        format!("It rains in {}.", place.town)
    }

    #[tool(
        description = "Reads many pages to answer a question; costs as much as five other calls"
    )]
    async fn research(&self, Parameters(question): Parameters<Question>) -> String {
        format!("Many pages were read about: {}", question.question)
    }

    #[tool(
        description = "How many calls of each tool are left to you, and until when; costs nothing"
    )]
    async fn rate_limit_status(
        &self,
        Extension(parts): Extension<Parts>,
    ) -> Result<CallToolResult, ErrorData> {
        let caller = parts.extensions.get::<Caller>();
        let caller = caller.ok_or_else(|| ErrorData::internal_error("nobody has called", None))?;
        let tools: Value = ["weather", "research"]
            .into_iter()
            .map(|tool| json!({ "tool": tool, "limits": self.limits(caller, tool) }))
            .collect();
        Ok(CallToolResult::structured(json!({ "tier": caller.tier_name(), "tools": tools })))
    }

    /// The limits that a call of a tool would meet now.
    fn limits(&self, caller: &Caller, tool: &str) -> Option<Value> {
        let path = tool_path::of(tool)?;
        let facts = Facts::new("POST", &path).caller(caller);
        let explanation = self.limiter.explain(&facts)?;
        let limits = explanation.limits().filter(|limit| !limit.quota().is_unlimited());
        let limits = limits.map(|limit| {
            json!({
                "limit": limit.name(),
                "quota": limit.quota().to_string(),
                "cost": limit.cost(),
                "calls_left": limit.remaining() / limit.cost().max(1),
                "all_back_in": format!("{} s", limit.reset_after().as_secs()),
            })
        });
        Some(limits.collect())
    }
}

#[tool_handler]
impl ServerHandler for Tools {}
