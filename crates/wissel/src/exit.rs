//! How a command ends.

use std::fmt::Display;
use std::process::ExitCode;

use wissel_client::ClientError;

use crate::client;

/// Why a command failed, and with which exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// What was asked was refused, or did not succeed.
    pub(crate) fn refused(message: impl Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// Arguments, configuration or input are wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// The broker, or what it needs, cannot be reached.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }

    /// Something that should not happen.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string() }
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same may succeed later.
    pub(crate) fn is_for_now(&self) -> bool {
        self.code == 3
    }

    #[expect(clippy::print_stderr, reason = "the last word of a command line program")]
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::InvalidArgument { .. } => Self::usage(error),
            ClientError::WrongEndpoint { message } => {
                Self::unavailable(format!("{}: {message}", client::called()))
            }
            ClientError::Untrusted { message, by_unknown: true } => Self::refused(format!(
                "{}: its certificate is not trusted here: {message}; give the authority that \
                 signed it by --ca or WISSEL_CA",
                client::called()
            )),
            ClientError::NotPublished { reason } | ClientError::MayBePublished { reason } => {
                Self::from((**reason).clone())
            }
            error if error.is_retryable() => Self::unavailable(error),
            _ => Self::refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_gateway_cannot_be_reached() {
        let failure = Failure::from(ClientError::WrongEndpoint { message: "is no gateway" });
        assert!(failure.is_for_now(), "exit code 3");
        assert!(failure.message().ends_with(": is no gateway"), "{failure}");
    }

    #[test]
    fn who_does_not_trust_a_gateway_is_told_what_to_give() {
        let message = "invalid peer certificate: UnknownIssuer".to_owned();
        let failure = Failure::from(ClientError::Untrusted { message, by_unknown: true });
        assert!(failure.message().ends_with("by --ca or WISSEL_CA"), "{failure}");
        let message = "invalid peer certificate: Expired".to_owned();
        let failure = Failure::from(ClientError::Untrusted { message, by_unknown: false });
        assert!(failure.message().ends_with("Expired"), "{failure}");
    }
}
