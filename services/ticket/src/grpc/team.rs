//! `kefu.ticket.v1.TeamService` (T-03).

use std::collections::BTreeSet;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::team_service_server::TeamService;
use kefu_policy::decode;
use kefu_rpc::{Fault, Mask, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, page_size, values};
use crate::app::Call;
use crate::app::team::{NewTeam, TeamChanges};
use crate::domain::MAX_STAFF;
use crate::encode::team as encode;

/// The fields that can be changed.
const CHANGEABLE: [&str; 4] = ["title", "members", "rostered", "retired"];
const MAX_MEMBERS: usize = 200;
const MAX_TITLE: usize = 100;
const STAFF: TextRule = TextRule::line(MAX_STAFF).required();

/// Somebody by the subject of its token, in a request that needs one.
pub(super) fn staff(violations: &mut Violations, field: &str, value: &str) -> Option<String> {
    let staff = violations.take(field, STAFF.apply(value))?;
    if staff.len() > MAX_STAFF {
        let description = format!("must have at most {MAX_STAFF} bytes in UTF-8");
        let chinese = format!("不得超过 {MAX_STAFF} 字节");
        violations.add(field, Fault::new("TOO_LONG", description, chinese));
        return None;
    }
    Some(staff)
}

fn changes(violations: &mut Violations, team: &pb::Team, mask: &Mask) -> TeamChanges {
    TeamChanges {
        title: mask.take("title", team.title.is_some(), || {
            decode::localized_text(violations, "title", team.title.as_ref(), MAX_TITLE)
        }),
        members: mask
            .take("members", !team.members.is_empty(), || Some(members(violations, &team.members))),
        rostered: mask.take("rostered", team.rostered, || Some(team.rostered)),
        retired: mask.take("retired", team.retired, || Some(team.retired)),
    }
}

fn members(violations: &mut Violations, members: &[String]) -> Vec<String> {
    let mut set = BTreeSet::new();
    if violations.at_most("members", members.len(), MAX_MEMBERS) {
        for (index, member) in members.iter().enumerate() {
            let field = format!("members[{index}]");
            let Some(member) = staff(violations, &field, member) else { continue };
            if !set.insert(member) {
                let fault = Fault::new("DUPLICATE", "is given twice", "重复填写");
                violations.add(&field, fault);
            }
        }
    }
    set.into_iter().collect()
}

/// As in the policy's rules.
fn code(violations: &mut Violations, value: &str) -> Option<String> {
    let sound = (1..=63).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !sound {
        let description = "must be 1 to 63 lower-case letters, digits and '-'";
        let fault = Fault::new("MALFORMED", description, "必须为 1 至 63 个小写字母、数字或“-”");
        violations.add("code", fault);
        return None;
    }
    Some(value.to_owned())
}

#[tonic::async_trait]
impl TeamService for Grpc {
    async fn create_team(
        &self,
        request: Request<pb::CreateTeamRequest>,
    ) -> Result<Response<pb::Team>, Status> {
        const METHOD: &str = "kefu.ticket.v1.TeamService/CreateTeam";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let team = violations.required("team", message.team.as_ref());
        let new = team.and_then(|team| {
            violations.within("team", |violations| {
                let org_unit = values::org_unit(violations, "org_unit", &team.org_unit);
                let code = code(violations, &team.code);
                let changes = changes(violations, team, &Mask::All);
                Some(NewTeam { org_unit: org_unit?, code: code?, changes })
            })
        });
        let new = violations.finish(new)?;
        let answer = self.app.create_team(&call, new).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_team(
        &self,
        request: Request<pb::GetTeamRequest>,
    ) -> Result<Response<pb::Team>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "teams");
        let id = violations.finish(id)?;
        let team = self.app.get_team(context.caller(), id).await;
        team.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_teams(
        &self,
        request: Request<pb::ListTeamsRequest>,
    ) -> Result<Response<pb::ListTeamsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListTeams").field(&message.org_unit);
        let after = violations.page_token("page_token", &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let page = self.app.list_teams(context.caller(), &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListTeamsResponse {
            teams: page.items.iter().map(|team| encode::resource(team, None)).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn update_team(
        &self,
        request: Request<pb::UpdateTeamRequest>,
    ) -> Result<Response<pb::Team>, Status> {
        const METHOD: &str = "kefu.ticket.v1.TeamService/UpdateTeam";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let mask = Mask::decode(&mut violations, message.update_mask.take(), &CHANGEABLE);
        let team = violations.required("team", message.team.as_ref());
        let decoded = team.and_then(|team| {
            violations.within("team", |violations| {
                let id = violations.resource_id("name", &team.name, "teams");
                let etag = violations.etag("etag", &team.etag);
                let changes = changes(violations, team, &mask);
                Some((id?, etag?, changes))
            })
        });
        let (id, etag, changes) = violations.finish(decoded)?;
        let answer = self.app.update_team(&call, id, etag, changes).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }
}
