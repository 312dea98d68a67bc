//! The verdicts that customers give by answering a survey (T-13, S-08).

use std::sync::Arc;

use kefu_api::feed::v1::Event;
use kefu_api::survey::v1::CallBackAnswered;
use kefu_journal::{ApplyError, Consumer};
use sqlx::PgConnection;

use super::{id, payload};
use crate::app::App;

/// Takes verdicts from answers, each exactly once: the effect and the feed's cursor are one transaction, and the journal
/// knows each answer.
#[derive(Clone, Debug)]
pub struct SurveyFeed {
    app: Arc<App>,
}

impl SurveyFeed {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Consumer for SurveyFeed {
    fn name(&self) -> &'static str {
        "ticket-survey-verdicts"
    }

    fn source(&self) -> &'static str {
        "survey"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["kefu.survey.v1.CallBackAnswered"]
    }

    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
        let answered: CallBackAnswered = payload(event)?;
        let answer = id(&answered.answer, "answers")?;
        let ticket = id(&answered.ticket, "tickets")?;
        let due = self.app.take_answer(tx, answer, ticket, &answered).await?;
        self.app.timers.expect(due);
        Ok(())
    }

    fn committed(&self) {
        self.app.tail.wake();
    }
}
