//! A server with a limit of so many requests as its argument says, for a test that needs more open
//! files than one process may have. It prints its address and runs until it is killed;
//! `GET /served` tells how many requests its handler has served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpSocket;
use tollgate_http::RateLimitLayer;
use tollgate_http_network_tests::limiter;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let permits = std::env::args().nth(1).expect("how many requests");
    let policy = format!("always = [\"calls\"]\n[limits.calls]\nquota = \"1/day burst {permits}\"");
    let served = Arc::new(AtomicU64::new(0));
    let serve = {
        let served = Arc::clone(&served);
        move || async move { served.fetch_add(1, Ordering::Relaxed).to_string() }
    };
    let router = Router::new()
        .route("/", get(serve))
        .layer(RateLimitLayer::new(limiter(&policy)))
        .route("/served", get(move || async move { served.load(Ordering::Relaxed).to_string() }));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let listener = socket.listen(4096).expect("a listener");
    println!("{}", listener.local_addr().expect("its address"));
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, service).await.expect("it serves for ever");
}
