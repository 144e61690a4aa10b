//! Starts a RabbitMQ of one's own, prints its URL, and keeps it until standard
//! input ends:
//!
//! ```sh
//! cargo run --package wissel-testkit --example rabbitmq
//! ```
#![expect(clippy::print_stdout, reason = "an example")]

use std::io::Read as _;

#[tokio::main]
async fn main() -> Result<(), wissel_testkit::TestkitError> {
    let rabbitmq = wissel_testkit::RabbitMq::start().await?;
    println!("{}", rabbitmq.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
