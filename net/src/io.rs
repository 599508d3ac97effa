//! Players' connections: the threads that own them, and what they share with the tick threads.

pub(crate) mod connection;
pub(crate) mod flow;
pub(crate) mod handshake;
pub(crate) mod stream;
pub(crate) mod worker;
pub(crate) mod worker_queue;
