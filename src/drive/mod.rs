//! Drivers: an engine, a wire, and the threads that wait.

mod turn;
