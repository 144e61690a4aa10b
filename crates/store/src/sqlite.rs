//! Everything that is SQL.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use wissel_identifiers::{InboxName, SubscriptionName};

use crate::{
    InboxRecord, InboxSettings, Put, StoreError, SubscriptionRecord, WhenFull, cases, reports,
    signals,
};

pub(crate) struct Database(pub(crate) Connection);

/// Each brings the schema one version further. Never change one: add one.
const MIGRATIONS: [&str; 10] = [
    "
    CREATE TABLE inbox (
        name TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE subscription (
        name       TEXT PRIMARY KEY,
        inbox      TEXT NOT NULL REFERENCES inbox (name),
        types      TEXT NOT NULL,    -- a JSON array of event types
        filters    TEXT NOT NULL,    -- a JSON array of filters
        created_at INTEGER NOT NULL  -- milliseconds since 1970
    ) STRICT, WITHOUT ROWID;
    ",
    "
    -- None: as the gateway is set.
    ALTER TABLE inbox ADD COLUMN max_attempts INTEGER CHECK (max_attempts > 0);
    ",
    "
    ALTER TABLE subscription ADD COLUMN follows INTEGER NOT NULL DEFAULT 0 CHECK (follows IN (0, 1));

    -- Which subjects a subscription follows: what stands for each, and not the subject.
    CREATE TABLE followed (
        subscription TEXT NOT NULL REFERENCES subscription (name) ON DELETE CASCADE,
        mark         BLOB NOT NULL CHECK (length(mark) = 16),
        PRIMARY KEY (subscription, mark)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE secret (
        name  TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO secret (name, value) VALUES ('routing', randomblob(16));
    ",
    "
    ALTER TABLE subscription ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0 CHECK (ordered IN (0, 1));

    -- Of each, none: as the gateway is set.
    ALTER TABLE inbox ADD COLUMN retry_initial_ms INTEGER CHECK (retry_initial_ms > 0);
    ALTER TABLE inbox ADD COLUMN retry_max_ms INTEGER CHECK (retry_max_ms > 0);
    ALTER TABLE inbox ADD COLUMN max_age_ms INTEGER CHECK (max_age_ms > 0);
    ALTER TABLE inbox ADD COLUMN max_deliveries INTEGER CHECK (max_deliveries > 0);
    ALTER TABLE inbox ADD COLUMN max_bytes INTEGER CHECK (max_bytes > 0);
    ALTER TABLE inbox ADD COLUMN when_full TEXT CHECK (when_full IN ('refuse', 'dead-letter'));
    ",
    "
    ALTER TABLE inbox ADD COLUMN direct_amqp INTEGER NOT NULL DEFAULT 0 CHECK (direct_amqp IN (0, 1));
    ",
    "
    -- What the exchange is yet to publish.
    CREATE TABLE outbox (
        number     INTEGER PRIMARY KEY AUTOINCREMENT,
        recipient  TEXT NOT NULL,    -- an OIN
        event      BLOB NOT NULL,    -- a CloudEvent in the protobuf format
        not_before INTEGER NOT NULL  -- milliseconds since 1970
    ) STRICT;
    CREATE INDEX outbox_due ON outbox (not_before, number);
    ",
    signals::TABLES,
    cases::TABLES,
    reports::TABLES,
    "
    ALTER TABLE inbox ADD COLUMN paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1));
    ALTER TABLE inbox ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));
    ",
];

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        Self::prepare(connection, path)
    }

    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?, Path::new(":memory:"))
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is deleted is gone, and not merely unused.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.busy_timeout(Duration::from_secs(5))?;

        // Two processes that start together must not both bring it up to date.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let (path, expected) =
            (path.to_owned(), i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX));
        if found < 0 {
            return Err(StoreError::UnknownVersion { path, found, expected });
        }
        let Some(pending) = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..))
        else {
            return Err(StoreError::LaterVersion { path, found, expected });
        };
        for migration in pending {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", expected)?;
        transaction.commit()?;
        Ok(Self(connection))
    }

    pub(crate) fn put_subscription(
        &mut self,
        record: &SubscriptionRecord,
    ) -> Result<Put, StoreError> {
        // The lock for writing is taken before anything is read: taken later, another
        // process could have written between, and this one would have to begin again.
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let existing = transaction
            .query_row(
                "SELECT name, inbox, types, filters, follows, ordered, created_at FROM subscription WHERE name = ?1",
                [record.name.as_str()],
                |row| Ok(read_subscription(row)),
            )
            .optional()?
            .transpose()?;
        if let Some(existing) = existing {
            let same = SubscriptionRecord { created_at: record.created_at, ..existing } == *record;
            return Ok(if same { Put::Same } else { Put::Conflict });
        }
        transaction
            .execute("INSERT OR IGNORE INTO inbox (name) VALUES (?1)", [record.inbox.as_str()])?;
        transaction.execute(
            "INSERT INTO subscription (name, inbox, types, filters, follows, ordered, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                record.name.as_str(),
                record.inbox.as_str(),
                to_json(&record.types)?,
                to_json(&record.filters)?,
                record.follows,
                record.ordered,
                milliseconds(record.created_at),
            ],
        )?;
        transaction.commit()?;
        Ok(Put::Created)
    }

    pub(crate) fn delete_subscription(&self, name: &SubscriptionName) -> Result<bool, StoreError> {
        let sql = "DELETE FROM subscription WHERE name = ?1";
        Ok(self.0.execute(sql, [name.as_str()])? > 0)
    }

    pub(crate) fn subscriptions(&self) -> Result<Vec<SubscriptionRecord>, StoreError> {
        let sql = "SELECT name, inbox, types, filters, follows, ordered, created_at FROM subscription ORDER BY name";
        let mut statement = self.0.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok(read_subscription(row)))?;
        rows.map(|row| row?).collect()
    }

    pub(crate) fn add_inbox(&self, name: &InboxName) -> Result<(), StoreError> {
        self.0.execute("INSERT OR IGNORE INTO inbox (name) VALUES (?1)", [name.as_str()])?;
        Ok(())
    }

    pub(crate) fn set_inbox(&self, inbox: &InboxRecord) -> Result<bool, StoreError> {
        let InboxRecord { name, settings } = inbox;
        let ms = |duration: Option<Duration>| duration.map(|duration| whole(duration.as_millis()));
        let count = |count: Option<u64>| count.map(|count| whole(count.into()));
        let changed = self.0.execute(
            "UPDATE inbox SET max_attempts = ?2, retry_initial_ms = ?3, retry_max_ms = ?4,
                 max_age_ms = ?5, max_deliveries = ?6, max_bytes = ?7, when_full = ?8,
                 direct_amqp = ?9, paused = ?10, draining = ?11
             WHERE name = ?1",
            params![
                name.as_str(),
                settings.max_attempts,
                ms(settings.retry_initial),
                ms(settings.retry_max),
                ms(settings.max_age),
                count(settings.max_deliveries),
                count(settings.max_bytes),
                settings.when_full.map(WhenFull::name),
                settings.direct_amqp,
                settings.paused,
                settings.draining,
            ],
        )?;
        Ok(changed > 0)
    }

    pub(crate) fn inboxes(&self) -> Result<Vec<InboxRecord>, StoreError> {
        let mut statement = self.0.prepare(
            "SELECT name, max_attempts, retry_initial_ms, retry_max_ms, max_age_ms,
                 max_deliveries, max_bytes, when_full, direct_amqp, paused, draining
             FROM inbox ORDER BY name",
        )?;
        let rows = statement.query_map([], |row| Ok(read_inbox(row)))?;
        rows.map(|row| row?).collect()
    }
}

fn read_inbox(row: &Row<'_>) -> Result<InboxRecord, StoreError> {
    let count = |column: usize| -> Result<Option<u64>, StoreError> {
        let stored = row.get::<_, Option<i64>>(column)?;
        Ok(stored.map(|count| u64::try_from(count).unwrap_or_default()))
    };
    let ms = |column: usize| Ok::<_, StoreError>(count(column)?.map(Duration::from_millis));
    let when_full: Option<String> = row.get(7)?;
    let when_full = when_full.map(|name| {
        let unknown = || unreadable("inbox", &"when_full is unknown to this version");
        WhenFull::of_name(&name).ok_or_else(unknown)
    });
    let name = row.get::<_, String>(0)?;
    Ok(InboxRecord {
        name: name.parse().map_err(|error| unreadable("inbox", &error))?,
        settings: InboxSettings {
            max_attempts: row.get(1)?,
            retry_initial: ms(2)?,
            retry_max: ms(3)?,
            max_age: ms(4)?,
            max_deliveries: count(5)?,
            max_bytes: count(6)?,
            when_full: when_full.transpose()?,
            direct_amqp: row.get(8)?,
            paused: row.get(9)?,
            draining: row.get(10)?,
        },
    })
}

fn read_subscription(row: &Row<'_>) -> Result<SubscriptionRecord, StoreError> {
    let text = |column: usize| row.get::<_, String>(column);
    let what = "subscription";
    let since_1970 = u64::try_from(row.get::<_, i64>(6)?).unwrap_or_default();
    Ok(SubscriptionRecord {
        name: text(0)?.parse().map_err(|error| unreadable(what, &error))?,
        inbox: text(1)?.parse().map_err(|error| unreadable(what, &error))?,
        types: from_json("types", &text(2)?)?,
        filters: from_json("filters", &text(3)?)?,
        follows: row.get(4)?,
        ordered: row.get(5)?,
        created_at: UNIX_EPOCH + Duration::from_millis(since_1970),
    })
}

fn from_json<T: serde::de::DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    // The error's own text may show a value, which may be personal.
    serde_json::from_str(text).map_err(|error| StoreError::Row {
        what: "subscription",
        reason: format!(
            "column {column} is not the JSON that was expected, at line {}, column {}",
            error.line(),
            error.column()
        ),
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| unreadable("subscription", &error))
}

pub(crate) fn unreadable(what: &'static str, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row { what, reason: reason.to_string() }
}

/// As SQLite keeps it, in 63 bits.
fn whole(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl WhenFull {
    fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::DeadLetter => "dead-letter",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Refuse, Self::DeadLetter].into_iter().find(|one| one.name() == name)
    }
}

pub(crate) fn milliseconds(moment: SystemTime) -> i64 {
    let since_1970 = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
