//! Answers (S-05).

use kefu_api::survey::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::Violations;
use serde_json::json;
use uuid::Uuid;

use super::{
    App, Call, Change, Cursor, Error, NEWEST, Page,
    invitation::{change, token_refused},
    one_more,
};
use crate::{
    domain::{
        answer::{Answer, Draft},
        token::TokenHash,
    },
    encode::{answer as encode, invitation},
    store,
};

impl App {
    /// Takes the answer of the holder of a token, once. `violations` is what is wrong with the request already: it is told
    /// together with what the questionnaire finds, and to nobody whose token opens nothing.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::Invalid`], [`Error::Refused`] and those that every command has.
    pub async fn submit_answer(
        &self,
        call: &Call,
        token: Option<TokenHash>,
        said: Draft,
        mut violations: Violations,
    ) -> Result<pb::Answer, Error> {
        const ACTION: &str = "survey.SubmitAnswer";
        let token = token.ok_or(Error::TokenInvalid)?;
        let mut work = self.begin(call).await?;
        let asked = store::invitation::lock_by_token(work.conn(), &token).await?;
        // After the lock: whoever waited for it until the time was over is late.
        let asked =
            asked.filter(|asked| !asked.has_lapsed(self.now())).ok_or(Error::TokenInvalid)?;
        self.allow(&call.caller, ACTION, &asked.org_unit)?;
        let policy = self.policy_of(work.conn(), &asked).await?;
        let Some(call_back) = &policy.policy.ticket_call_back else {
            return Err(Error::Defect("an invitation without a questionnaire".to_owned()));
        };
        violations.take("verdict", call_back.scale.check(said.verdict));
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        work.asks_as(invitation::name(asked.id));
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let staff = call.caller.as_staff().map(|staff| &*staff.subject);
        let now = work.now();
        let answered =
            asked.answer(staff, now).map_err(|refusal| token_refused(&asked, refusal))?;
        let answer = Answer::to(&answered, self.ids.uuid(), said, call.caller.subject(), now);
        store::invitation::update(work.conn(), &answered).await?;
        store::answer::insert(work.conn(), &answer).await?;
        let change = Change {
            // The comment is in the answer, which never changes.
            after: Some(json!({
                "state": answered.state.as_str(),
                "answer": answer.id,
                "verdict": answer.said.verdict,
            })),
            event: Some(encode::event(&answer, &answered.matter)),
            ..change(ACTION, Some(&asked), &answered)
        };
        work.record(vec![change]).await?;
        work.commit(encode::resource(&answer)).await
    }

    /// Those at and below `org_unit`, newest first; only those of one customer, where that is given.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_answers(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        customer: Option<Uuid>,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<Answer>, Error> {
        self.allow(caller, "survey.ListAnswers", org_unit)?;
        let conn = &mut *self.read().await?;
        let (after, limit) = (after.unwrap_or(NEWEST), one_more(size));
        let found = match customer {
            Some(customer) => {
                store::answer::page_of_customer(conn, org_unit, customer, after, limit).await?
            }
            None => store::answer::page(conn, org_unit, after, limit).await?,
        };
        Ok(Page::of(found, size, |last| (last.submitted_at, last.id)))
    }
}
