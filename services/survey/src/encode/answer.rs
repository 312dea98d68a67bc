//! Answers as others see them.

use kefu_api::survey::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::to_proto_timestamp;
use uuid::Uuid;

use super::{invitation, policy};
use crate::domain::{answer::Answer, invitation::Matter};

/// `answers/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("answers/{id}")
}

/// The resource.
pub fn resource(answer: &Answer) -> pb::Answer {
    pb::Answer {
        name: name(answer.id),
        invitation: invitation::name(answer.invitation),
        verdict: answer.said.verdict,
        comment: answer.said.comment.clone(),
        submit_time: Some(to_proto_timestamp(answer.submitted_at)),
        policy_version: policy::name(answer.policy_version),
    }
}

/// What the ticket context takes its verdict from (S-08, T-13).
pub fn event(answer: &Answer, matter: &Matter) -> PublicEvent {
    PublicEvent::of(&pb::CallBackAnswered {
        answer: name(answer.id),
        invitation: invitation::name(answer.invitation),
        ticket: super::ticket_name(matter.ticket),
        ticket_cycle: matter.cycle,
        verdict: answer.said.verdict,
        comment: answer.said.comment.clone(),
        submit_time: Some(to_proto_timestamp(answer.submitted_at)),
    })
}
