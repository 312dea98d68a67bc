//! The hand on the clock.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use kefu::client::{Client, failed};
use kefu_api::clock::v1::{SetTimeRequest, SettleRequest};
use kefu_clock::{Clock as _, ManualClock};

/// The clock of a whole mesh.
pub struct Clock<'a> {
    /// What the test's own tokens are made by; in one process, everybody's.
    own: &'a ManualClock,
    /// The gateways, each of which moves the clocks of the contexts behind it.
    gateways: Vec<Client>,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(own: &'a ManualClock, gateways: Vec<Client>) -> Self {
        Self { own, gateways }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        self.own.now()
    }

    /// Moves it to `at` and returns when all that this causes has happened: timers have fired, feeds have been read.
    ///
    /// # Errors
    /// When `at` lies before [`Clock::now`], or a context is down: then use [`Clock::jump`].
    pub async fn set(&self, at: Timestamp) -> anyhow::Result<()> {
        self.jump(at).await?;
        self.settle().await
    }

    /// Moves it forward by `by`, in the same way, and returns what it shows then.
    ///
    /// # Errors
    /// See [`Clock::set`].
    pub async fn advance(&self, by: SignedDuration) -> anyhow::Result<Timestamp> {
        let at = self.now().checked_add(by).context("the clock ends there")?;
        self.set(at).await?;
        Ok(at)
    }

    /// Moves it to `at` and does not wait for what that causes. A context that is down is left out.
    ///
    /// # Errors
    /// When `at` lies before [`Clock::now`].
    pub async fn jump(&self, at: Timestamp) -> anyhow::Result<()> {
        self.own.set(at)?;
        for gateway in &self.gateways {
            let time = Some(kefu_rpc::to_proto_timestamp(at));
            let request = SetTimeRequest { time, skip_settle: true };
            match gateway.clock().set_time(request).await {
                Err(status) if status.code() != tonic::Code::Unavailable => {
                    return Err(failed("setting the clock")(status));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until everything caused so far has happened.
    ///
    /// # Errors
    /// When a context is down.
    pub async fn settle(&self) -> anyhow::Result<()> {
        for gateway in &self.gateways {
            gateway.clock().settle(SettleRequest {}).await.map_err(failed("settling"))?;
        }
        Ok(())
    }
}
