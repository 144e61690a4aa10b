//! The bus that carries the messages.

use std::fs::{File, TryLockError};

use wissel_bus_amqp::{Probe, Server, probe};

use super::finding::Findings;
use super::mend;
use crate::config::{Bus, Config};

/// Whether the directory of the embedded bus can be opened by a gateway.
pub(super) fn embedded(config: &Config) -> Findings {
    let mut found = Findings::of("bus");
    let lock = config.data_dir.join("bus/lock");
    let shown = config.data_dir.display();
    let Ok(file) = File::open(&lock) else {
        found.note(format!("embedded, in {shown}: it is made when a gateway starts first"));
        return found;
    };
    match file.try_lock_shared() {
        Ok(()) => found.ok(format!("embedded, in {shown}: nobody has it open")),
        Err(TryLockError::WouldBlock) => found.warning(
            format!("{}: a gateway has it open", lock.display()),
            "right when yours runs, which --server looks at; a second one does not start here",
            format!("fuser -v {}", lock.display()),
        ),
        Err(TryLockError::Error(error)) => found.error(
            format!("{}: cannot be locked: {error}", lock.display()),
            "put the data directory on a local file system",
            format!("findmnt --target {shown}"),
        ),
    }
    found
}

/// Whether Wissel is tried on what the server says that it is.
fn version(server: Option<&Server>, found: &mut Findings) {
    let (major, minor) = Server::OLDEST;
    match server {
        Some(server) if server.is_supported() => {
            found.ok(format!("it is {} {}", server.product, server.version));
        }
        Some(server) => found.warning(
            format!("it is {} {}, on which nothing was tried", server.product, server.version),
            format!("use RabbitMQ {major}.{minor} or later"),
            "rabbitmqctl version",
        ),
        None => found.note("it does not say which version it is"),
    }
}

/// Whether RabbitMQ answers, lets us in, and takes messages.
pub(super) async fn rabbitmq(config: &Config) -> Findings {
    let mut found = Findings::of("bus");
    let Bus::Amqp(url) = &config.bus else { return found };
    let url = match Bus::with_password(url, config.bus_password_file.as_deref()) {
        Ok(url) => url,
        Err(failure) => {
            let advice = "put RabbitMQ's password in that file, for the gateway's user only";
            let told = config.origins.told(failure.message());
            found.error(told, advice, mend::show(config.origins.file()));
            return found;
        }
    };
    let whence = config.origins.of("bus");
    match probe(&url).await {
        Probe::Passed(server) => {
            found.ok("RabbitMQ answers, lets us use queues wissel.…, and takes messages");
            version(server.as_ref(), &mut found);
            found.note("AMQP does not tell RabbitMQ's free disk, or its clock: ask its node");
        }
        Probe::NotConnected(fault) => found.error(
            format!("RabbitMQ cannot be reached, or does not let us in: {fault}"),
            format!(
                "see whether it runs where `bus` ({whence}) says, and knows this user, password and \
                 virtual host"
            ),
            "rabbitmq-diagnostics listeners; rabbitmqctl list_vhosts; rabbitmqctl list_users",
        ),
        Probe::NotAllowed(fault) => found.error(
            format!("RabbitMQ does not let this user make and use queues: {fault}"),
            format!("give it the names that Wissel uses, for USER and VHOST of `bus` ({whence})"),
            "rabbitmqctl set_permissions -p VHOST USER '^wissel\\.' '^(wissel\\.|amq\\.default$)' '^wissel\\.'",
        ),
        Probe::Blocked(reason) => found.error(
            format!("RabbitMQ takes no messages: {reason}"),
            "it has an alarm; give it disk or memory",
            "rabbitmq-diagnostics alarms",
        ),
        other => found.error(
            format!("{whence}: bus: {other:?}"),
            "say where RabbitMQ is: amqp://user@host:5672/vhost",
            mend::change(&config.origins, "bus"),
        ),
    }
    found
}
