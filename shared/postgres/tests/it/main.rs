//! Against real Postgres. One binary: linking is what costs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cluster;
mod errors;
mod migrations;
mod provisioning;
mod transaction;

use sqlx::{
    SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// A set of migrations, numbered from 1, recorded in `table`.
fn migrator(table: &'static str, statements: &[&'static str]) -> Migrator {
    let migrations = (1..).zip(statements).map(|(version, sql)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(version, "test".into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(table);
    migrator
}

/// The code that Postgres gave.
fn code<T>(outcome: Result<T, sqlx::Error>) -> String {
    let error = outcome.err().expect("an error");
    let error = error.as_database_error().expect("an error of the database");
    error.code().unwrap_or_default().into_owned()
}
