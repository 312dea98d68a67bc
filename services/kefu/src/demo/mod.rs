//! `kefu up --demo`: a small story in two languages, through the public API.

mod load;
mod print;

use std::fs;

use anyhow::Context as _;
use jiff::civil::Date;
use kefu_api::clock::v1::GetTimeRequest;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::home::Home;

pub use print::commands;

/// What has been loaded, kept in the data directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// The day on which loading began. The story's calendar is made around it, and the ids of its requests depend on it,
    /// so that loading which broke off goes on where it stood.
    day: Date,
    /// The names of what was made, when all was.
    #[serde(default)]
    made: Option<Made>,
}

/// The names of what the story consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    /// The customer in the unit that promises in hours.
    owners: String,
    /// Its ticket.
    noise: String,
    /// The ticket in the unit that promises in working days.
    bill: String,
}

/// Loads the story unless it is there, and shows what can be done with it.
///
/// # Errors
/// When a call fails, or the record of what was loaded cannot be kept.
pub async fn show(client: &Client, home: &Home, address: &str) -> anyhow::Result<()> {
    let mut record = match fs::read_to_string(home.demo()) {
        Ok(text) => serde_json::from_str(&text).context("reading what the demo has loaded")?,
        Err(_) => Record { day: today(client).await?, made: None },
    };
    let made = match record.made.clone() {
        Some(made) => made,
        None => {
            save(home, &record)?;
            let made = Box::pin(load::load(client, record.day)).await?;
            record.made = Some(made.clone());
            save(home, &record)?;
            made
        }
    };
    print::story(client, &made, &home.token().display().to_string(), address).await
}

fn save(home: &Home, record: &Record) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(record)?;
    let beside = home.demo().with_extension("tmp");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, home.demo()))
        .context("keeping what the demo has loaded")
}

/// The day on the mesh's clock, where the story plays.
async fn today(client: &Client) -> anyhow::Result<Date> {
    let answer = client.clock().get_time(GetTimeRequest {}).await;
    let manual = answer.ok().and_then(|answer| answer.into_inner().time);
    let now = match manual.and_then(|time| kefu_rpc::timestamp(&time).ok()) {
        Some(now) => now,
        // Without a manual clock the mesh goes by the machine's, as this does.
        None => kefu_clock::Clock::now(&kefu_clock::SystemClock),
    };
    Ok(now.in_tz("Asia/Shanghai")?.date())
}
