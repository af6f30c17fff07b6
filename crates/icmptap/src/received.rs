//! The result of a wait with a deadline.

/// The result of a wait with a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<T> {
    /// Something was received.
    Item(T),
    /// Nothing was received before the deadline.
    TimedOut,
    /// It was stopped; a subscription has returned all its items.
    Ended,
}
