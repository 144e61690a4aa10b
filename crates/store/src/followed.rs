//! Which subjects a subscription follows, in SQL.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use wissel_identifiers::SubscriptionName;

use crate::sqlite::unreadable;
use crate::{Follow, Followed, Mark, StoreError};

pub(crate) fn follow(
    connection: &mut Connection,
    follow: &Follow,
) -> Result<Option<Followed>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let name = follow.subscription.as_str();
    let known = "SELECT 1 FROM subscription WHERE name = ?1";
    if transaction.query_row(known, [name], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let insert = "INSERT OR IGNORE INTO followed (subscription, mark) VALUES (?1, ?2)";
    let added = each(&transaction, insert, name, &follow.add)?;
    let delete = "DELETE FROM followed WHERE subscription = ?1 AND mark = ?2";
    let removed = each(&transaction, delete, name, &follow.remove)?;
    let count = "SELECT count(*) FROM followed WHERE subscription = ?1";
    let total: i64 = transaction.query_row(count, [name], |row| row.get(0))?;
    let total = u64::try_from(total).unwrap_or_default();
    let too_many = total > follow.max && added > removed;
    if !too_many {
        transaction.commit()?;
    }
    Ok(Some(Followed { added, removed, total, too_many }))
}

fn each(
    transaction: &Transaction<'_>,
    sql: &str,
    name: &str,
    marks: &[Mark],
) -> Result<u64, StoreError> {
    let mut statement = transaction.prepare_cached(sql)?;
    let mut changed = 0;
    for mark in marks {
        changed += statement.execute(params![name, mark])?;
    }
    Ok(changed as u64)
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<(SubscriptionName, Mark)>, StoreError> {
    let sql = "SELECT subscription, mark FROM followed ORDER BY subscription";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut all: Vec<(SubscriptionName, Mark)> = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().map_err(|error| unreadable("subscription", &error))?;
        // There are many rows of each, so their name is read once.
        let name = match all.last() {
            Some((last, _)) if last.as_str() == name => last.clone(),
            _ => name.parse().map_err(|error| unreadable("subscription", &error))?,
        };
        all.push((name, row.get(1)?));
    }
    Ok(all)
}

pub(crate) fn secret(connection: &Connection) -> Result<[u8; 16], StoreError> {
    let sql = "SELECT value FROM secret WHERE name = 'routing'";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}
