//! What a wait with a deadline ends with.

/// What a wait with a deadline ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<T> {
    /// Something was received.
    Item(T),
    /// Nothing was there, and the deadline has passed.
    TimedOut,
    /// It was stopped. A subscription has handed out everything that came before.
    Ended,
}
