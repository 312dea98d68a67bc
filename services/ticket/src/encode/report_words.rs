//! What the codes of a report are called, in English and in Chinese.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ReportMetric as Metric;

/// English and Chinese.
pub(super) type Words = (&'static str, &'static str);

/// What a figure is called.
pub(super) fn metric_name(metric: Metric) -> Words {
    match metric {
        Metric::Unspecified => ("", ""),
        Metric::Received => ("Received", "受理"),
        Metric::Answered => ("Answered", "已回复"),
        Metric::Resolved => ("Resolved", "已处理"),
        Metric::Closed => ("Closed", "已关闭"),
        Metric::Cancelled => ("Cancelled", "已取消"),
        Metric::Merged => ("Merged into others", "已并入其他工单"),
        Metric::Overdue => ("Overdue", "超时未结"),
        Metric::FirstResponseMedian => ("First response, median", "首次回复时长（中位数）"),
        Metric::FirstResponseP90 => ("First response, nine of ten", "首次回复时长（90 分位）"),
        Metric::ResolutionMedian => ("Resolution, median", "处理时长（中位数）"),
        Metric::ResolutionP90 => ("Resolution, nine of ten", "处理时长（90 分位）"),
        Metric::Compliance => ("Promises kept", "时限达标率"),
        Metric::VerdictAverage => ("Verdict, mean", "平均评价"),
        Metric::SatisfiedShare => ("Satisfied", "满意率"),
        Metric::Repeats => ("Repeat complaints", "重复投诉"),
        Metric::Open => ("Open in all", "全部未结"),
        Metric::OpenOverdue => ("Open and overdue in all", "全部未结中超时"),
        Metric::RootCausesFound => ("Root causes found", "查明的根本原因"),
        Metric::SuggestionsSubmitted => ("Suggestions submitted", "新提改进建议"),
        Metric::SuggestionsOpen => ("Suggestions waiting", "待决改进建议"),
    }
}

/// What a channel is called.
pub(super) fn channel_name(channel: pb::TicketChannel) -> Words {
    match channel {
        pb::TicketChannel::Unspecified => ("", ""),
        pb::TicketChannel::Phone => ("Telephone", "电话"),
        pb::TicketChannel::Sms => ("Short message", "短信"),
        pb::TicketChannel::Letter => ("Letter", "信函"),
        pb::TicketChannel::Fax => ("Fax", "传真"),
        pb::TicketChannel::Mail => ("E-mail", "电子邮件"),
        pb::TicketChannel::Chat => ("Chat", "在线客服"),
        pb::TicketChannel::Web => ("Web form", "网页"),
        pb::TicketChannel::Messenger => ("Messenger", "即时通讯"),
        pb::TicketChannel::Visit => ("Visit", "走访"),
        pb::TicketChannel::Counter => ("Counter", "柜台"),
    }
}

/// What is promised.
pub(super) fn clock_name(kind: pb::ClockKind) -> Words {
    match kind {
        pb::ClockKind::Unspecified => ("", ""),
        pb::ClockKind::FirstResponse => ("First response", "首次回复"),
        pb::ClockKind::Resolution => ("Resolution", "处理完成"),
        pb::ClockKind::ResultFeedback => ("Result feedback", "结果反馈"),
        pb::ClockKind::CallBack => ("Call-back", "回访"),
        pb::ClockKind::ProgressUpdate => ("Progress update", "进度反馈"),
    }
}

/// Why something was escalated.
pub(super) fn cause_name(cause: pb::EscalationCause) -> Words {
    match cause {
        pb::EscalationCause::Unspecified => ("", ""),
        pb::EscalationCause::Breach => ("A broken promise", "超时"),
        pb::EscalationCause::Verdict => ("The customer's verdict", "客户不满意"),
        pb::EscalationCause::Manager => ("A manager's decision", "主管决定"),
        pb::EscalationCause::Step => ("A step of escalation", "升级步骤"),
        pb::EscalationCause::Authority => ("Beyond the level's authority", "超出受理权限"),
        pb::EscalationCause::Handler => ("Asked for by the handler", "经办人申请"),
        pb::EscalationCause::Trigger => ("A trigger of the policy", "制度触发规则"),
        pb::EscalationCause::Merge => ("A ticket merged into it", "并入上级工单"),
    }
}

/// Where a suggestion stands.
pub(super) fn suggestion_state_name(state: pb::SuggestionState) -> Words {
    match state {
        pb::SuggestionState::Unspecified => ("", ""),
        pb::SuggestionState::Submitted => ("Waits for a decision", "待决定"),
        pb::SuggestionState::Accepted => ("Accepted", "已采纳"),
        pb::SuggestionState::Rejected => ("Rejected", "未采纳"),
        pb::SuggestionState::Deferred => ("Deferred", "暂缓"),
    }
}
