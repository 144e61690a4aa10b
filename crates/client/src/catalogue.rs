use wissel_proto::wissel::v1 as pb;

use crate::convert::next;
use crate::{Client, ClientError};

/// A file of the catalogue that a gateway has in force.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogueFile {
    /// Its name, as it lies beside or below the others.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl Client {
    /// The files of the catalogue in force, schemas and examples too, in the order of their
    /// names; for operators.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_GRANTED` for a party.
    pub async fn catalogue_files(&self) -> Result<Vec<CatalogueFile>, ClientError> {
        let mut answers = self
            .call(pb::GetCatalogueRequest {}, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.get_catalogue(request).await }
            })
            .await?;
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        while let Some(part) = next(&mut answers).await? {
            match files.last_mut() {
                Some((name, content)) if *name == part.name => {
                    content.extend_from_slice(&part.content);
                }
                _ => files.push((part.name, part.content.into())),
            }
        }
        let files = files.into_iter().map(|(name, content)| {
            let text = String::from_utf8(content);
            let text = text.map_err(|_| ClientError::protocol("a file that is not UTF-8"))?;
            Ok(CatalogueFile { name, text })
        });
        files.collect()
    }
}
