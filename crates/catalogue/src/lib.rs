//! Parties, event types and grants: files in, a checked model out.
