//! What the archive keeps, on the wire.

use std::sync::Arc;
use std::time::SystemTime;

use tonic::Status;
use wissel_broker::{ArchivePart, ArchivedType, Broker, Caller, Refusal};
use wissel_proto::wissel::v1 as pb;

use crate::answers::Answers;
use crate::fields::{moment, timestamp};
use crate::status::to_status;

/// Looks at the archive, and tells how far it is. Who does not read misses some of that.
pub(crate) async fn survey(
    broker: Arc<Broker>,
    caller: Caller,
    asked: pb::SurveyArchiveRequest,
    answers: Answers<pb::SurveyArchiveResponse>,
) -> Result<(), Status> {
    let refuse = |refusal: Refusal| to_status(&refusal);
    let part = read_part(asked).map_err(refuse)?;
    let told = answers.clone();
    let progress = move |examined| {
        let _ = told.try_send(pb::SurveyArchiveResponse { examined, types: Vec::new() });
    };
    let (examined, types) = tokio::select! {
        surveyed = broker.survey_archive(&caller, part, progress) => surveyed.map_err(refuse)?,
        () = answers.closed() => return Ok(()),
    };
    let types = types.into_iter().map(write_type).collect();
    let _ = answers.send(pb::SurveyArchiveResponse { examined, types }).await;
    Ok(())
}

fn read_part(asked: pb::SurveyArchiveRequest) -> Result<ArchivePart, Refusal> {
    Ok(ArchivePart {
        from: moment("from", asked.from, SystemTime::UNIX_EPOCH)?,
        until: moment("until", asked.until, SystemTime::now())?,
        types: asked.types,
    })
}

fn write_type(one: ArchivedType) -> pb::ArchivedType {
    let (first, last) = one.admitted;
    pb::ArchivedType {
        r#type: one.event_type,
        messages: one.messages,
        bytes: one.bytes,
        first_at: timestamp(first),
        last_at: timestamp(last),
    }
}
