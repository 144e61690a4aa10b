//! What was settled of packs that a consumer gave back, left for whoever gets them
//! next: another process, or this one when it has started again.
//!
//! A message is: the version, 1 (1 byte); how many packs follow (2 bytes); and of each
//! its id (8 and 8 bytes), how many members it has (2 bytes), and a bit for each
//! member, from the lowest of the first, in words of 8 bytes. Integers are big-endian.

use bytes::{Buf as _, BufMut as _, BytesMut};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use lapin::{BasicProperties, Channel};
use wissel_bus::{BusError, InboxName};

use crate::link::{Link, in_time};
use crate::marks::Settled;
use crate::pack::{MEMBERS_MAX, PackId};
use crate::topology;

const CONTENT_TYPE: &str = "application/vnd.wissel.marks.v1";
const VERSION: u8 = 1;
const PERSISTENT: u8 = 2;
/// How many packs one message tells of: far more than a consumer has.
const PACKS_MAX: usize = 60_000;

/// Leaves it, durable when answered.
pub(crate) async fn leave(
    link: &Link,
    inbox: &InboxName,
    packs: &[(PackId, Settled)],
) -> Result<(), BusError> {
    if packs.is_empty() {
        return Ok(());
    }
    let channel = link.parting_channel().await?;
    let leaving = async {
        topology::declare_marks(&channel, inbox).await?;
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions::default();
        let queue = topology::marks_queue(inbox);
        let body = write(packs);
        channel.basic_publish("".into(), queue, options, &body, properties).await?.await
    };
    in_time(leaving).await.map_err(|_| link.unavailable())?;
    let _ = in_time(channel.close(200, "left".into())).await;
    Ok(())
}

/// Takes all that was left.
pub(crate) async fn read(
    channel: &Channel,
    inbox: &InboxName,
) -> lapin::Result<Vec<(PackId, Settled)>> {
    each(channel, inbox, true).await
}

/// As [`read`], and leaves it for others: what is not acknowledged is back when the channel
/// has closed.
pub(crate) async fn peek(
    channel: &Channel,
    inbox: &InboxName,
) -> lapin::Result<Vec<(PackId, Settled)>> {
    each(channel, inbox, false).await
}

async fn each(
    channel: &Channel,
    inbox: &InboxName,
    take: bool,
) -> lapin::Result<Vec<(PackId, Settled)>> {
    topology::declare_marks(channel, inbox).await?;
    let mut packs = Vec::new();
    let queue = topology::marks_queue(inbox);
    while let Some(got) = channel.basic_get(queue.clone(), BasicGetOptions::default()).await? {
        match parse(&got.delivery.data) {
            Some(parsed) => packs.extend(parsed),
            None => tracing::error!(%inbox, "damaged marks of packs"),
        }
        if take {
            got.delivery.acker.ack(BasicAckOptions::default()).await?;
        }
    }
    channel.close(200, "read".into()).await?;
    Ok(packs)
}

fn write(packs: &[(PackId, Settled)]) -> BytesMut {
    let packs = &packs[..packs.len().min(PACKS_MAX)];
    let mut body = BytesMut::new();
    body.put_u8(VERSION);
    body.put_u16(u16::try_from(packs.len()).unwrap_or(u16::MAX));
    for (PackId { instance, number }, settled) in packs {
        body.put_u64(*instance);
        body.put_u64(*number);
        body.put_u16(u16::try_from(settled.members()).unwrap_or(u16::MAX));
        for word in settled.words() {
            body.put_u64(*word);
        }
    }
    body
}

/// None when it is damaged.
fn parse(body: &[u8]) -> Option<Vec<(PackId, Settled)>> {
    let mut rest = body;
    if rest.try_get_u8().ok()? != VERSION {
        return None;
    }
    let count = rest.try_get_u16().ok()?;
    let mut packs = Vec::new();
    for _ in 0..count {
        let instance = rest.try_get_u64().ok()?;
        let number = rest.try_get_u64().ok()?;
        let members = usize::from(rest.try_get_u16().ok()?);
        if members > MEMBERS_MAX {
            return None;
        }
        let words = (0..members.div_ceil(64)).map(|_| rest.try_get_u64().ok());
        let words: Vec<u64> = words.collect::<Option<_>>()?;
        packs.push((PackId { instance, number }, Settled::of_words(members, &words)));
    }
    rest.is_empty().then_some(packs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_is_read() {
        let packs: Vec<(PackId, Settled)> = [1, 64, 65, 256, MEMBERS_MAX]
            .into_iter()
            .map(|members| {
                let mut settled = Settled::none_of(members);
                for member in (0..members).step_by(3) {
                    settled.settle(member);
                }
                (PackId { instance: 5, number: members as u64 }, settled)
            })
            .collect();
        assert_eq!(parse(&write(&packs)), Some(packs));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(mut body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
            if let Some(version) = body.first_mut() {
                *version = VERSION;
            }
            let _ = parse(&body);
        }
    }
}
