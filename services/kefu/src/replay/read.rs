//! From a file to cases: what happened when, and which rows cannot be read. Pure but for the reading.

mod events;
mod rows;

use std::collections::HashMap;
use std::io::Read;

use csv::{ByteRecord, StringRecord};
use jiff::Timestamp;

use super::mapping::Plan;

/// Everything that a file tells.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Rows after the header, malformed ones included.
    pub rows: u64,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
    /// Rows that cannot be read.
    pub malformed: Vec<Malformed>,
    /// Events that change nothing, because their activity is a note or the state of the ticket does not allow more.
    pub without_effect: u64,
}

/// One complaint, or whatever else becomes a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The line of the file on which it begins.
    pub line: u64,
    /// Its id in the file.
    pub id: String,
    /// The ticket's subject.
    pub subject: String,
    /// The ticket's description.
    pub description: String,
    /// Who complains.
    pub complainant: String,
    /// The ticket's tags.
    pub tags: Vec<String>,
    /// When it is registered.
    pub registered: Timestamp,
    /// Who registers it; empty where the file does not say.
    pub registrar: String,
    /// What is done afterwards, in order of time; of one time, in order of the file.
    pub steps: Vec<Step>,
}

/// Something that is done to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// The line of the file that tells it.
    pub line: u64,
    /// Who does it; empty where the file does not say.
    pub actor: String,
    /// What.
    pub what: What,
}

/// What is done to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The customer is answered.
    Answer(String),
    /// The ticket waits for somebody else.
    Wait(String),
    /// It goes on.
    Resume,
    /// The solution.
    Resolve(String),
    /// The customer is told the result.
    Tell(String),
}

/// A row that cannot be read, or that the mesh refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line of the file on which it begins.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// A row with its columns by name.
#[derive(Clone, Debug)]
struct Row<'a> {
    line: u64,
    columns: &'a HashMap<String, usize>,
    fields: StringRecord,
}

impl Row<'_> {
    /// The text of a column, without white space around it.
    fn get(&self, column: &str) -> &str {
        let field = self.columns.get(column).and_then(|index| self.fields.get(*index));
        field.unwrap_or_default().trim()
    }

    /// The text of a column that must not be empty.
    fn need(&self, column: &str) -> Result<&str, String> {
        match self.get(column) {
            "" => Err(format!("{column} is empty")),
            text => Ok(text),
        }
    }

    /// The time in a column.
    fn time(&self, plan: &Plan, column: &str) -> Result<Timestamp, String> {
        let text = self.need(column)?;
        plan.time(text).ok_or_else(|| format!("{column} is no date with a time of day: {text:?}"))
    }

    /// A text with the columns that it names in braces.
    fn fill(&self, template: &str) -> String {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((column, behind)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            filled.push_str(self.get(column));
            rest = behind;
        }
        filled.push_str(rest);
        filled.trim().to_owned()
    }

    /// The case that begins with this row.
    fn case(&self, plan: &Plan, registered: Timestamp) -> Result<Case, String> {
        let ticket = &plan.mapping.ticket;
        let subject = self.fill(&ticket.subject);
        if subject.is_empty() {
            return Err("the subject is empty".to_owned());
        }
        let tags = ticket.tags.iter().map(|tag| self.fill(tag));
        Ok(Case {
            line: self.line,
            id: self.need(&plan.mapping.case)?.to_owned(),
            subject,
            description: self.fill(&ticket.description),
            complainant: self.fill(&ticket.complainant),
            tags: tags.filter(|tag| !tag.is_empty()).collect(),
            registered,
            registrar: String::new(),
            steps: Vec::new(),
        })
    }
}

/// Takes the rows of a file one by one.
trait Intake {
    /// Takes a row.
    ///
    /// # Errors
    /// What is wrong with it; it has changed nothing then.
    fn take(&mut self, row: &Row<'_>) -> Result<(), String>;

    /// The cases, when all rows were taken, with the number of events without effect and what is wrong with a case as a
    /// whole.
    fn finish(self: Box<Self>) -> (Vec<Case>, u64, Vec<Malformed>);
}

/// Reads a file. A row that cannot be read is noted and skipped.
///
/// # Errors
/// When the file as a whole cannot be read: no header, a column that the mapping needs is missing.
pub fn read(source: impl Read, plan: &Plan) -> anyhow::Result<Input> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
    let mut header = ByteRecord::new();
    anyhow::ensure!(reader.read_byte_record(&mut header)?, "the file is empty");
    let header = StringRecord::from_byte_record(header)
        .map_err(|_| anyhow::anyhow!("the header is not UTF-8"))?;
    let names = header.iter().map(|name| name.trim_start_matches('\u{FEFF}').trim().to_owned());
    let columns: HashMap<String, usize> =
        names.enumerate().map(|(index, name)| (name, index)).collect();
    let mut intake: Box<dyn Intake + '_> = if let Some(mapping) = &plan.mapping.events {
        need_columns(&columns, [&plan.mapping.case, &mapping.time, &mapping.activity])?;
        Box::new(events::Events::new(plan, mapping))
    } else if let Some(mapping) = &plan.mapping.rows {
        need_columns(&columns, [&plan.mapping.case, &mapping.registered, &mapping.answered])?;
        Box::new(rows::Rows::new(plan, mapping))
    } else {
        anyhow::bail!("the mapping has neither `rows` nor `events`");
    };

    let mut input = Input::default();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        input.rows += 1;
        let taken = match StringRecord::from_byte_record(record.clone()) {
            Err(_) => Err("is not UTF-8".to_owned()),
            Ok(fields) if fields.len() != header.len() => {
                Err(format!("has {} columns instead of {}", fields.len(), header.len()))
            }
            Ok(fields) => intake.take(&Row { line, columns: &columns, fields }),
        };
        if let Err(reason) = taken {
            input.malformed.push(Malformed { line, reason });
        }
    }
    let (cases, without_effect, faults) = intake.finish();
    input.malformed.extend(faults);
    input.malformed.sort_by_key(|malformed| malformed.line);
    Ok(Input { cases, without_effect, ..input })
}

fn need_columns(columns: &HashMap<String, usize>, needed: [&String; 3]) -> anyhow::Result<()> {
    for column in needed {
        anyhow::ensure!(columns.contains_key(column), "the file has no column {column:?}");
    }
    Ok(())
}
