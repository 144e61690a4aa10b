//! Control-plane state: subscriptions and inboxes, in SQLite.
