//! A context owns its schema alone.

use kefu_postgres::{
    ContextUrls, PgSettings, RolePasswords, connect, migrate, provision, testing::TestDatabase,
};
use sqlx::{Executor, PgPool};

use crate::{code, migrator};

const DENIED: &str = "42501";

fn pools(urls: &ContextUrls) -> (PgPool, PgPool) {
    let pool = |url: &String| connect(&PgSettings::new(url)).unwrap();
    (pool(&urls.owner), pool(&urls.application))
}

#[tokio::test]
async fn x04_the_service_cannot_change_what_a_migration_took_away() {
    let journal = migrator(
        "_journal_migrations",
        &["CREATE TABLE journal (seq bigint GENERATED ALWAYS AS IDENTITY, what text);
           REVOKE UPDATE, DELETE ON journal FROM kefu_ticket;"],
    );
    let own = migrator("_migrations", &["CREATE TABLE ticket (id int)"]);
    let context = TestDatabase::context(&[&journal, &own], "ticket").await.unwrap();
    let pool = context.pool().unwrap();

    pool.execute("INSERT INTO journal (what) VALUES ('opened')").await.unwrap();
    assert_eq!(code(pool.execute("UPDATE journal SET what = ''").await), DENIED);
    assert_eq!(code(pool.execute("DELETE FROM journal").await), DENIED);
    assert_eq!(code(pool.execute("TRUNCATE journal").await), DENIED);
    assert_eq!(code(pool.execute("DROP TABLE journal").await), DENIED);
    assert_eq!(code(pool.execute("ALTER TABLE journal ADD x int").await), DENIED);
    assert_eq!(code(pool.execute("SET ROLE kefu_ticket_owner").await), DENIED);
    // What it may not give, Postgres leaves out with a mere warning.
    pool.execute("GRANT ALL ON journal TO kefu_ticket").await.unwrap();
    assert_eq!(code(pool.execute("UPDATE journal SET what = ''").await), DENIED);

    pool.execute("INSERT INTO ticket VALUES (1)").await.unwrap();
    pool.execute("UPDATE ticket SET id = 2").await.unwrap();
    pool.execute("DELETE FROM ticket").await.unwrap();
}

#[tokio::test]
async fn x04_the_service_cannot_forge_the_record_of_migrations() {
    let own = migrator("_migrations", &["CREATE TABLE ticket (id int)"]);
    let context = TestDatabase::context(&[&own], "ticket").await.unwrap();
    let pool = context.pool().unwrap();
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM _migrations").fetch_one(&pool).await.unwrap();
    assert_eq!(count, 1);
    assert_eq!(code(pool.execute("DELETE FROM _migrations").await), DENIED);
    assert_eq!(code(pool.execute("UPDATE _migrations SET checksum = ''").await), DENIED);
}

#[tokio::test]
async fn x07_a_context_cannot_see_another_ones_schema() {
    let database = TestDatabase::empty().await.unwrap();
    let none = RolePasswords::default();
    let ticket = provision(&database.admin_url, "ticket", &none).await.unwrap();
    let customer = provision(&database.admin_url, "customer", &none).await.unwrap();
    let (ticket_owner, ticket) = pools(&ticket);
    let (customer_owner, customer) = pools(&customer);
    customer_owner.execute("CREATE TABLE contact (phone text)").await.unwrap();
    customer.execute("INSERT INTO contact VALUES ('1')").await.unwrap();

    for other in [&ticket, &ticket_owner] {
        assert_eq!(code(other.execute("SELECT * FROM customer.contact").await), DENIED);
        assert_eq!(code(other.execute("CREATE TABLE customer.mine (id int)").await), DENIED);
        assert_eq!(code(other.execute("CREATE TABLE public.mine (id int)").await), DENIED);
        assert_eq!(code(other.execute("CREATE SCHEMA mine").await), DENIED);
        assert_eq!(code(other.execute("SET ROLE kefu_customer").await), DENIED);
    }
    assert_eq!(code(ticket.execute("CREATE TABLE mine (id int)").await), DENIED);
}

#[tokio::test]
async fn provisioning_by_many_at_once_and_again_gives_one_result() {
    let database = TestDatabase::empty().await.unwrap();
    let provisions = (0..6).map(|_| {
        let url = database.admin_url.clone();
        tokio::spawn(async move { provision(&url, "survey", &RolePasswords::default()).await })
    });
    for provisioned in provisions.collect::<Vec<_>>() {
        let urls = provisioned.await.unwrap().unwrap();
        let (owner, application) = pools(&urls);
        owner.execute("CREATE TABLE IF NOT EXISTS answer (id int)").await.unwrap();
        application.execute("INSERT INTO answer VALUES (1)").await.unwrap();
    }
}

#[tokio::test]
async fn a_password_may_hold_anything() {
    let database = TestDatabase::empty().await.unwrap();
    let password = "a'b\"c/d@e:f?g%h 你好".to_owned();
    let passwords = RolePasswords { owner: Some(password.clone()), application: Some(password) };
    let urls = provision(&database.admin_url, "password", &passwords).await.unwrap();
    migrate(&PgSettings::new(urls.owner.clone()), &[]).await.unwrap();
    let (_, application) = pools(&urls);
    application.execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_context_has_a_plain_name() {
    let database = TestDatabase::empty().await.unwrap();
    let long = "a".repeat(33);
    for name in ["", "Ticket", "1st", "a-b", "a;b", "客", &long] {
        let refused = provision(&database.admin_url, name, &RolePasswords::default()).await;
        assert!(refused.is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn x08_a_service_has_limits_of_its_own_without_asking_for_any() {
    let context = TestDatabase::context(&[], "ticket").await.unwrap();
    let pool = context.pool().unwrap();
    for (setting, value) in [
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ] {
        let found: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(found, value, "{setting}");
    }
}
