//! Messages that the exchange is yet to publish, in SQL.
//!
//! A message is put here in the same transaction as what it tells of, so that neither is
//! without the other. Whoever publishes it gives it the same (source, id) each time.

use std::time::SystemTime;

use rusqlite::{Connection, params};
use uuid::Uuid;

use wissel_identifiers::Oin;

use crate::sqlite::{milliseconds, unreadable};
use crate::{Store, StoreError};

/// A message that is yet to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place in the order of the messages.
    pub number: i64,
    /// To whom.
    pub recipient: Oin,
    /// The message, in the CloudEvents protobuf format.
    pub event: Vec<u8>,
}

impl Store {
    /// Messages of the exchange that are to be published by now, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn outgoing(
        &self,
        now: SystemTime,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        self.backend.outgoing(now, limit).await
    }

    /// Forgets a message that was published.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn sent(&self, number: i64) -> Result<(), StoreError> {
        self.backend.sent(number).await
    }

    /// Puts off a message that could not be published.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn put_off(&self, number: i64, until: SystemTime) -> Result<(), StoreError> {
        self.backend.put_off(number, until).await
    }
}

/// Part of a transaction of something else.
pub(crate) fn put(
    connection: &Connection,
    recipient: &Oin,
    event: &[u8],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO outbox (recipient, event, not_before) VALUES (?1, ?2, 0)";
    connection.prepare_cached(sql)?.execute(params![recipient.as_str(), event])?;
    Ok(())
}

/// The same for a message about a signal of the recipient, which goes when the signal does.
pub(crate) fn put_about(
    connection: &Connection,
    recipient: &Oin,
    event: &[u8],
    signal: &Uuid,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO outbox (recipient, event, not_before, signal) VALUES (?1, ?2, 0, ?3)";
    let row = params![recipient.as_str(), event, signal.as_bytes()];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Those whose time has come, oldest first.
pub(crate) fn due(
    connection: &Connection,
    now: SystemTime,
    limit: usize,
) -> Result<Vec<Outgoing>, StoreError> {
    let sql = "SELECT number, recipient, event FROM outbox WHERE not_before <= ?1
               ORDER BY number LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![milliseconds(now), limit], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
    })?;
    let read = |(number, recipient, event): (i64, String, Vec<u8>)| {
        let recipient = recipient.parse().map_err(|error| unreadable("outbox", &error))?;
        Ok(Outgoing { number, recipient, event })
    };
    rows.map(|row| read(row?)).collect()
}

pub(crate) fn remove(connection: &Connection, number: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM outbox WHERE number = ?1")?.execute([number])?;
    Ok(())
}

pub(crate) fn put_off(
    connection: &Connection,
    number: i64,
    until: SystemTime,
) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET not_before = ?2 WHERE number = ?1";
    connection.prepare_cached(sql)?.execute(params![number, milliseconds(until)])?;
    Ok(())
}
