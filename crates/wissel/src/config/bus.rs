//! Which bus carries the messages.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Which bus carries the messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Bus {
    Embedded,
    Amqp(String),
}

impl TryFrom<String> for Bus {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "embedded" {
            Ok(Self::Embedded)
        } else if text.starts_with("amqp://") || text.starts_with("amqps://") {
            Ok(Self::Amqp(text))
        } else {
            Err("not a bus; expected `embedded`, or the URL of a RabbitMQ: amqp://host:5672/vhost"
                .into())
        }
    }
}

impl Serialize for Bus {
    /// Without the password.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Embedded => serializer.serialize_str("embedded"),
            Self::Amqp(url) => serializer.serialize_str(&masked(url)),
        }
    }
}

impl Bus {
    /// The URL with the password of the file put in, when there is one.
    pub(crate) fn with_password(url: &str, file: Option<&Path>) -> Result<String, Failure> {
        let Some(file) = file else { return Ok(url.to_owned()) };
        let password = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("bus_password_file {}: {error}", file.display()))
        })?;
        let parts = url.split_once("://").and_then(|(scheme, rest)| {
            let (user, host) = rest.split_once('@')?;
            Some((scheme, user, host))
        });
        let Some((scheme, user, host)) = parts else {
            return Err(Failure::usage(
                "bus_password_file: the bus URL names no user; expected amqp://user@host:5672/vhost",
            ));
        };
        let password = percent_encoded(password.trim_end_matches(['\r', '\n']));
        Ok(format!("{scheme}://{user}:{password}@{host}"))
    }
}

/// The bus of a demonstration: that of its argument, else that of WISSEL_DEMO_BUS. With the file of
/// its password, which WISSEL_DEMO_BUS_PASSWORD_FILE names. What is set for a gateway does not count:
/// a demonstration publishes, and takes what it finds in inboxes of its parties.
pub(crate) fn bus_of(argument: Option<&str>) -> Result<(Bus, Option<PathBuf>), Failure> {
    let password = std::env::var_os("WISSEL_DEMO_BUS_PASSWORD_FILE").map(PathBuf::from);
    let (whence, text) = match (argument, std::env::var("WISSEL_DEMO_BUS")) {
        (Some(bus), _) => {
            refuse_secret_in_argument(bus, DEMO_PLACES)?;
            ("--bus", bus.to_owned())
        }
        (None, Ok(bus)) => ("WISSEL_DEMO_BUS", bus),
        (None, Err(_)) => return Ok((Bus::Embedded, None)),
    };
    let bus = Bus::try_from(text);
    Ok((bus.map_err(|fault| Failure::usage(format!("{whence}: {fault}")))?, password))
}

/// Where the password of a gateway's bus may stand.
pub(crate) const PLACES: &str = "the file that bus_password_file (WISSEL_BUS_PASSWORD_FILE) names, \
                                 the configuration file, or WISSEL_BUS";
const DEMO_PLACES: &str =
    "the file that WISSEL_DEMO_BUS_PASSWORD_FILE names, or in WISSEL_DEMO_BUS with the URL";

/// Arguments can be read by every user of a machine. `places` says where a password may stand.
pub(crate) fn refuse_secret_in_argument(bus: &str, places: &str) -> Result<(), Failure> {
    if masked(bus) == bus {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--bus: the URL holds a password, which other users of this machine can read; put it in \
         {places}"
    )))
}

/// The URL, its password replaced.
pub(crate) fn masked(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let (user, host) = rest.split_once('@')?;
        let (name, _password) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}"))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_and_refused_in_arguments() {
        assert_eq!(masked("amqp://u:secret@h:5672/v"), "amqp://u:***@h:5672/v");
        assert_eq!(masked("amqp://u@h/v"), "amqp://u@h/v");
        assert!(refuse_secret_in_argument("amqp://u:secret@h/v", PLACES).is_err());
        assert!(refuse_secret_in_argument("amqp://h/v", PLACES).is_ok());
    }

    #[test]
    fn the_bus_of_a_command_is_that_of_its_argument() {
        let (bus, _) = bus_of(Some("amqp://u@h/v")).unwrap();
        assert_eq!(bus, Bus::Amqp("amqp://u@h/v".to_owned()));
        assert!(bus_of(Some("amqp://u:secret@h/v")).is_err());
        let refused = bus_of(Some("kafka://h")).unwrap_err();
        assert!(refused.message().starts_with("--bus: not a bus"), "{refused}");
    }

    #[test]
    fn a_password_of_a_file_is_put_in() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "p@ss/word\n").unwrap();
        let url = Bus::with_password("amqp://u@h:5672/v", Some(file.path())).unwrap();
        assert_eq!(url, "amqp://u:p%40ss%2Fword@h:5672/v");
    }

    #[test]
    fn unknown_buses_are_refused() {
        assert!(Bus::try_from("kafka://x".to_owned()).is_err());
    }
}
