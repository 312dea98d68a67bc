//! The ticket context's own statements, run by pgbench.
//!
//! pgbench substitutes its variables only in numeric expressions and, in prepared mode, as parameters of the statement; it
//! cannot put them into quoted JSON or array literals. So the statement's text is taken as it is, and each `$n` becomes
//! either
//!
//! * a parameter whose value is the same in every call and is taken from a ticket that the mesh has just registered:
//!   the texts, the serialised answer and event, the JSON of the audit trail. It travels with every call, as from the
//!   service. pgbench sends it as text, where the service sends binary.
//! * or an SQL expression over integer parameters, for what differs from call to call: the ids, the org unit, the customer,
//!   the times. Ids grow, as the service's UUIDs of version 7 do.
//!
//! The statement itself is untouched, so planning, locking and writing are the same.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::process::Command;
use uuid::Uuid;

use crate::bare::GET_TICKET;
use crate::closed_loop::Round;
use crate::procfs::Usage;
use crate::site::{ROOT, Site};
use crate::world::{SIZE, unit};

/// The ticket context's statement.
const CREATE_TICKETS: &str = include_str!("../../../services/ticket/src/store/create_tickets.sql");

/// Ids are this far apart, so that each client has its own between them.
const STRIDE: u128 = 1_024;

/// Ids from this start on belong to the copy.
const OWN_IDS: u64 = 1_000;

/// pgbench, ready to run the statements against one database.
pub struct Pgbench {
    program: PathBuf,
    directory: PathBuf,
    socket: PathBuf,
    database: String,
    admin_url: String,
    defines: Vec<(String, String)>,
    /// How often it was started: each start has its own ids.
    starts: u64,
}

impl Pgbench {
    /// For `database`, with the values of the ticket `name` that the mesh has registered there.
    ///
    /// # Errors
    /// When there is no pgbench beside Postgres, or no such ticket.
    pub async fn prepare(site: &Site, database: &str, name: &str) -> anyhow::Result<Self> {
        let admin_url = site.admin_url(database);
        let mut connection = PgConnection::connect(&admin_url).await?;
        let program = program(&mut connection).await?;
        let defines = sample(&mut connection, name).await?;
        connection.close().await?;
        let directory = site.directory().to_owned();
        std::fs::write(directory.join("create.sql"), create_script()?)?;
        std::fs::write(directory.join("get.sql"), get_script()?)?;
        let socket = site.socket_directory().to_owned();
        let database = database.to_owned();
        Ok(Self { program, directory, socket, database, admin_url, defines, starts: 0 })
    }

    /// The same statements against another database with the same contents.
    #[must_use]
    pub fn against(&self, site: &Site, database: &str) -> Self {
        // Its own ids: the copy has those of the original.
        let starts = self.starts + OWN_IDS;
        let defines = self.defines.clone();
        Self {
            program: self.program.clone(),
            directory: self.directory.clone(),
            socket: self.socket.clone(),
            database: database.to_owned(),
            admin_url: site.admin_url(database),
            defines,
            starts,
        }
    }

    /// Registers `count` tickets, to be read later, and tells their names.
    ///
    /// # Errors
    /// When pgbench fails.
    pub async fn fill(&mut self, count: u64) -> anyhow::Result<Vec<String>> {
        ensure!(self.starts == 0, "the first start gives the ids that `get.sql` asks for");
        self.run("create.sql", 1, &["-t".to_owned(), count.to_string()]).await?;
        self.defines.push(("tickets".to_owned(), count.to_string()));
        let id = |n: u64| Uuid::from_u128(u128::from(n) * STRIDE);
        Ok((1..=count).map(|n| format!("tickets/{}", id(n))).collect())
    }

    /// Registers tickets for `time` with so many clients.
    ///
    /// # Errors
    /// When pgbench fails, or a statement registered nothing.
    pub async fn create(&mut self, clients: usize, time: Duration) -> anyhow::Result<Round> {
        let before = self.registered().await?;
        let round = self.run("create.sql", clients, &seconds(time)).await?;
        let registered = self.registered().await?.saturating_sub(before);
        ensure!(
            registered >= round.operations,
            "pgbench ran {} statements, but only {registered} tickets were registered",
            round.operations
        );
        Ok(round)
    }

    /// Reads tickets for `time` with so many clients.
    ///
    /// # Errors
    /// When pgbench fails.
    pub async fn get(&mut self, clients: usize, time: Duration) -> anyhow::Result<Round> {
        self.run("get.sql", clients, &seconds(time)).await
    }

    async fn registered(&self) -> anyhow::Result<u64> {
        let mut connection = PgConnection::connect(&self.admin_url).await?;
        let sum = "SELECT coalesce(sum(last_number), 0)::bigint FROM ticket.number_counter";
        let sum: i64 = sqlx::query_scalar(sum).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(u64::try_from(sum)?)
    }

    async fn run(
        &mut self,
        script: &str,
        clients: usize,
        limit: &[String],
    ) -> anyhow::Result<Round> {
        let mut command = Command::new(&self.program);
        command.env("PGHOST", &self.socket).env("PGUSER", "kefu_ticket");
        command.env("PGDATABASE", &self.database).env("PGOPTIONS", "-c search_path=ticket");
        command.args(["-n", "-M", "prepared", "-j", "2", "-c"]).arg(clients.to_string());
        command.args(limit).arg("-f").arg(self.directory.join(script));
        for (name, value) in &self.defines {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        command.arg("-D").arg(format!("n={}", u128::from(self.starts) << 32));
        self.starts += 1;
        command.stdin(Stdio::null()).kill_on_drop(true);
        let before = Usage::now()?;
        let output = command.output().await.context("running pgbench")?;
        let spent = Usage::now()?.since(&before);
        let said = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || complaints.contains("error") {
            let tail: Vec<_> = complaints.lines().rev().take(4).collect();
            bail!("pgbench failed ({}): {}", output.status, tail.join("; "));
        }
        let result = Outcome::parse(&said).with_context(|| format!("pgbench said: {said}"))?;
        ensure!(result.failed == 0, "{} of pgbench's transactions failed", result.failed);
        let wall = Duration::from_secs_f64(result.transactions as f64 / result.rate);
        Ok(Round { operations: result.transactions, wall, spent, recorder: None })
    }
}

fn seconds(time: Duration) -> [String; 2] {
    ["-T".to_owned(), time.as_secs().max(1).to_string()]
}

/// pgbench beside the server that is running, or on the path.
async fn program(connection: &mut PgConnection) -> anyhow::Result<PathBuf> {
    let sql = "SELECT setting FROM pg_config WHERE name = 'BINDIR'";
    let directory: String = sqlx::query_scalar(sql).fetch_one(connection).await?;
    let beside = Path::new(&directory).join("pgbench");
    if beside.is_file() {
        return Ok(beside);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("pgbench")).find(|p| p.is_file());
    found.with_context(|| {
        format!("there is no pgbench in {directory}: install Postgres's contributed programs")
    })
}

/// What a registered ticket left in the database, as the parameters of the statement that registers another.
async fn sample(
    connection: &mut PgConnection,
    name: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let id = name.strip_prefix("tickets/").and_then(|id| Uuid::try_parse(id).ok());
    let id = id.with_context(|| format!("{name} is no ticket"))?;
    sqlx::query("SET search_path = ticket").execute(&mut *connection).await?;
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sample_statement(id)));
    let row = row.fetch_one(&mut *connection).await.context("looking at a registered ticket")?;
    let columns = sqlx::Row::columns(&row);
    let mut defines = Vec::with_capacity(columns.len());
    for column in columns {
        use sqlx::Column as _;
        let value: Option<String> = row.try_get(column.ordinal())?;
        // The texts of the sample hold no NULL; whatever is NULL is written into the script.
        let value = value.with_context(|| format!("the sample has no {}", column.name()))?;
        defines.push((column.name().to_owned(), value));
    }
    Ok(defines)
}

/// All values as text, in the form in which Postgres reads them again.
fn sample_statement(id: Uuid) -> String {
    let mut statement = String::from("SELECT ");
    for (name, expression) in SAMPLE {
        // Writing to a string does not fail.
        let _ = write!(statement, "({expression})::text AS {name}, ");
    }
    let _ = write!(
        statement,
        "{SIZE}::text AS units \
         FROM ticket \
         JOIN journal ON journal.aggregate_type = 'ticket' AND journal.aggregate_id = ticket.id \
         JOIN request ON request.caller = journal.actor AND request.request_id = journal.request_id \
         WHERE ticket.id = '{id}' AND journal.revision = 1"
    );
    statement
}

/// Names of variables and what their values are. The number, which the statement adds to the event, is cut off again.
const SAMPLE: [(&str, &str); 32] = [
    ("year", "extract(year FROM ticket.created_at AT TIME ZONE 'Asia/Shanghai')::int"),
    ("policy_seq", "SELECT coalesce(max(seq), 0) FROM policy_version"),
    ("customers", "SELECT array_agg(id ORDER BY id) FROM customer_copy"),
    ("stamps", "SELECT array_agg(stamp ORDER BY id) FROM customer_copy"),
    ("customer_count", "SELECT count(*) FROM customer_copy"),
    ("caller", "request.caller"),
    ("fingerprint", "request.fingerprint"),
    ("response", "request.response"),
    ("kind", "ticket.kind"),
    ("channel", "ticket.channel"),
    ("subject", "ticket.subject"),
    ("description", "ticket.description"),
    ("category", "ticket.category"),
    ("product", "ticket.product"),
    ("tags", r"array_to_string(ticket.tags, E'\n')"),
    ("severity", "ticket.severity"),
    ("priority", "ticket.priority"),
    ("grade", "ticket.customer_grade"),
    ("level", "ticket.receiver_level"),
    ("policy_version", "ticket.policy_version_id"),
    ("actor_org_unit", "journal.actor_org_unit"),
    ("origin", "journal.origin"),
    ("traceparent", "journal.traceparent"),
    ("after", "journal.after - 'number'"),
    ("event", "substring(journal.event FOR length(journal.event) - length(ticket.number) - 4)"),
    ("method", "request.method"),
    ("event_type", "journal.event_type"),
    ("clocks", "SELECT count(*) FROM ticket_clock WHERE ticket_id = ticket.id"),
    (
        "rules",
        "SELECT array_agg(rule ORDER BY position) FROM ticket_clock WHERE ticket_id = ticket.id",
    ),
    (
        "positions",
        "SELECT array_agg(position ORDER BY position) FROM ticket_clock WHERE ticket_id = ticket.id",
    ),
    (
        "clock_kinds",
        "SELECT array_agg(kind ORDER BY position) FROM ticket_clock WHERE ticket_id = ticket.id",
    ),
    (
        "due_after",
        "SELECT array_agg(due_at - started_at ORDER BY position) FROM ticket_clock WHERE ticket_id = ticket.id",
    ),
];

/// Registers one ticket per transaction.
fn create_script() -> anyhow::Result<String> {
    let id = "lpad(to_hex(:id::bigint), 32, '0')::uuid";
    let later = |share: &str| {
        format!(
            "ARRAY(SELECT now() + after * {share} FROM unnest(:due_after::interval[]) AS after)"
        )
    };
    let one = |variable: &str, kind: &str| format!("ARRAY[:{variable}::{kind}]");
    let arguments = [
        format!("ARRAY[{id}]"),
        format!("ARRAY['{}' || :unit::int]", unit(ROOT, 0).trim_end_matches("100")),
        one("year", "smallint"),
        one("policy_seq", "bigint"),
        "ARRAY[(:customers::uuid[])[:customer::int]]".to_owned(),
        "ARRAY[(:stamps::bigint[])[:customer::int]]".to_owned(),
        one("caller", "text"),
        format!("ARRAY[{id}::text]"),
        one("fingerprint", "bytea"),
        one("response", "bytea"),
        one("kind", "text"),
        one("channel", "text"),
        "ARRAY[NULL]::uuid[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        one("subject", "text"),
        one("description", "text"),
        one("category", "text"),
        one("product", "text"),
        one("tags", "text"),
        one("severity", "smallint"),
        "ARRAY[NULL]::timestamptz[]".to_owned(),
        one("priority", "text"),
        one("grade", "text"),
        one("level", "smallint"),
        one("policy_version", "uuid"),
        "ARRAY[now()]".to_owned(),
        format!("ARRAY[{id}]"),
        one("actor_org_unit", "text"),
        one("origin", "text"),
        one("traceparent", "text"),
        one("after", "text"),
        one("event", "bytea"),
        ":method::text".to_owned(),
        format!("array_fill({id}, ARRAY[:clocks::int])"),
        ":rules::text[]".to_owned(),
        ":positions::smallint[]".to_owned(),
        ":clock_kinds::text[]".to_owned(),
        later("1.0"),
        later("0.5"),
        later("0.5"),
        ":event_type::text".to_owned(),
        // No steps of escalation.
        "array_fill(NULL::jsonb, ARRAY[:clocks::int])".to_owned(),
        // Nobody is routed: neither team, owner and distribution, nor an amount, a complainant's type, a rule and its trace.
        "ARRAY[NULL]::text[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        "ARRAY[NULL]::bigint[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        "ARRAY[NULL]::text[]".to_owned(),
        // Nothing for headquarters.
        "ARRAY[NULL]::timestamptz[]".to_owned(),
        "ARRAY[NULL]::jsonb[]".to_owned(),
        // Neither an order nor a shop.
        "ARRAY['']::text[]".to_owned(),
        "ARRAY['']::text[]".to_owned(),
    ];
    let statement = substitute(CREATE_TICKETS, &arguments)?;
    Ok(format!(
        "\\set n :n + 1\n\\set id :n * {STRIDE} + :client_id\n\\set unit random(1, :units) + 100\n\
         \\set customer random(1, :customer_count)\n{statement};\n"
    ))
}

/// Reads one of the tickets that were registered first.
fn get_script() -> anyhow::Result<String> {
    let id = "lpad(to_hex(:id::bigint), 32, '0')::uuid";
    let statement = substitute(GET_TICKET, &[id.to_owned()])?;
    Ok(format!("\\set id random(1, :tickets) * {STRIDE}\n{statement};\n"))
}

/// Puts the arguments in the places of `$1`, `$2` and so on, and leaves out the lines that are comments.
fn substitute(statement: &str, arguments: &[String]) -> anyhow::Result<String> {
    let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
    let statement = lines.collect::<Vec<_>>().join("\n");
    let mut parts = statement.split('$');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let argument = number.parse::<usize>().ok().and_then(|n| arguments.get(n.checked_sub(1)?));
        let argument =
            argument.with_context(|| format!("the statement has no argument ${number}"))?;
        result.push_str(argument);
        result.push_str(rest);
    }
    Ok(result.trim_end().to_owned())
}

/// What pgbench says at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outcome {
    transactions: u64,
    failed: u64,
    rate: f64,
}

impl Outcome {
    fn parse(said: &str) -> Option<Self> {
        let after = |label: &str| said.lines().find_map(|line| line.trim().strip_prefix(label));
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
            text.get(..end).map(ToOwned::to_owned)
        };
        Some(Self {
            transactions: number(after("number of transactions actually processed: ")?)?
                .parse()
                .ok()?,
            // Not told before version 15.
            failed: after("number of failed transactions: ")
                .and_then(number)
                .and_then(|failed| failed.parse().ok())
                .unwrap_or_default(),
            rate: number(after("tps = ")?)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_gets_its_argument_and_comments_are_left_out() {
        let arguments: Vec<String> = (1..=11).map(|n| format!("<{n}>")).collect();
        let statement = "-- costs $99\nSELECT $1::uuid[], $11,\n       $2 -- $ 3\n";
        assert!(substitute(statement, &arguments).is_err(), "a `$` that is no parameter");
        let statement = "-- costs $99\nSELECT $1::uuid[], $11,\n       $2\n";
        let expected = "SELECT <1>::uuid[], <11>,\n       <2>";
        assert_eq!(substitute(statement, &arguments).unwrap(), expected);
        assert!(substitute("SELECT $12", &arguments).is_err());
    }

    #[test]
    fn the_scripts_fit_the_statements_of_the_ticket_context() {
        let (create, get) = (create_script().unwrap(), get_script().unwrap());
        for script in [&create, &get] {
            assert!(script.starts_with('\\') && script.ends_with(";\n"));
            assert!(!script.contains('$'), "{script}");
        }
        // The one who changes the statement's parameters is told here.
        let parameters = CREATE_TICKETS.split('$').skip(1).filter_map(|part| {
            part.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()
        });
        assert_eq!(parameters.max(), Some(54));
    }

    #[test]
    fn what_pgbench_says_is_understood() {
        let said = "transaction type: create.sql\nquery mode: prepared\n\
            number of transactions actually processed: 51234\n\
            number of failed transactions: 3 (0.006%)\nlatency average = 0.781 ms\n\
            initial connection time = 12.345 ms\ntps = 10246.812345 (without initial connection time)\n";
        let expected = Outcome { transactions: 51_234, failed: 3, rate: 10_246.812_345 };
        assert_eq!(Outcome::parse(said), Some(expected));
        assert_eq!(Outcome::parse("pgbench: error"), None);
    }
}
