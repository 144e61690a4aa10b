//! The files of the catalogue, on the wire.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tonic::Status;
use wissel_broker::{Broker, Caller};
use wissel_proto::wissel::v1 as pb;

use crate::answers::Answers;
use crate::status::to_status;

/// How much of a file goes into one answer.
const PART: usize = 1 << 20;

/// Sends what was read of the catalogue that is in force now, to its end.
pub(crate) async fn files(
    broker: Arc<Broker>,
    caller: Caller,
    answers: Answers<pb::GetCatalogueResponse>,
) -> Result<(), Status> {
    let catalogue = broker.catalogue_files(&caller).map_err(|refusal| to_status(&refusal))?;
    for (file, text) in catalogue.files_read() {
        for content in parts(text) {
            let answer = pb::GetCatalogueResponse { name: named(file), content };
            if answers.send(answer).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// An empty file is one part.
fn parts(text: &str) -> impl Iterator<Item = Bytes> {
    let count = text.len().div_ceil(PART).max(1);
    let part = |number| &text.as_bytes()[number * PART..text.len().min((number + 1) * PART)];
    (0..count).map(move |number| Bytes::copy_from_slice(part(number)))
}

fn named(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_comes_in_parts() {
        let sizes = |length| parts(&"x".repeat(length)).map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(sizes(0), [0]);
        assert_eq!(sizes(PART), [PART]);
        assert_eq!(sizes(2 * PART + 1), [PART, PART, 1]);
    }
}
