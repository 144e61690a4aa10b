use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, TryStreamExt as _};

use crate::ClientError;

/// A list that fetches its pages as it is read.
#[must_use = "a listing asks nothing until it is read"]
pub struct Listing<T> {
    items: BoxStream<'static, Result<T, ClientError>>,
}

/// One page, and the token of the next.
pub(crate) type Page<T> = (Vec<T>, String);

impl<T: Send + 'static> Listing<T> {
    /// A listing over `page`, which is given a page token (empty at first).
    pub(crate) fn new<F>(page: impl Fn(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Page<T>, ClientError>> + Send + 'static,
    {
        let first = Some(String::new());
        let pages = futures::stream::try_unfold((first, page), |(token, page)| async move {
            let Some(token) = token else {
                return Ok::<_, ClientError>(None);
            };
            let (items, next) = page(token).await?;
            let next = Some(next).filter(|token| !token.is_empty());
            let items = futures::stream::iter(items.into_iter().map(Ok));
            Ok(Some((items, (next, page))))
        });
        Self { items: Box::pin(pages.try_flatten()) }
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// When a page cannot be fetched.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        self.items.try_next().await
    }

    /// Everything that is left.
    ///
    /// # Errors
    /// When a page cannot be fetched.
    pub async fn all(self) -> Result<Vec<T>, ClientError> {
        self.items.try_collect().await
    }
}

impl<T> Stream for Listing<T> {
    type Item = Result<T, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}
