use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{Refusal, TokenError};

/// What can go wrong between a caller and the gateway.
///
/// [`ClientError::is_retryable`] says whether the same call may succeed later.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The gateway refused, with a reason to act on. Sending the same again gives
    /// the same answer.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The gateway, or the bus behind it, takes nothing at the moment, or not this much.
    #[error("unavailable: {0}")]
    Unavailable(Refusal),
    /// The connection could not be made, or it broke.
    #[error("the connection to the gateway failed: {message}")]
    Transport {
        /// What the transport says.
        message: String,
    },
    /// What answers at the endpoint is no gateway, or the endpoint has the wrong scheme. It is
    /// tried again, as it may be what stands before a gateway that starts.
    #[error("endpoint: {message}")]
    WrongEndpoint {
        /// What is wrong with it, and what was expected.
        message: &'static str,
    },
    /// The client does not trust the gateway's certificate: it is signed by none of
    /// [`ClientBuilder::authorities`](crate::ClientBuilder::authorities), has another name, or
    /// is over. Trying again does not help.
    #[error("the client does not trust the gateway's certificate: {message}{}", advice(*by_unknown))]
    Untrusted {
        /// What TLS says.
        message: String,
        /// Whether none of the authorities that the client was given signed it.
        by_unknown: bool,
    },
    /// The gateway does not trust the client's certificate. Trying again does not help.
    #[error("the gateway does not trust the client's certificate: {message}")]
    CertificateRefused {
        /// What TLS says.
        message: String,
    },
    /// There was no answer in time. What was asked may have been done.
    #[error("no answer within {after:?}{}", before.as_ref().map(|before| format!("; before that: {before}")).unwrap_or_default())]
    DeadlineExceeded {
        /// How long was waited.
        after: Duration,
        /// What the attempt before the last failed of.
        before: Option<String>,
    },
    /// Of a [`Publisher`](crate::Publisher): nothing of this message was published, which is
    /// certain. It was never sent, or every answer said that nothing of it was kept.
    #[error("{reason}")]
    NotPublished {
        /// What the last attempt failed of.
        reason: Box<ClientError>,
    },
    /// Of a [`Publisher`](crate::Publisher): this message was sent, and of some attempt it is not
    /// known what came. Publishing it again with the same `source` and `id` is safe.
    #[error("{reason}")]
    MayBePublished {
        /// What the last attempt failed of.
        reason: Box<ClientError>,
    },
    /// The gateway said something that the API does not allow; the versions of
    /// client and gateway may not fit.
    #[error("unexpected answer of the gateway: {message}")]
    Protocol {
        /// What was found, and what was expected.
        message: String,
    },
    /// The delivery is no longer held: its lease ended, or the stream that it
    /// came by was lost. It comes again.
    #[error("delivery {delivery_id} is no longer held; it comes again")]
    LeaseLost {
        /// The delivery's id on its stream.
        delivery_id: u64,
    },
    /// The publisher or the inbox has been closed or dropped.
    #[error("closed")]
    Closed,
    /// An argument is wrong; nothing was sent.
    #[error("{argument}: {message}")]
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it, and what was expected.
        message: String,
    },
    /// There is no token to call with.
    #[error("{0}")]
    Token(#[from] TokenError),
}

/// What rustls says when it does not accept the gateway's certificate. Its errors come wrapped
/// many times, so that only their text is to be had.
const UNTRUSTED: &str = "invalid peer certificate";

/// What it says then when the authority is unknown, or only has the name of one that is known.
const UNKNOWN_AUTHORITY: [&str; 2] = ["UnknownIssuer", "BadSignature"];

/// What it says when the gateway does not accept ours.
const CERTIFICATE_REFUSED: [&str; 6] = [
    "received fatal alert: BadCertificate",
    "received fatal alert: Certificate",
    "received fatal alert: UnknownCA",
    "received fatal alert: UnsupportedCertificate",
    "received fatal alert: AccessDenied",
    "received fatal alert: DecryptError",
];

/// What is said when a connection breaks that does not speak as we do, and what is wrong then.
const WRONG_SCHEME: [(&str, &str); 2] = [
    // Of rustls: what came first is no record of TLS.
    ("received corrupt message of type InvalidContentType", "speaks no TLS; use http://"),
    // Of h2: a record of TLS, or HTTP/1.1, read as a frame, is longer than any may be.
    (
        "connection error detected: frame with invalid size",
        "speaks TLS (use https://), or is no gateway (expected the address of `listen`)",
    ),
];

/// What is said deep within when a connection is not made, or breaks, and what that means. What
/// stands around it tells of libraries, and helps nobody who uses them by way of us.
const BROKEN: [(&str, &str); 7] = [
    ("Connection refused", "nothing listens there (connection refused)"),
    // Of rustls: the other end said nothing of an end.
    ("close_notify", "it broke: the other end closed it without a word"),
    ("Connection reset", "it broke: the other end reset it"),
    ("Broken pipe", "it broke: the other end had closed it"),
    // Of h2: it ended within a frame, or between them.
    ("unexpected end of file", "it broke: the other end closed it without a word"),
    ("stream closed because of a broken pipe", "it broke: the other end had closed it"),
    ("keep-alive timed out", "it broke: the other end was not heard of any more"),
];

/// What tonic says of an answer that is not gRPC, and never of one by a gateway.
const NO_GRPC: (&str, &str) = (
    "protocol error: received message with invalid compression flag: ",
    "while receiving response with status: ",
);

/// What it says of an answer by HTTP alone, and what it then makes of the status: one of these
/// codes for 404, 400 and most others. The others say who may not call, or that it may be tried
/// again, and may come of what stands before a gateway.
const HTTP_ONLY: &str = "grpc-status header missing, mapped from HTTP status code ";
const HTTP_ONLY_CODES: [Code; 3] = [Code::Unimplemented, Code::Internal, Code::Unknown];

// === impl ClientError ===

impl ClientError {
    /// Whether the same call may succeed later: the gateway was unavailable, the connection
    /// failed or was to something else, there was no answer in time, or no token for now.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_)
            | Self::Transport { .. }
            | Self::WrongEndpoint { .. }
            | Self::DeadlineExceeded { .. } => true,
            Self::Token(error) => error.is_temporary(),
            Self::NotPublished { reason } | Self::MayBePublished { reason } => {
                reason.is_retryable()
            }
            _ => false,
        }
    }

    /// The gateway's refusal, when it is one, or of one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::Unavailable(refusal) => Some(refusal),
            Self::NotPublished { reason } | Self::MayBePublished { reason } => reason.refusal(),
            _ => None,
        }
    }

    /// Whether the gateway does not know, or no longer, who calls.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == Code::Unauthenticated)
    }

    /// How long the gateway asks to wait, within reason.
    pub(crate) fn retry_after(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let asked_for = self.refusal().and_then(|refusal| refusal.retry_after);
        asked_for.unwrap_or_default().min(LONGEST)
    }

    pub(crate) fn invalid(argument: &'static str, message: impl Into<String>) -> Self {
        Self::InvalidArgument { argument, message: message.into() }
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::Protocol { message: message.into() }
    }

    pub(crate) fn not_published(reason: Self) -> Self {
        Self::NotPublished { reason: Box::new(reason) }
    }

    pub(crate) fn may_be_published(reason: Self) -> Self {
        Self::MayBePublished { reason: Box::new(reason) }
    }

    /// The gateway ended a stream that should have gone on.
    pub(crate) fn stream_ended() -> Self {
        Self::Transport { message: "the gateway ended the stream".to_owned() }
    }

    /// Sorts a gRPC status. Only what came from this side of the connection has a
    /// source, so a source means that the transport failed.
    pub(crate) fn from_status(status: &Status) -> Self {
        if status.source().is_some() {
            return Self::from_transport(with_causes(status.message().to_owned(), status));
        }
        let said = status.message();
        let is_no_grpc = status.code() == Code::Internal
            && said.starts_with(NO_GRPC.0)
            && said.contains(NO_GRPC.1);
        let is_http_only = HTTP_ONLY_CODES.contains(&status.code()) && said.starts_with(HTTP_ONLY);
        if is_no_grpc || is_http_only {
            let message = "what answers there is no gateway (its console, perhaps); expected the \
                           address of `listen`";
            return Self::WrongEndpoint { message };
        }
        let refusal = Refusal::new(status.code(), status.message(), &status.get_error_details());
        refusal.into()
    }

    /// Sorts what a transport says when it fails.
    fn from_transport(message: String) -> Self {
        let wrong = WRONG_SCHEME.into_iter().find(|(said, _)| message.contains(said));
        if let Some((_, message)) = wrong {
            Self::WrongEndpoint { message }
        } else if message.contains(UNTRUSTED) {
            let by_unknown = UNKNOWN_AUTHORITY.iter().any(|said| message.contains(said));
            Self::Untrusted { message, by_unknown }
        } else if CERTIFICATE_REFUSED.iter().any(|said| message.contains(said)) {
            Self::CertificateRefused { message }
        } else {
            let known = BROKEN.into_iter().find(|(said, _)| message.contains(said));
            let message = known.map_or(message, |(_, meaning)| meaning.to_owned());
            Self::Transport { message }
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        let is_without_reason = refusal.reason.is_empty();
        match refusal.code {
            _ if refusal.is_for_now() => Self::Unavailable(refusal),
            // A gateway gives its reasons. Without one, these codes are those of
            // a gRPC library that could not make sense of the other side.
            Code::Ok
            | Code::Unknown
            | Code::Internal
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
                if is_without_reason =>
            {
                Self::protocol(refusal.to_string())
            }
            _ => Self::Refused(refusal),
        }
    }
}

fn advice(by_unknown: bool) -> &'static str {
    if by_unknown { "; expected one signed by one of `ClientBuilder::authorities`" } else { "" }
}

/// What an error says, and everything that caused it, each said once.
pub(crate) fn with_causes(mut text: String, error: &dyn std::error::Error) -> String {
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // The second is what tonic calls all of them.
        if !text.contains(&said) && said != "transport error" {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn details_of_a_status_are_read() {
        let mut details = ErrorDetails::with_error_info("INVALID_MESSAGE", "wissel", []);
        details.add_bad_request_violation("source", "is empty");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let status = Status::with_error_details(Code::InvalidArgument, "wrong", details);

        let error = ClientError::from_status(&status);
        assert!(!error.is_retryable());
        assert_eq!(error.retry_after(), Duration::from_secs(3));
        assert_eq!(error.to_string(), "refused: INVALID_MESSAGE: wrong");
        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.code, Code::InvalidArgument);
        assert_eq!(refusal.violations[0].field, "source");
        assert_eq!(refusal.violations[0].description, "is empty");
    }

    #[test]
    fn a_status_is_sorted_by_where_it_came_from() {
        let refused = Status::internal("broken");
        assert!(matches!(ClientError::from_status(&refused), ClientError::Protocol { .. }));

        let unavailable = Status::unavailable("later");
        assert!(matches!(ClientError::from_status(&unavailable), ClientError::Unavailable(_)));

        let cause = std::io::Error::other("reset by peer");
        let transport = Status::from_error(Box::new(cause));
        let error = ClientError::from_status(&transport);
        assert!(error.is_retryable());
        assert_eq!(error.to_string(), "the connection to the gateway failed: reset by peer");
    }

    #[test]
    fn a_connection_that_broke_is_told_in_few_words() {
        for (said, expected) in [
            (
                "h2 protocol error: error reading a body from connection: peer closed connection \
                 without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/manual",
                "it broke: the other end closed it without a word",
            ),
            (
                "tcp connect error: Connection refused (os error 111)",
                "nothing listens there (connection refused)",
            ),
        ] {
            let cause = std::io::Error::other(said);
            let error = ClientError::from_status(&Status::from_error(Box::new(cause)));
            let told = format!("the connection to the gateway failed: {expected}");
            assert_eq!((error.to_string(), error.is_retryable()), (told, true));
        }
    }

    #[test]
    fn what_is_no_gateway_is_told_from_one_that_fails() {
        let flag = "protocol error: received message with invalid compression flag: 72 (valid \
                    flags are 0 and 1)";
        let answer =
            format!("{flag} while receiving response with status: 421 Misdirected Request");
        let error = ClientError::from_status(&Status::internal(answer));
        let expected = "endpoint: what answers there is no gateway (its console, perhaps); expected \
                        the address of `listen`";
        assert_eq!(error.to_string(), expected);
        assert!(error.is_retryable());

        let only = "grpc-status header missing, mapped from HTTP status code";
        let missing = ClientError::from_status(&Status::unimplemented(format!("{only} 404")));
        assert_eq!(missing.to_string(), expected);
        let proxy = ClientError::from_status(&Status::unavailable(format!("{only} 503")));
        assert!(matches!(proxy, ClientError::Unavailable(_)), "{proxy:?}");
        let gateway = ClientError::from_status(&Status::unimplemented("unknown method"));
        assert!(matches!(gateway, ClientError::Protocol { .. }), "{gateway:?}");

        // Said by a gateway of what it was sent.
        let request =
            ClientError::from_status(&Status::internal(format!("{flag}, while sending request")));
        assert!(matches!(request, ClientError::Protocol { .. }), "{request:?}");
    }

    #[test]
    fn who_does_not_trust_whom_is_told() {
        let of = |said: &str| {
            let cause = std::io::Error::other(said.to_owned());
            ClientError::from_status(&Status::from_error(Box::new(cause)))
        };
        let ours = of("invalid peer certificate: UnknownIssuer");
        assert_eq!(
            ours.to_string(),
            "the client does not trust the gateway's certificate: invalid peer certificate: \
             UnknownIssuer; expected one signed by one of `ClientBuilder::authorities`"
        );
        let other = of("invalid peer certificate: Expired").to_string();
        assert!(other.ends_with("Expired"), "{other}");
        let theirs = of("received fatal alert: UnknownCA");
        assert!(matches!(theirs, ClientError::CertificateRefused { .. }), "{theirs:?}");
        let neither = of("received fatal alert: HandshakeFailure");
        assert!(matches!(neither, ClientError::Transport { .. }), "{neither:?}");
    }
}
