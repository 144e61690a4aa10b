use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What the caller proves itself with: sent as `authorization: Bearer <token>`.
/// Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no token: {message}")]
pub struct TokenError {
    message: String,
    is_temporary: bool,
}

/// Gives the token for each call and each opening of a stream; it may change. A stream ends when
/// the token ends that it was opened with, and is opened again with the next, once.
///
/// An implementation that fetches tokens keeps the one it has until that is about
/// to expire: it is asked often.
#[async_trait]
pub trait TokenProvider: Send + Sync + 'static {
    /// The token to call with now.
    ///
    /// # Errors
    /// Why there is none.
    async fn token(&self) -> Result<Token, TokenError>;
}

// === impl Token ===

impl Token {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Token {
    fn from(token: T) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

impl TokenError {
    /// With what went wrong; never put the token in it. It ends what was to be
    /// called.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_temporary: false }
    }

    /// As [`TokenError::new`], but there may be a token later: calls are repeated,
    /// and streams opened again, as when the gateway is unavailable.
    #[must_use]
    pub fn temporary(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_temporary: true }
    }

    /// Whether there may be a token later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

/// The same token for ever.
pub(crate) struct FixedToken(pub(crate) Token);

#[async_trait]
impl TokenProvider for FixedToken {
    async fn token(&self) -> Result<Token, TokenError> {
        Ok(self.0.clone())
    }
}

/// A token in a file, read again every now and then so that it can be replaced.
pub(crate) struct FileToken {
    path: PathBuf,
    kept_for: Duration,
    last_read: Mutex<Option<(Instant, Token)>>,
}

impl FileToken {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, kept_for: Duration::from_secs(5), last_read: Mutex::new(None) }
    }

    async fn read(&self) -> Result<Token, String> {
        let path = self.path.display();
        let text = tokio::fs::read_to_string(&self.path)
            .await
            .map_err(|error| format!("{path}: {error}"))?;
        let token = text.trim();
        if token.is_empty() {
            return Err(format!("{path}: expected a token, the file is empty"));
        }
        Ok(token.into())
    }
}

#[async_trait]
impl TokenProvider for FileToken {
    async fn token(&self) -> Result<Token, TokenError> {
        let mut last_read = self.last_read.lock().await;
        if let Some((moment, token)) = &*last_read
            && moment.elapsed() < self.kept_for
        {
            return Ok(token.clone());
        }
        // A file that was there before is being replaced.
        let was_there = last_read.is_some();
        let token =
            self.read().await.map_err(|message| TokenError { message, is_temporary: was_there })?;
        *last_read = Some((Instant::now(), token.clone()));
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let token: Token = "dev.00000001002220647000".into();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
    }

    #[tokio::test]
    async fn a_file_is_read_again_after_a_while() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut provider = FileToken::new(file.path().to_owned());
        let empty = provider.token().await.unwrap_err();
        assert!(!empty.is_temporary());

        std::fs::write(file.path(), "first\n").unwrap();
        assert_eq!(provider.token().await.unwrap().expose(), "first");
        std::fs::write(file.path(), "second\n").unwrap();
        assert_eq!(provider.token().await.unwrap().expose(), "first");
        provider.kept_for = Duration::ZERO;
        assert_eq!(provider.token().await.unwrap().expose(), "second");
        std::fs::write(file.path(), "").unwrap();
        let replaced = provider.token().await.unwrap_err();
        assert!(replaced.is_temporary());
    }
}
