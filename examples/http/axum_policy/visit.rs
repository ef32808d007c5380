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
        Ok(Row { who: self.who, request, answers, note: "" })
    }
}

/// Visits the shop at `address`, prints what came back, and checks it.
pub(crate) async fn visit(address: SocketAddr, limiter: &HttpLimiter) -> Result<(), AnyError> {
    let shop = Client::of(address);
    let user = |name| Visitor::user(&shop, name);
    let at = |address| Visitor::at(&shop, address);
    let (alice, bob, carol, dave) = (user("alice")?, user("bob")?, user("carol")?, user("dave")?);

    let rows = [
        alice.asks(12, "GET /items/7").await?.note("free: 10 a minute"),
        bob.asks(62, "GET /items/7").await?.note("basic: 60 a minute"),
        carol.asks(100, "GET /items/7").await?.note("premium: 300 a minute"),
        carol.asks(12, "POST /exports/1").await?.note("premium: 50 at once, an export costs 5"),
        dave.asks(12, "POST /exports/1").await?.note("enterprise: no limit of exports"),
        at("192.0.2.1")?.asks(1, "POST /exports/1").await?.note("exports are for users"),
        at("192.0.2.2")?.asks_with(9, "POST /login", PASSWORD).await?.note("only failures count"),
        at("192.0.2.3")?.asks_with(9, "POST /login", "123456").await?.note("5 failures in 15 min"),
        at("192.0.2.4")?.asks(9, "GET /search").await?.note("a limit of 4 that only tells"),
        at("192.0.2.5")?.asks(25, "GET /items/7").await?.note("went on, so: a penalty"),
        at("203.0.113.9")?.asks(9, "GET /items/7").await?.note("an agreed rate for a network"),
        at("198.51.100.7")?.asks(1, "GET /items/7").await?.note("a blocked address"),
    ];
    table::print(&rows);

    let [
        alice,
        bob,
        carol,
        carol_exports,
        dave,
        nobody,
        right,
        wrong,
        search,
        insists,
        network,
        blocked,
    ] = &rows;
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

    // Permits come back meanwhile, so a slow machine sees a few more answers.
    assert!((10..12).contains(&alice.count(200)) && (60..62).contains(&bob.count(200)));
    assert_eq!((carol.count(200), carol_exports.count(200), dave.count(200)), (100, 10, 12));
    assert_eq!((nobody.count(403), blocked.count(403)), (1, 1));
    assert_eq!((right.count(200), wrong.count(401), wrong.count(429)), (9, 5, 4));
    assert_eq!((search.count(200), few), (9, 2));
    assert_eq!(insists.last().field("retry-after"), Some("60"));
    assert_eq!(network.count(200), 6);
    Ok(())
}
