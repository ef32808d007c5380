//! The visitors of the shop.

use std::net::SocketAddr;

use reqwest::Method;
use tollgate_http::HttpLimiter;

use crate::http_client::Client;
use crate::serve::AnyError;
use crate::shop::PASSWORD;
use crate::table::{self, Row};

/// Somebody who sends requests to the shop.
pub(crate) struct Visitor {
    who: &'static str,
    client: Client,
}

impl Visitor {
    /// A user, who has a token.
    pub(crate) fn user(shop: &Client, name: &'static str) -> Result<Self, AnyError> {
        let client = shop.with("authorization", format!("Bearer token-of-{name}"))?;
        Ok(Self { who: name, client })
    }

    /// Somebody of whom only the address is known, as the proxy before the shop says it.
    pub(crate) fn at(shop: &Client, address: &'static str) -> Result<Self, AnyError> {
        let client = shop.with("x-forwarded-for", address)?;
        Ok(Self { who: address, client })
    }

    /// Sends `METHOD PATH` so many times.
    pub(crate) async fn asks(&self, times: usize, request: &'static str) -> Result<Row, AnyError> {
        self.asks_with(times, request, "").await
    }

    async fn asks_with(
        &self,
        times: usize,
        request: &'static str,
        body: &str,
    ) -> Result<Row, AnyError> {
        let (method, path) = request.split_once(' ').ok_or("a request is METHOD PATH")?;
        let method: Method = method.parse()?;
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(self.client.send(method.clone(), path, body.to_owned()).await?);
        }
        Ok(Row { who: self.who, request, answers })
    }
}

/// Visits the shop at `address`, prints what came back, and checks it.
pub(crate) async fn visit(address: SocketAddr, limiter: &HttpLimiter) -> Result<(), AnyError> {
    let shop = Client::of(address);
    let user = |name| Visitor::user(&shop, name);
    let at = |address| Visitor::at(&shop, address);

    // Permits come back meanwhile, so a slow machine sees a few more answers.
    let alice = user("alice")?.asks(12, "GET /items/7").await?.got(200, 10..=11);
    let bob = user("bob")?.asks(62, "GET /items/7").await?.got(200, 60..=61);
    let carol = user("carol")?.asks(100, "GET /items/7").await?.got(200, 100..=100);
    let exports = user("carol")?.asks(12, "POST /exports/1").await?.got(200, 10..=10);
    let dave = user("dave")?.asks(12, "POST /exports/1").await?.got(200, 12..=12);
    let nobody = at("192.0.2.1")?.asks(1, "POST /exports/1").await?.got(403, 1..=1);
    let right = at("192.0.2.2")?.asks_with(9, "POST /login", PASSWORD).await?.got(200, 9..=9);
    let wrong = at("192.0.2.3")?.asks_with(9, "POST /login", "123456").await?.got(401, 5..=5);
    let search = at("192.0.2.4")?.asks(9, "GET /search").await?.got(200, 9..=9);
    let insists = at("192.0.2.5")?.asks(25, "GET /items/7").await?.got(200, 10..=12);
    let network = at("203.0.113.9")?.asks(9, "GET /items/7").await?.got(200, 6..=7);
    let blocked = at("198.51.100.7")?.asks(1, "GET /items/7").await?.got(403, 1..=1);

    table::print(&[
        alice.note("free: 10 a minute"),
        bob.note("basic: 60 a minute"),
        carol.note("premium: 300 a minute"),
        exports.note("premium: 50 at once, an export costs 5"),
        dave.note("enterprise: no limit of exports"),
        nobody.note("exports are for users"),
        right.note("only failures count"),
        wrong.note("5 failures in 15 minutes"),
        search.note("a limit of 4 that only tells"),
        insists.note("went on in spite of refusals: a penalty"),
        network.note("an agreed rate for a network"),
        blocked.note("a blocked address"),
    ]);

    println!("\nThe last answer to alice:");
    alice.last().print();
    let few = search.count_text("10 results\n");
    println!("\nThe search answered less ({few} of 9 times) to a visitor close to a limit.");
    for limit in ["calls", "searches"] {
        println!("Most refused by `{limit}`:");
        for (key, refused) in limiter.most_limited(limit, 2) {
            println!("  {key}: {refused}");
        }
    }
    assert_eq!(few, 2);
    let wait: u32 = insists.last().field("retry-after").unwrap_or_default().parse()?;
    assert!((55..=60).contains(&wait), "a penalty takes a minute");
    Ok(())
}
