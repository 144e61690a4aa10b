//! Throw-away RabbitMQ nodes for tests.
