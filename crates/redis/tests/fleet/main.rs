//! Two servers and a real Redis.

#[path = "../redis_server/mod.rs"]
mod redis_server;
#[path = "../../../../tests/sessions/site.rs"]
#[allow(dead_code, reason = "the sessions of one server need more of it")]
mod site;
#[path = "../../../../tests/support/mod.rs"]
mod support;

mod clients;
#[cfg(feature = "cluster")]
mod cluster;
mod outages;
mod processes;
mod resuming;
mod servers;
mod slow_link;
