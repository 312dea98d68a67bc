//! What people read who read Chinese, whoever refused.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderMap;
use kefu_api::error::v1::Reason;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::{Language, failure::any, reason};

/// Metadata in base64 may come with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The status that is in these headers or trailers, if any. Details that are no base64 count as none: the library panics on them.
pub fn status_in(headers: &HeaderMap) -> Option<Status> {
    let details = headers.get(Status::GRPC_STATUS_DETAILS);
    if details.is_some_and(|details| BASE64.decode(details).is_err()) {
        let mut headers = headers.clone();
        headers.remove(Status::GRPC_STATUS_DETAILS);
        return Status::from_header_map(&headers);
    }
    Status::from_header_map(headers)
}

/// The same status for people who read Chinese: with what its reason or code means, where it does not say more already.
pub fn in_language(status: Status, language: Language) -> Status {
    if language == Language::English || status.code() == Code::Ok {
        return status;
    }
    let Ok(mut details) = pb::Status::decode(status.details()) else { return status };
    if details.details.iter().any(is_in_chinese) {
        return status;
    }
    let (code, message) = (status.code(), status.message().to_owned());
    let chinese = reason(&status).map_or_else(|| words_of_code(code), words);
    details.code = code.into();
    details.message.clone_from(&message);
    details.details.push(any("LocalizedMessage", &in_chinese(chinese)));
    let metadata = status.metadata().clone();
    let details = details.encode_to_vec().into();
    Status::with_details_and_metadata(code, message, details, metadata)
}

/// Whether a detail says already what people read: the whole, or each wrong field.
fn is_in_chinese(detail: &prost_types::Any) -> bool {
    if detail.type_url.ends_with(".BadRequest") {
        let wrong = pb::BadRequest::decode(&*detail.value).unwrap_or_default().field_violations;
        return wrong.iter().any(|field| field.localized_message.is_some());
    }
    detail.type_url.ends_with(".LocalizedMessage")
}

pub(crate) fn in_chinese(message: impl Into<String>) -> pb::LocalizedMessage {
    pb::LocalizedMessage { locale: "zh-CN".to_owned(), message: message.into() }
}

/// What a reason means, for people who read Chinese.
const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::Unspecified => "操作未成功",
        Reason::FieldsInvalid => "请求中有字段填写不正确",
        Reason::TokenMissing => "请先登录",
        Reason::TokenInvalid => "登录凭证无效",
        Reason::TokenExpired => "登录已过期，请重新登录",
        Reason::PermissionDenied => "没有在该组织单元执行此操作的权限",
        Reason::ResourceNotFound => "未找到所指的资源",
        Reason::RequestIdReused => "该请求编号已用于内容不同的请求",
        Reason::ResourceAlreadyExists => "该资源已存在",
        Reason::EtagStale => "内容已被他人更改，请重新读取",
        Reason::Conflict => "与他人的操作冲突，请重试",
        Reason::IllegalState => "当前状态不允许此操作",
        Reason::OrgUnitUnknown => "组织单元不存在",
        Reason::PolicyMissing => "该组织单元没有生效的制度",
        Reason::SeparationOfDuties => "不得对本人经办的事项作出评判",
        Reason::FeedIdentityChanged => "续读标记属于另一数据库",
        Reason::Overloaded => "当前请求过多，请稍后重试",
        Reason::StoreUnavailable => "存储暂时不可用，请稍后重试",
        Reason::ContextUnavailable => "所依赖的服务暂时不可用，请稍后重试",
        Reason::DeadlineExceeded => "处理超时，可用相同的请求编号重试",
        Reason::Internal => "系统内部错误",
        Reason::InvitationInvalid => "邀请已失效",
        Reason::AlreadyAnswered => "该邀请已答复",
        Reason::ClockNotManual => "该服务的时钟不可设置",
    }
}

/// What a code means where there is no reason of ours: the answer of a library, or of something between us and the caller.
const fn words_of_code(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "请求不正确",
        Code::Unauthenticated => words(Reason::TokenInvalid),
        Code::PermissionDenied => "没有执行此操作的权限",
        Code::NotFound => words(Reason::ResourceNotFound),
        Code::AlreadyExists => words(Reason::ResourceAlreadyExists),
        Code::FailedPrecondition => words(Reason::IllegalState),
        Code::Aborted => words(Reason::Conflict),
        Code::ResourceExhausted => words(Reason::Overloaded),
        Code::OutOfRange => "内容过大或超出范围",
        Code::Unimplemented => "没有此接口，或不支持此种调用方式",
        Code::Unavailable => "服务暂时不可用，请稍后重试",
        Code::DeadlineExceeded => words(Reason::DeadlineExceeded),
        Code::Cancelled => "调用已中断",
        Code::DataLoss => "所存内容已损坏",
        Code::Internal => words(Reason::Internal),
        Code::Ok | Code::Unknown => words(Reason::Unspecified),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::Failure;

    fn is_chinese(words: &str) -> bool {
        words.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    #[test]
    fn x09_a_wrong_field_is_named_in_the_language_of_whoever_sent_it() {
        let fault = || crate::Fault::malformed("a date", "日期");
        let wrong = crate::invalid(Language::Chinese, "born", fault());
        let told = |status: &Status| {
            let wrong = status.get_details_bad_request().unwrap().field_violations.remove(0);
            wrong.localized_message.map(|told| told.message)
        };
        let of_field = wrong.clone();
        assert_eq!(told(&wrong).as_deref(), Some("格式不正确，须为日期"));
        assert!(in_language(of_field, Language::Chinese).get_details_localized_message().is_none());
        let silent = crate::invalid(Language::English, "born", fault());
        assert_eq!(told(&silent), None);
        // Made by somebody who did not know for whom.
        let whole = in_language(silent, Language::Chinese).get_details_localized_message();
        assert_eq!(whole.unwrap().message, words(Reason::FieldsInvalid));
    }

    #[test]
    fn x09_whatever_is_refused_is_said_in_chinese_to_whoever_reads_that() {
        let plain = crate::not_found("kefu.dev/Ticket", "tickets/1");
        let told = |status: &Status| {
            status.get_details_localized_message().map(|localized| localized.message)
        };
        assert_eq!(told(&in_language(plain.clone(), Language::English)), None);
        let localized = in_language(plain.clone(), Language::Chinese);
        assert_eq!(told(&localized).as_deref(), Some("未找到所指的资源"));
        assert_eq!((localized.code(), localized.message()), (plain.code(), plain.message()));
        assert_eq!(localized.get_details_resource_info().unwrap().resource_name, "tickets/1");
        assert_eq!(reason(&localized), Some(Reason::ResourceNotFound));
        // What says more already is left as it is.
        let own = Failure::new(Code::PermissionDenied, Reason::SeparationOfDuties, "not you")
            .localized(Language::Chinese, "须由他人录入")
            .into_status();
        assert_eq!(told(&in_language(own, Language::Chinese)).as_deref(), Some("须由他人录入"));
        // None of ours, but refused all the same.
        for code in (1..17).map(Code::from) {
            let strange = in_language(Status::new(code, "?"), Language::Chinese);
            assert_eq!((strange.code(), strange.message()), (code, "?"));
            assert!(told(&strange).is_some_and(|words| is_chinese(&words)), "{code:?}");
        }
        assert_eq!(told(&in_language(Status::ok(""), Language::Chinese)), None);
        let every = (1..).map_while(|number| Reason::try_from(number).ok());
        let mut known = 0;
        for reason in every {
            assert!(is_chinese(words(reason)), "{reason:?}");
            known += 1;
        }
        assert!(known >= 23);
    }

    #[test]
    fn x06_details_that_are_no_base64_are_none() {
        let mut headers = HeaderMap::new();
        assert!(status_in(&headers).is_none());
        headers.insert(Status::GRPC_STATUS, http::HeaderValue::from_static("5"));
        headers.insert(Status::GRPC_STATUS_DETAILS, http::HeaderValue::from_static("!"));
        let status = status_in(&headers).unwrap();
        assert_eq!((status.code(), status.details()), (Code::NotFound, &b""[..]));
    }
}
