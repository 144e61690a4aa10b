use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};
use uuid::Uuid;
use wissel_broker::Refusal;
use wissel_exchange::{Filing, Signal};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::matching_server::Matching;

use crate::calls::Calls;
use crate::fields::{TOKEN_EXPECTED, cut_page, invalid, one_more, page_size, timestamp};

pub(crate) struct MatchingService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Matching for MatchingService {
    async fn file_signal(
        &self,
        request: Request<pb::FileSignalRequest>,
    ) -> Result<Response<pb::FileSignalResponse>, Status> {
        let exchange = &self.0.exchange;
        let file = |caller, asked: pb::FileSignalRequest| async move {
            let filed = exchange.file_signal(&caller, read(asked)?).await?;
            Ok(pb::FileSignalResponse {
                signal_id: filed.id.to_string(),
                expires_at: timestamp(filed.expires_at),
            })
        };
        self.0.answer("FileSignal", request, file).await
    }

    async fn withdraw_signal(
        &self,
        request: Request<pb::WithdrawSignalRequest>,
    ) -> Result<Response<pb::WithdrawSignalResponse>, Status> {
        let exchange = &self.0.exchange;
        let withdraw = |caller, asked: pb::WithdrawSignalRequest| async move {
            exchange.withdraw_signal(&caller, signal_id(&asked.signal_id)?).await?;
            Ok(pb::WithdrawSignalResponse {})
        };
        self.0.answer("WithdrawSignal", request, withdraw).await
    }

    async fn transfer_signal(
        &self,
        request: Request<pb::TransferSignalRequest>,
    ) -> Result<Response<pb::TransferSignalResponse>, Status> {
        let exchange = &self.0.exchange;
        let transfer = |caller, asked: pb::TransferSignalRequest| async move {
            let pb::TransferSignalRequest { signal_id: id, to, reference } = asked;
            let to =
                to.parse().map_err(|error| invalid("to", format!("{error}; expected an OIN")))?;
            exchange.transfer_signal(&caller, signal_id(&id)?, to, &reference).await?;
            Ok(pb::TransferSignalResponse {})
        };
        self.0.answer("TransferSignal", request, transfer).await
    }

    async fn list_signals(
        &self,
        request: Request<pb::ListSignalsRequest>,
    ) -> Result<Response<pb::ListSignalsResponse>, Status> {
        let exchange = &self.0.exchange;
        let list = |caller, asked: pb::ListSignalsRequest| async move {
            let size = page_size(asked.page_size)?;
            let after = match asked.page_token.as_str() {
                "" => None,
                token => {
                    let id = token.parse().map_err(|_| invalid("page_token", TOKEN_EXPECTED))?;
                    Some(id)
                }
            };
            let mut page = exchange.signals(&caller, after, one_more(size)).await?;
            let next_page_token = cut_page(&mut page, size, |last| last.id.to_string());
            let signals = page.into_iter().map(write).collect();
            Ok(pb::ListSignalsResponse { signals, next_page_token })
        };
        self.0.answer("ListSignals", request, list).await
    }
}

fn read(asked: pb::FileSignalRequest) -> Result<Filing, Refusal> {
    let pb::FileSignalRequest { r#type: event_type, subject, reference, keep_for } = asked;
    let keep_for = keep_for.map(|given| {
        let expected = "not a positive duration; expected 1 s or more";
        Duration::try_from(given).map_err(|_| invalid("keep_for", expected))
    });
    Ok(Filing { event_type, subject, reference, keep_for: keep_for.transpose()? })
}

fn signal_id(text: &str) -> Result<Uuid, Refusal> {
    // The text is not shown: whoever mixes up two fields may have put a subject there.
    text.parse().map_err(|_| invalid("signal_id", "expected the signal_id of FileSignal"))
}

fn write(signal: Signal) -> pb::Signal {
    let matches = signal.matches.into_iter().map(|one| pb::SignalMatch {
        party: one.party.to_string(),
        matched_at: timestamp(one.matched_at),
    });
    pb::Signal {
        signal_id: signal.id.to_string(),
        r#type: signal.event_type,
        reference: signal.reference,
        filed_at: timestamp(signal.filed_at),
        expires_at: timestamp(signal.expires_at),
        matches: matches.collect(),
    }
}
