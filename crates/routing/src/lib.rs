//! Which subscriptions match a message: the index.
