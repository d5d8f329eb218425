//! The tables of the file and the store's own metadata.

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

/// The tag of the kind, and the key.
pub(super) type Place = (u8, &'static [u8]);
/// The version, the expiry in milliseconds, and the body.
pub(super) type Stored = (u64, Option<u64>, &'static [u8]);
/// The expiry in milliseconds, then kind and key of the record.
pub(super) type Due = (u64, u8, &'static [u8]);

pub(super) const RECORDS: TableDefinition<Place, Stored> = TableDefinition::new("records");
/// An index of all records that expire, in order of expiry.
pub(super) const EXPIRIES: TableDefinition<Due, ()> = TableDefinition::new("expiries");
/// The store's metadata: [`FORMAT`] and [`COMMITS`].
pub(super) const FACTS: TableDefinition<&str, u64> = TableDefinition::new("facts");
/// The version of the file's layout.
pub(super) const FORMAT: &str = "format";
/// The number of the last commit.
pub(super) const COMMITS: &str = "commits";

pub(super) const KNOWN_FORMAT: u64 = 1;

/// Creates the tables of a new store.
pub(super) fn lay_out(database: &Database) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(EXPIRIES)?;
    transaction.open_table(FACTS)?.insert(FORMAT, KNOWN_FORMAT)?;
    Ok(transaction.commit()?)
}

pub(super) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // This gives commits two phases: after a crash a transaction is either complete or absent, in
    // whatever order the disk wrote its pages.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// A test commit that changes no record.
pub(super) fn try_out(database: &Database) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    let mut facts = transaction.open_table(FACTS)?;
    let times = facts.get(RECOVERIES)?.map_or(0, |found| found.value());
    facts.insert(RECOVERIES, times.saturating_add(1))?;
    drop(facts);
    Ok(transaction.commit()?)
}

/// How often the file was recovered after it could not be written.
const RECOVERIES: &str = "recoveries";

pub(super) fn commits_of(database: &Database) -> Result<u64, redb::Error> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    Ok(facts.get(COMMITS)?.map_or(0, |found| found.value()))
}

pub(super) fn format_of(database: &Database) -> Result<Option<u64>, redb::Error> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    Ok(facts.get(FORMAT)?.map(|found| found.value()))
}
