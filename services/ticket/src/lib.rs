//! kefu-ticket.

pub mod domain;
