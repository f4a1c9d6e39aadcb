//! The daemon as a black box: webhooks in, messages out, and everything that can go wrong in between.

mod browser;
mod daemon;
mod held;
mod http;
mod payload;
mod sections;

mod acme;
mod commands;
mod delivery;
mod durability;
mod exec;
mod explain;
mod figures;
mod first_day;
mod gateway;
mod health;
mod heartbeat;
mod hostile;
mod intake;
mod life;
mod mistakes;
mod proxy;
mod reconnect;
mod recovery;
mod reload;
mod replay;
mod sending;
mod slips;
mod socket;
mod stop;
mod timing;
mod tls;
mod told;
mod troubles;
mod webhook;
