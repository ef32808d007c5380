//! Real proxies in front of a real server, with the files of `deploy/` in which only ports, paths,
//! deadlines and what happens while tollgate does not answer are replaced. Clients have the
//! addresses 127.0.0.2, 127.0.0.3 and so on, and the proxy has 127.0.0.1.

mod backend;
mod caddy;
mod haproxy;
mod nginx;
#[path = "../support/redis.rs"]
mod redis;
mod scene;
#[path = "../support/service.rs"]
mod service;
mod suite;
mod traefik;
