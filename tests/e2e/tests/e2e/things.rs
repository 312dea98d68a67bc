//! One of each thing that calls can be about, and a sound request for each method.

use std::collections::BTreeMap;

use kefu_api::survey::v1 as survey;
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use serde_json::{Value, json};

use crate::company::{RIVERSIDE, complaint, customer_of_riverside, registration};
use crate::files;
use crate::handling;
use crate::links::Links;
use crate::processes::Processes;
use crate::world::World;

/// A sensible request for every method, about things of Riverside.
pub struct Things {
    customer: String,
    contact: String,
    ticket: String,
    order: String,
    violation: String,
    action: String,
    hold: String,
    suggestion: String,
    processes: Processes,
    shift: String,
    view: String,
    delivery: String,
    attachment: String,
    invitation: String,
    policy: String,
    team: String,
    absence: String,
    links: Links,
}

impl Things {
    pub async fn make(world: &World) -> Self {
        let made = world.manager().customers().create_customer(customer_of_riverside()).await;
        let customer = made.unwrap().into_inner().name;
        let request = kefu_api::customer::v1::ListContactsRequest {
            parent: customer.clone(),
            ..Default::default()
        };
        let contacts = world.manager().customers().list_contacts(request).await.unwrap();
        let contact = contacts.into_inner().contacts[0].name.clone();
        let ticket = pb::Ticket { customer: customer.clone(), ..complaint(RIVERSIDE, "漏水") };
        let made = world.clerk().tickets().create_ticket(registration(ticket, String::new())).await;
        let made = made.unwrap().into_inner();
        let order = pb::IssueWorkOrderRequest {
            work_order: Some(pb::WorkOrder {
                dispatch_centre: RIVERSIDE.into(),
                task: "换密封圈".into(),
                requirements: "带备件".into(),
                reply_by_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
                assignee: "wang".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let order = world.clerk().work_orders().issue_work_order(order).await;
        let order = order.unwrap().into_inner().name;
        let report = pb::ReportViolationRequest {
            ticket: made.name.clone(),
            code: "late-first-response".into(),
            staff: "wang".into(),
            evidence: "未登记".into(),
            ..Default::default()
        };
        let violation = world.clerk().violations().report_violation(report).await;
        let violation = violation.unwrap().into_inner().name;
        let far = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
        let plan = pb::PlanCorrectiveActionRequest {
            corrective_action: Some(pb::CorrectiveAction {
                ticket: made.name.clone(),
                kind: pb::CorrectiveActionKind::Corrective.into(),
                description: "换供应商".into(),
                owner: "wang".into(),
                due_time: far,
                ..Default::default()
            }),
            ..Default::default()
        };
        let action = world.quality().corrective_actions().plan_corrective_action(plan).await;
        let action = action.unwrap().into_inner().name;
        let hold = pb::PlaceProductHoldRequest {
            product_hold: Some(pb::ProductHold {
                org_unit: RIVERSIDE.into(),
                product: "电梯".into(),
                reason: "漏水".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let hold = world.quality().corrective_actions().place_product_hold(hold).await;
        let hold = hold.unwrap().into_inner().name;
        let suggestion = pb::SubmitSuggestionRequest {
            suggestion: Some(pb::Suggestion {
                org_unit: RIVERSIDE.into(),
                tickets: vec![made.name.clone()],
                title: "换密封圈".into(),
                text: "换密封圈".into(),
                decision_maker: "wang".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let suggestion = world.clerk().suggestions().submit_suggestion(suggestion).await;
        let suggestion = suggestion.unwrap().into_inner().name;
        let shift = pb::PlanShiftRequest {
            shift: Some(pb::Shift {
                dispatch_centre: RIVERSIDE.into(),
                start_time: Some(prost_types::Timestamp { seconds: 3_999_990_000, nanos: 0 }),
                end_time: far,
                members: vec!["wang".into()],
                leader: "wang".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let shift = world.manager().shifts().plan_shift(shift).await.unwrap().into_inner().name;
        let links = Links::make(world, &made.name).await;
        let mut manager = world.manager().tickets();
        let request = pb::ResolveTicketRequest {
            name: made.name.clone(),
            solution: "已修".into(),
            ..Default::default()
        };
        manager.resolve_ticket(request).await.unwrap();
        let request = pb::FeedBackTicketRequest {
            name: made.name.clone(),
            message: "已修".into(),
            // Nobody has configured where it leads, so it waits.
            delivery: Some(pb::DeliveryRoute {
                adapter: "messenger".into(),
                recipient: "openid-wang".into(),
            }),
            ..Default::default()
        };
        manager.feed_back_ticket(request).await.unwrap();
        let request =
            pb::ListDeliveriesRequest { org_unit: RIVERSIDE.into(), ..Default::default() };
        let deliveries = world.manager().deliveries().list_deliveries(request).await.unwrap();
        let delivery = deliveries.into_inner().deliveries[0].name.clone();
        world.mesh.clock().settle().await.unwrap();
        let request =
            survey::ListInvitationsRequest { org_unit: RIVERSIDE.into(), ..Default::default() };
        let invitations = world.quality().surveys().list_invitations(request).await.unwrap();
        let invitation = invitations.into_inner().invitations[0].name.clone();
        let (ticket, policy) = (made.name, made.policy_version);
        let (team, absence) = Self::make_team(world).await;
        let attachment = files::make(world, &ticket).await;
        let view = Self::make_view(world).await;
        let processes = Processes::make(world).await;
        Self {
            customer,
            contact,
            ticket,
            order,
            delivery,
            attachment,
            violation,
            action,
            hold,
            suggestion,
            processes,
            shift,
            invitation,
            policy,
            team,
            absence,
            view,
            links,
        }
    }

    /// A view of the one who may do everything below, for only the owner changes one; and shared, so that others are denied it
    /// and do not merely miss it.
    async fn make_view(world: &World) -> String {
        let lifetime = jiff::SignedDuration::from_hours(1);
        let owner = world.mesh.token_for("wang", "group", [role::CLERK], lifetime);
        let view = pb::CreateSavedViewRequest {
            saved_view: Some(pb::SavedView {
                title: "待处理".into(),
                org_unit: RIVERSIDE.into(),
                shared: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        let view = world.mesh.saved_views(&owner).create_saved_view(view).await;
        view.unwrap().into_inner().name
    }

    /// A team and the absence of one of it.
    async fn make_team(world: &World) -> (String, String) {
        let team = pb::Team {
            org_unit: RIVERSIDE.into(),
            code: "repairs".into(),
            title: Some(kefu_api::policy::v1::LocalizedText {
                en: "Repairs".into(),
                zh: "维修班".into(),
            }),
            members: vec!["wang".into(), "zhao".into()],
            ..Default::default()
        };
        let request = pb::CreateTeamRequest { team: Some(team), ..Default::default() };
        let team = world.manager().teams().create_team(request).await.unwrap().into_inner().name;
        let absence = pb::Absence {
            staff: "wang".into(),
            start_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
            end_time: Some(prost_types::Timestamp { seconds: 4_000_100_000, nanos: 0 }),
            substitute: "zhao".into(),
            ..Default::default()
        };
        let request = pb::CreateAbsenceRequest { absence: Some(absence), ..Default::default() };
        let absence = world.manager().duty().create_absence(request).await.unwrap();
        (team, absence.into_inner().name)
    }

    /// By the method's full name without `kefu.` and `v1.`.
    pub fn requests(&self) -> BTreeMap<&'static str, Value> {
        let Self { customer, contact, ticket, order, invitation, policy, .. } = self;
        let Self {
            violation, action, hold, suggestion, shift, team, absence, view, delivery, ..
        } = self;
        let of = |name: &str, field: &str| json!({"name": name, field: "好的"});
        let of_delivery = json!({"name": delivery});
        let unit = json!({"orgUnit": RIVERSIDE});
        let title = json!({"en": "Riverside"});
        let of_customer = json!({"name": customer});
        let below_customer = json!({"parent": customer});
        let of_ticket = json!({"name": ticket});
        let of_invitation = json!({"name": invitation});
        let person = json!({"displayName": "王芳"});
        let text = |field: &str| json!({"name": ticket, field: "好的"});
        let recompute = json!({"name": ticket, "reason": "制度修订"});
        let simulate = json!({"name": ticket, "orgUnit": RIVERSIDE});
        let preview = json!({"orgUnit": "group", "policyVersion": policy});
        let of_order = json!({"name": order});
        let about_order = |field: &str| json!({"name": order, field: "好的"});
        let mut requests = BTreeMap::from([
            (
                "customer.OrgUnitService.CreateOrgUnit",
                json!({"orgUnit": {"path": format!("{RIVERSIDE}/east"), "title": title}}),
            ),
            (
                "customer.OrgUnitService.GetOrgUnit",
                json!({"name": format!("orgUnits/{RIVERSIDE}")}),
            ),
            ("customer.OrgUnitService.ListOrgUnits", unit.clone()),
            (
                "customer.OrgUnitService.UpdateOrgUnit",
                json!({"orgUnit": {"name": format!("orgUnits/{RIVERSIDE}"), "title": title}}),
            ),
            (
                "customer.CustomerPolicyService.ApplyCustomerPolicy",
                json!({"orgUnit": RIVERSIDE,
                "policy": {"code": "x", "title": title, "grades": [{"code": "a", "title": title}]}}),
            ),
            ("customer.CustomerPolicyService.GetEffectiveCustomerPolicy", unit.clone()),
            (
                "customer.CustomerService.CreateCustomer",
                json!({"customer": {"orgUnit": RIVERSIDE,
                "customerType": "CUSTOMER_TYPE_PERSON", "displayName": "李伟",
                "lawfulBasis": "LAWFUL_BASIS_CONSENT"}}),
            ),
            ("customer.CustomerService.GetCustomer", of_customer.clone()),
            ("customer.CustomerService.ListCustomers", unit.clone()),
            (
                "customer.CustomerService.UpdateCustomer",
                json!({"customer": {"name": customer, "shortName": "滨河"}}),
            ),
            (
                "customer.CustomerService.CreateContact",
                json!({"parent": customer, "contact": person}),
            ),
            ("customer.CustomerService.GetContact", json!({"name": contact})),
            ("customer.CustomerService.ListContacts", below_customer.clone()),
            (
                "customer.CustomerService.UpdateContact",
                json!({"contact": {"name": contact, "title": "主任"}}),
            ),
            (
                "customer.CustomerService.SetStanding",
                json!({"parent": customer,
                "standing": {"department": RIVERSIDE, "grade": "vip"}}),
            ),
            ("customer.CustomerService.ListStandings", below_customer),
            (
                "ticket.TicketPolicyService.ApplyTicketPolicy",
                json!({"orgUnit": RIVERSIDE,
                "policy": {"code": "x", "title": title,
                    "calendar": {"timeZone": "Asia/Shanghai", "workingDayLength": "28800s",
                        "weeklyHours": [{"dayOfWeek": "DAY_OF_WEEK_MONDAY",
                            "intervals": [{"openTime": "09:00", "closeTime": "17:00"}]}]},
                    "levels": [{"level": 1, "title": title}],
                    "verdictScale": {"options": [
                        {"value": 1, "label": title, "outcome": "VERDICT_OUTCOME_CLOSE"},
                        {"value": 2, "label": title, "outcome": "VERDICT_OUTCOME_REOPEN"}]}}}),
            ),
            ("ticket.TicketPolicyService.GetTicketPolicyVersion", json!({"name": policy})),
            ("ticket.TicketPolicyService.GetEffectiveTicketPolicy", unit.clone()),
            ("ticket.ReportService.GetComplaintReport", unit.clone()),
            (
                "ticket.ReportService.RenderComplaintReport",
                json!({"report": {"orgUnit": RIVERSIDE}, "format": "REPORT_FORMAT_HTML"}),
            ),
            (
                "ticket.TicketService.CreateTicket",
                json!({"ticket": {"orgUnit": RIVERSIDE,
                "kind": "TICKET_KIND_COMPLAINT", "channel": "TICKET_CHANNEL_PHONE", "subject": "漏水"}}),
            ),
            ("ticket.TicketService.GetTicket", of_ticket.clone()),
            ("ticket.TicketService.ListTickets", unit.clone()),
            (
                "ticket.TicketService.UpdateTicket",
                json!({"ticket": {"name": ticket, "product": "三号楼"}}),
            ),
            ("ticket.TicketService.RespondTicket", text("message")),
            ("ticket.TicketService.PauseTicket", text("reason")),
            ("ticket.TicketService.ResumeTicket", of_ticket.clone()),
            ("ticket.TicketService.ResolveTicket", text("solution")),
            ("ticket.TicketService.FeedBackTicket", text("message")),
            ("ticket.TicketService.RecordVerdict", json!({"name": ticket, "value": 1})),
            ("ticket.TicketService.EscalateTicket", text("reason")),
            ("ticket.TicketService.CancelTicket", text("reason")),
            (
                "ticket.TicketService.AnnounceDelay",
                json!({"name": ticket, "rule": "resolution", "reason": "配件未到",
                "newDueTime": "2099-01-01T00:00:00Z"}),
            ),
            (
                "ticket.TicketService.AssessTicket",
                json!({"name": ticket, "severity": 2, "reason": "有人受伤"}),
            ),
            (
                "ticket.TicketService.CorrectTicket",
                json!({"ticket": {"name": ticket, "etag": "r1", "shop": "S-7"}, "reason": "好的"}),
            ),
            ("ticket.TicketService.ExplainDeadline", of_ticket),
            ("ticket.TicketService.ListTicketHistory", json!({"parent": ticket})),
            ("ticket.TicketService.ListTicketMessages", json!({"parent": ticket})),
            ("ticket.TicketService.AddTicketNote", text("note")),
            (
                "ticket.TicketService.RenderMessageTemplate",
                json!({"name": ticket, "situation": "first-response"}),
            ),
            ("ticket.TicketService.ListViolations", unit.clone()),
            ("ticket.TicketService.WatchTickets", unit.clone()),
            (
                "ticket.WorkOrderService.IssueWorkOrder",
                json!({"workOrder": {"dispatchCentre": RIVERSIDE, "task": "查", "requirements": "查",
                "replyByTime": "2096-10-02T07:06:40Z", "assignee": "wang"}}),
            ),
            ("ticket.WorkOrderService.GetWorkOrder", of_order.clone()),
            ("ticket.WorkOrderService.ListWorkOrders", json!({"dispatchCentre": RIVERSIDE})),
            ("ticket.WorkOrderService.AcceptWorkOrder", of_order.clone()),
            (
                "ticket.WorkOrderService.ReportWorkOrderProgress",
                json!({"name": order, "note": "好的", "nextReplyTime": "2096-10-02T07:06:40Z"}),
            ),
            ("ticket.WorkOrderService.DisputeWorkOrder", about_order("reason")),
            (
                "ticket.WorkOrderService.DecideWorkOrderDispute",
                json!({"name": order, "decision": "好的",
                "outcome": "WORK_ORDER_DISPUTE_OUTCOME_STANDS"}),
            ),
            (
                "ticket.WorkOrderService.ReassignWorkOrder",
                json!({"name": order, "assignee": "wu", "reason": "好的"}),
            ),
            ("ticket.WorkOrderService.CompleteWorkOrder", about_order("result")),
            (
                "ticket.WorkOrderService.SignOffWorkOrder",
                json!({"name": order, "customerName": "王芳", "code": "8042"}),
            ),
            ("ticket.WorkOrderService.CallBackWorkOrder", about_order("comment")),
            ("ticket.WorkOrderService.ArchiveWorkOrder", of_order.clone()),
            ("ticket.WorkOrderService.VoidWorkOrder", about_order("reason")),
            ("ticket.WorkOrderService.RenderWorkOrder", of_order),
            ("ticket.ClockLedgerService.RecomputeClocks", recompute),
            ("ticket.ClockLedgerService.SimulateTransfer", simulate),
            ("ticket.ClockLedgerService.PreviewPolicyChange", preview),
            ("ticket.ClockLedgerService.ListPolicyRollouts", unit.clone()),
            ("ticket.QueueService.ListQueue", unit.clone()),
            ("ticket.QueueService.CountQueue", unit.clone()),
            ("ticket.QueueService.SearchTickets", json!({"orgUnit": RIVERSIDE, "query": "漏水"})),
            (
                "ticket.SavedViewService.CreateSavedView",
                json!({"savedView": {"orgUnit": RIVERSIDE, "title": "待处理"}}),
            ),
            ("ticket.SavedViewService.GetSavedView", json!({"name": view})),
            ("ticket.SavedViewService.ListSavedViews", unit.clone()),
            (
                "ticket.SavedViewService.UpdateSavedView",
                json!({"savedView": {"name": view, "title": "待回访"}}),
            ),
            ("ticket.SavedViewService.DeleteSavedView", json!({"name": view})),
            (
                "ticket.RoutingService.AssignTicket",
                json!({"name": ticket, "team": team, "reason": "好的"}),
            ),
            ("ticket.RoutingService.ExplainRouting", json!({"name": ticket})),
            ("ticket.RoutingService.SimulateRouting", json!({"name": ticket})),
            (
                "ticket.BulkService.RunBulk",
                json!({"orgUnit": RIVERSIDE, "items": [{"ticket": ticket}], "tag": {"add": ["急"]}}),
            ),
            ("ticket.ViewerService.WatchViewers", json!({"ticket": ticket})),
            ("ticket.ViewerService.AnnounceComposing", json!({"ticket": ticket})),
            (
                "ticket.TeamService.CreateTeam",
                json!({"team": {"orgUnit": RIVERSIDE, "code": "garden", "title": title}}),
            ),
            ("ticket.TeamService.GetTeam", json!({"name": team})),
            ("ticket.TeamService.ListTeams", unit.clone()),
            ("ticket.TeamService.UpdateTeam", json!({"team": {"name": team, "title": title}})),
            (
                "ticket.DutyService.ListRosterShifts",
                json!({"team": team, "startTime": "2026-09-28T00:00:00Z",
                "endTime": "2026-09-29T00:00:00Z"}),
            ),
            (
                "ticket.DutyService.UpdateRoster",
                json!({"team": team, "startTime": "2026-09-28T00:00:00Z",
                "endTime": "2026-09-29T00:00:00Z", "shifts": [{"staff": "wang",
                "startTime": "2026-09-28T01:00:00Z", "endTime": "2026-09-28T09:00:00Z"}]}),
            ),
            ("ticket.DutyService.SetPresence", json!({"staff": "wang", "present": true})),
            ("ticket.DutyService.GetPresence", json!({"staff": "wang"})),
            (
                "ticket.DutyService.CreateAbsence",
                json!({"absence": {"staff": "wang", "startTime": "2099-01-01T00:00:00Z",
                "endTime": "2099-01-02T00:00:00Z", "substitute": "zhao"}}),
            ),
            ("ticket.DutyService.CloseAbsence", json!({"name": absence})),
            (
                "ticket.DutyService.ListAbsences",
                json!({"orgUnit": RIVERSIDE, "startTime": "2026-09-28T00:00:00Z",
                "endTime": "2026-09-29T00:00:00Z"}),
            ),
            (
                "ticket.ViolationService.ReportViolation",
                json!({"ticket": ticket, "code": "late-first-response", "staff": "zhao",
                "evidence": "未登记"}),
            ),
            ("ticket.ViolationService.GetViolation", json!({"name": violation})),
            ("ticket.ViolationService.ConfirmViolation", json!({"name": violation})),
            ("ticket.ViolationService.DismissViolation", of(violation, "reason")),
            ("ticket.ViolationService.AppealViolation", of(violation, "reason")),
            (
                "ticket.ViolationService.DecideViolationAppeal",
                json!({"name": violation, "decision": "好的",
                "outcome": "VIOLATION_APPEAL_OUTCOME_UPHELD"}),
            ),
            (
                "ticket.ViolationService.GetViolationStatement",
                json!({"staff": "wang", "orgUnit": RIVERSIDE, "year": 2026, "month": 3}),
            ),
            (
                "ticket.CorrectiveActionService.RecordRootCause",
                json!({"rootCause": {"ticket": ticket, "cause": "material", "method": "5-why",
                "finding": "材料"}}),
            ),
            ("ticket.CorrectiveActionService.ListRootCauses", json!({"parent": ticket})),
            (
                "ticket.CorrectiveActionService.PlanCorrectiveAction",
                json!({"correctiveAction": {"ticket": ticket, "description": "换", "owner": "wang",
                "kind": "CORRECTIVE_ACTION_KIND_PREVENTIVE", "dueTime": "2096-10-02T07:06:40Z"}}),
            ),
            ("ticket.CorrectiveActionService.GetCorrectiveAction", json!({"name": action})),
            ("ticket.CorrectiveActionService.ListCorrectiveActions", unit.clone()),
            ("ticket.CorrectiveActionService.StartCorrectiveAction", json!({"name": action})),
            ("ticket.CorrectiveActionService.CompleteCorrectiveAction", of(action, "evidence")),
            (
                "ticket.CorrectiveActionService.VerifyCorrectiveAction",
                json!({"name": action, "verification": "好的",
                "verdict": "CORRECTIVE_ACTION_VERDICT_EFFECTIVE"}),
            ),
            (
                "ticket.CorrectiveActionService.ReassignCorrectiveAction",
                json!({"name": action, "owner": "wu", "reason": "好的"}),
            ),
            ("ticket.CorrectiveActionService.CancelCorrectiveAction", of(action, "reason")),
            (
                "ticket.CorrectiveActionService.PlaceProductHold",
                json!({"productHold": {"orgUnit": RIVERSIDE, "product": "阀门", "reason": "漏水"}}),
            ),
            ("ticket.CorrectiveActionService.LiftProductHold", of(hold, "reason")),
            ("ticket.CorrectiveActionService.ListProductHolds", unit.clone()),
            (
                "ticket.SuggestionService.SubmitSuggestion",
                json!({"suggestion": {"orgUnit": RIVERSIDE, "tickets": [ticket], "title": "换",
                "text": "换", "decisionMaker": "liu"}}),
            ),
            ("ticket.SuggestionService.GetSuggestion", json!({"name": suggestion})),
            ("ticket.SuggestionService.ListSuggestions", unit.clone()),
            (
                "ticket.SuggestionService.DecideSuggestion",
                json!({"name": suggestion, "reason": "好的", "outcome": "SUGGESTION_STATE_ACCEPTED"}),
            ),
            (
                "ticket.ShiftService.PlanShift",
                json!({"shift": {"dispatchCentre": RIVERSIDE, "members": ["li"], "leader": "li",
                "startTime": "2096-10-01T00:00:00Z", "endTime": "2096-10-01T08:00:00Z"}}),
            ),
            (
                "ticket.ShiftService.UpdateShift",
                json!({"shift": {"name": shift, "members": ["li"], "leader": "li"}}),
            ),
            ("ticket.ShiftService.RenderShiftHandover", json!({"name": shift})),
            ("ticket.ShiftService.GetShift", json!({"name": shift})),
            ("ticket.ShiftService.ListShifts", json!({"dispatchCentre": RIVERSIDE})),
            ("ticket.ShiftService.GetShiftList", json!({"name": shift})),
            (
                "ticket.ShiftService.SetUnfinishedReason",
                json!({"name": shift, "workOrder": order, "reason": "等配件"}),
            ),
            ("ticket.ShiftService.SubmitShiftList", json!({"name": shift})),
            ("ticket.ShiftService.SignShiftHandover", json!({"name": shift})),
            ("ticket.DeliveryService.GetDelivery", of_delivery.clone()),
            ("ticket.DeliveryService.ListDeliveries", unit.clone()),
            ("ticket.DeliveryService.RetryDelivery", of_delivery),
            (
                "ticket.DeliveryService.CancelDelivery",
                json!({"name": delivery, "reason": "打过电话了"}),
            ),
            ("ticket.AutomationService.ApplyMacro", json!({"name": ticket, "macro": "label"})),
            ("ticket.AutomationService.ListTriggerRuns", json!({"parent": ticket})),
            ("ticket.AutomationService.ListTroubledTriggerRuns", unit.clone()),
            (
                "survey.SurveyPolicyService.ApplySurveyPolicy",
                json!({"orgUnit": RIVERSIDE, "policy": {"code": "x", "title": title}}),
            ),
            ("survey.SurveyPolicyService.GetEffectiveSurveyPolicy", unit.clone()),
            ("survey.SurveyService.GetInvitation", of_invitation.clone()),
            ("survey.SurveyService.ListInvitations", unit.clone()),
            ("survey.SurveyService.IssueInvitationToken", of_invitation.clone()),
            ("survey.SurveyService.RevokeInvitation", of_invitation),
            ("survey.SurveyService.ListAnswers", unit),
            ("survey.SurveyService.GetQuestionnaire", json!({"token": "a".repeat(43)})),
            ("survey.SurveyService.SubmitAnswer", json!({"token": "a".repeat(43), "verdict": 1})),
            ("gateway.GatewayService.GetCustomerOverview", of_customer),
            ("clock.ClockService.GetTime", json!({})),
            ("clock.ClockService.SetTime", json!({"time": "2026-09-28T01:00:00Z"})),
            ("clock.ClockService.Settle", json!({})),
        ]);
        requests.extend(handling::requests(ticket));
        requests.extend(self.processes.requests(ticket));
        requests.extend(files::requests(ticket, &self.attachment));
        requests.extend(self.links.requests());
        requests
    }
}
