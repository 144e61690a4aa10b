use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use wissel_identifiers::InboxName;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request;
use wissel_proto::wissel::v1::subscribe_response::Response;
use wissel_proto::wissel::v1::subscribing_client::SubscribingClient;

use crate::convert::to_proto;
use crate::{Client, ClientError};

/// How many requests wait to be sent. More stay where they are, and grow fewer by
/// going together.
const REQUESTS: usize = 4;

/// What it takes to open a stream on an inbox.
pub(super) struct Opening {
    pub(super) client: Client,
    pub(super) inbox: InboxName,
    pub(super) credit: u32,
    pub(super) lease: Duration,
}

/// One open stream.
pub(super) struct Link {
    pub(super) requests: mpsc::Sender<pb::SubscribeRequest>,
    pub(super) responses: Streaming<pb::SubscribeResponse>,
}

impl Opening {
    /// Opens a stream, again and again within the time of a call.
    pub(super) async fn open_in_time(&self) -> Result<Link, ClientError> {
        let settings = self.client.settings();
        settings.retry.repeat(settings.call_timeout, || self.open()).await
    }

    /// One attempt, within the time of a call.
    pub(super) async fn open_once(&self) -> Result<Link, ClientError> {
        let after = self.client.settings().call_timeout;
        tokio::time::timeout(after, self.open())
            .await
            .unwrap_or(Err(ClientError::DeadlineExceeded { after, before: None }))
    }

    async fn open(&self) -> Result<Link, ClientError> {
        let (requests, outbound) = mpsc::channel(REQUESTS);
        let open = pb::Open {
            inbox: self.inbox.to_string(),
            credit: self.credit,
            lease: Some(to_proto("lease", self.lease)?),
        };
        let open = pb::SubscribeRequest { request: Some(Request::Open(open)) };
        requests.send(open).await.map_err(|_| ClientError::Closed)?;

        let limit = self.client.settings().max_message_bytes;
        let mut service = SubscribingClient::new(self.client.channel())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let request = self.client.request(ReceiverStream::new(outbound)).await?;
        let responses = service.subscribe(request).await;
        let responses = responses.map_err(|status| ClientError::from_status(&status))?;
        let mut link = Link { requests, responses: responses.into_inner() };
        match next_response(&mut link.responses).await? {
            Response::Opened(_) => Ok(link),
            _ => Err(ClientError::protocol("expected `opened` as the first response")),
        }
    }
}

/// What the gateway says next. Nothing is lost when this is dropped.
pub(super) async fn next_response(
    responses: &mut Streaming<pb::SubscribeResponse>,
) -> Result<Response, ClientError> {
    match responses.message().await {
        Ok(Some(response)) => {
            response.response.ok_or_else(|| ClientError::protocol("an empty response"))
        }
        Ok(None) => Err(ClientError::stream_ended()),
        Err(status) => Err(ClientError::from_status(&status)),
    }
}
