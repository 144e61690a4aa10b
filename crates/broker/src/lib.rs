//! The application: the road of a message, and deliveries. Knows no transport.
